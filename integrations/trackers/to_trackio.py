"""Trackio: a run of the local project a run, its steps one curve."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
import trackio

from ...evals.errors import UsageError
from ...reports.table import Table
from .told import Told, offline


class Trackio:
    """Writes a run into `project`; TRACKIO_DIR and TRACKIO_SPACE_ID say where that lies."""

    def __init__(self, project: str = "janus-eval") -> None:
        servers = [each for each in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL") if os.environ.get(each)]
        if offline() and servers:
            raise UsageError(f"--offline: {servers[0]} names a server; unset it")
        self._project = project

    def tell(self, told: Told) -> None:
        trackio.init(
            self._project,
            name=f"{told.name} {told.key[:6]}",
            group=told.group,
            config=dict(told.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        row: dict[str, Any] = dict(told.numbers)
        row |= {f"janus_eval/{name}": _table(each) for name, each in told.tables.items()}
        row |= {
            f"janus_eval/picture {number}": trackio.Image(str(path), caption=caption)
            for number, (caption, path) in enumerate(told.pictures)
        }
        trackio.log(row, step=told.step)
        trackio.finish()


def _table(table: Table) -> Any:
    rows = [[cell.text for cell in row.cells] for _, row in table.rows()]
    return trackio.Table(dataframe=pd.DataFrame(rows, columns=[head.text for head in table.heads]))
