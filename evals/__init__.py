"""The core: it makes records. This is the public face: the nouns, and `evaluate` for use from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import JanusEvalError
from .types import (
    Benchmark,
    Evidence,
    Job,
    Metric,
    ModelAdapter,
    Observer,
    Picture,
    Prediction,
    RunRecord,
    RunSpec,
    Sample,
    Score,
    Scored,
)

if TYPE_CHECKING:
    from .plan import evaluate
    from .store import find_runs, read_record, read_scores

__all__ = [
    "Benchmark",
    "Evidence",
    "JanusEvalError",
    "Job",
    "Metric",
    "ModelAdapter",
    "Observer",
    "Picture",
    "Prediction",
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

_LAZY = {"evaluate": "plan", "find_runs": "store", "read_record": "store", "read_scores": "store"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
