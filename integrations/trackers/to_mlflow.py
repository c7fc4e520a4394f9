"""MLflow: a run of the experiment a run, its steps one curve, tables and pictures as artifacts."""

from __future__ import annotations

import hashlib
import os
import re

import mlflow
from mlflow.tracking import MlflowClient

from ...evals.errors import UsageError
from .told import Told, offline

_NAMES = re.compile(r"[^\w .:/-]", re.ASCII)
"""What a name of MLflow may not hold."""
_LONGEST = 4000


class MLflow:
    """Writes a run to the tracking server or store at `uri`, by default MLFLOW_TRACKING_URI or MLflow's own.

    The experiment is MLFLOW_EXPERIMENT_NAME, by default janus-eval.
    """

    def __init__(self, uri: str = "") -> None:
        if uri:
            mlflow.set_tracking_uri(uri)
        if offline() and re.match(r"https?:|databricks", mlflow.get_tracking_uri()):
            raise UsageError("--offline: the address is a server's; give a store, mlflow:sqlite:///FILE.db")
        try:
            self._client = MlflowClient()
        except Exception as error:  # MLflow's own, of an address that no store has
            raise UsageError(f"MLflow takes no such address: {error}") from error

    def tell(self, told: Told) -> None:
        client = self._client
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "janus-eval")
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        found = client.search_runs([experiment], filter_string=f"tags.`janus_eval.key` = '{told.key}'", max_results=1)
        tags = {"janus_eval.key": told.key}
        run = found[0] if found else client.create_run(experiment, run_name=told.name, tags=tags)
        where = run.info.run_id
        for key, value in told.config.items():
            client.set_tag(where, f"janus_eval.{_NAMES.sub('_', key)}"[:250], str(value)[:_LONGEST])
        for key, number in told.numbers.items():
            client.log_metric(where, _name(key), number, step=told.step)
        for key, table in told.tables.items():
            frame = table.frame().drop(columns="group")
            client.log_text(where, frame.to_json(orient="split", index=False) or "", f"step-{told.step}/{key}.json")
            client.log_text(where, frame.to_csv(index=False), f"step-{told.step}/{key}.csv")
        for number, (caption, path) in enumerate(told.pictures):
            client.log_artifact(where, str(path), f"step-{told.step}/pictures/{number}")
            client.log_text(where, caption, f"step-{told.step}/pictures/{number}/caption.txt")
        client.set_terminated(where)


def _name(key: str) -> str:
    """Return a metric's name as MLflow takes it; one that had to be changed ends in what keeps it apart.

    A store of files has a file for a metric: its bounds are no paths below it (`METRIC.low`).
    """
    wanted = re.sub(r"/(low|high)$", r".\1", key.replace(" (part)", " part"))
    plain = _NAMES.sub("_", wanted)
    if plain == wanted and len(plain) <= 240:
        return plain
    return f"{plain[:230]}-{hashlib.sha256(key.encode()).hexdigest()[:6]}"
