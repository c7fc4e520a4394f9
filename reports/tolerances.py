"""What a gate allows: a small TOML file, checked against what the baseline knows."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..evals.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT = Path(__file__).parent / "gate.toml"


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The settings of gate.toml, which explains them; metric names are "metric" or "benchmark metric"."""

    alpha: float
    headline_share: float
    watch: tuple[str, ...]
    lower: tuple[str, ...]
    knobs: tuple[str, ...]
    drops: Mapping[str, float]

    @classmethod
    def read(cls, path: Path | None) -> Tolerances:
        """Read a file over the defaults. Raises UsageError naming the entry that cannot be meant."""
        default = tomllib.loads(DEFAULT.read_text(encoding="utf-8"))
        own: dict[str, Any] = {}
        if path is not None:
            try:
                own = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise UsageError(f"{path} cannot be read as TOML: {error}") from error
        for key in own:
            if key not in default:
                near = difflib.get_close_matches(key, default, n=1)
                raise UsageError(f"{path}: unknown entry {key!r}; " + _hint(near, default))
        merged = {**default, **own}
        return cls(
            alpha=_share(path, "alpha", merged["alpha"]),
            headline_share=_share(path, "headline_share", merged["headline_share"], most=1.0),
            watch=_names(path, "watch", merged["watch"]),
            lower=_names(path, "lower_is_better", merged["lower_is_better"]),
            knobs=_names(path, "knobs", merged["knobs"]),
            drops=_drops(path, merged["tolerance"]),
        )

    def check(self, known: Sequence[tuple[str, str]]) -> None:
        """Raise UsageError for a tolerance of a metric that the baseline does not have."""
        names = {name for bench, metric in known for name in (metric, f"{bench} {metric}")}
        for key in self.drops:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                raise UsageError(f"tolerance for {key!r}: the baseline has no such metric; " + _hint(near, names))

    def tolerance(self, bench: str, metric: str) -> float:
        """Return the forgiven drop of a metric; the entry that names the benchmark wins."""
        return self.drops.get(f"{bench} {metric}", self.drops.get(metric, 0.0))

    def watched(self, bench: str, metric: str) -> bool:
        """Say whether a metric is only shown."""
        return _matches(self.watch, bench, metric)

    def lower_is_better(self, bench: str, metric: str) -> bool:
        """Say whether a rise of the metric is a regression."""
        return _matches(self.lower, bench, metric)


def _matches(patterns: Sequence[str], bench: str, metric: str) -> bool:
    return any(fnmatchcase(name, each) for each in patterns for name in (metric, f"{bench} {metric}"))


def _hint(near: Sequence[str], known: Any) -> str:
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"


def _share(path: Path | None, key: str, value: Any, most: float = 0.5) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise UsageError(f"{path}: {key} = {value!r}: expected a number above 0, at most {most:g}")
    return float(value)


def _names(path: Path | None, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{path}: {key} = {value!r}: expected a list of names")
    return tuple(value)


def _drops(path: Path | None, value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{path}: tolerance: expected a table of metric = drop")
    for key, drop in value.items():
        if isinstance(drop, bool) or not isinstance(drop, int | float) or not 0 <= drop < float("inf"):
            raise UsageError(f"{path}: tolerance {key!r} = {drop!r}: expected a number from 0")
    return {str(key): float(drop) for key, drop in value.items()}
