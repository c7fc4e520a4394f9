"""Weights & Biases: a run of the project a run, its steps one curve; WANDB_MODE=offline writes it to a folder."""

from __future__ import annotations

from typing import Any

import wandb

from ...evals.errors import EnvironmentProblem
from ...reports.table import Table
from .told import Told, offline


class WeightsAndBiases:
    """Writes a run into `project`; entity, folder and mode are those of wandb's own environment variables."""

    def __init__(self, project: str = "janus-eval") -> None:
        found = wandb.setup().settings
        online = found.mode in (None, "online", "shared") and not offline()
        if online and not found.api_key and not _logged_in():
            raise EnvironmentProblem("no API key is known: run wandb login, or set WANDB_MODE=offline")
        self._project = project

    def tell(self, told: Told) -> None:
        quiet = wandb.Settings(
            console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        )
        run = wandb.init(
            project=self._project,
            id=f"janus-eval-{told.key}",
            name=told.name,
            group=told.group,
            job_type="evaluation",
            config=dict(told.config),
            resume="allow",
            mode="offline" if offline() else None,
            settings=quiet,
        )
        run.define_metric("janus_eval/step")
        run.define_metric("janus_eval/*", step_metric="janus_eval/step")
        row: dict[str, Any] = {**told.numbers, "janus_eval/step": told.step}
        row |= {f"janus_eval/{name}": _table(each) for name, each in told.tables.items()}
        if told.pictures:
            row["janus_eval/pictures"] = [wandb.Image(str(path), caption=caption) for caption, path in told.pictures]
        run.log(row)
        run.finish()


def _logged_in() -> bool:
    """Say whether wandb finds a key (netrc), asking nobody."""
    try:
        return bool(wandb.login(prompt=False))
    except Exception:  # of a key that the server refuses, or a server that is not there: told when the run is
        return True


def _table(table: Table) -> Any:
    rows: list[Any] = [[cell.text for cell in row.cells] for _, row in table.rows()]
    return wandb.Table(columns=[head.text for head in table.heads], data=rows)
