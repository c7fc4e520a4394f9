"""The core: it makes records. This is the public face: the nouns, and `evaluate` for use from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import JanusEvalError
from .types import Evidence, Job, Metric, Picture, Prediction, RunRecord, RunSpec, Sample, Score, Scored

if TYPE_CHECKING:
    from .evaluation import evaluate
    from .plugins import Benchmark, ModelAdapter, Observer
    from .records import find_runs, read_record, read_scores
    from .request import Machine, Patience, Request

__all__ = [
    "Benchmark",
    "Evidence",
    "JanusEvalError",
    "Job",
    "Machine",
    "Metric",
    "ModelAdapter",
    "Observer",
    "Patience",
    "Picture",
    "Prediction",
    "Request",
    "RunRecord",
    "RunSpec",
    "Sample",
    "Score",
    "Scored",
    "evaluate",
    "find_runs",
    "read_record",
    "read_scores",
]

_LAZY = {
    "evaluate": "evaluation",
    **dict.fromkeys(("Benchmark", "ModelAdapter", "Observer"), "plugins"),
    **dict.fromkeys(("Machine", "Patience", "Request"), "request"),
    **dict.fromkeys(("find_runs", "read_record", "read_scores"), "records"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
