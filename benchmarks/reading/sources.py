"""Where a suite's rows lie: a file or folder given, a table fetched before, the hub, or a named data world."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from ...evals.assets import fetch as store
from ...evals.errors import UsageError
from .tables import SUFFIXES

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True, slots=True)
class Source:
    """Names of a suite's data: in our catalogue (`hub`, `tsv`) and inside a folder (`files`).

    `files` are patterns relative to a folder, best first; all files that the first fitting pattern
    names are read, in order of their names. `carried` is a table that comes with the suite's package.
    A shape for a table of the user's `own` has no data of its own.
    """

    suite: str
    hub: str = ""
    tsv: str = ""
    files: tuple[str, ...] = ()
    carried: Path | None = None
    own: bool = False

    def tables(self, data: str, *, offline: bool = False) -> list[Path]:
        """Return the files that hold the rows.

        `data` is a data world that a plugin registers (entry-point group janus_eval.data), a file,
        a folder, a hub data set ORG/NAME, or empty: the table in VLMEvalKit's folder or our
        cache, else the hub's data set. Raises UsageError or EnvironmentProblem with what to do.
        """
        if not data and self.carried is not None:
            return [self.carried]
        if not data and self.own:
            raise UsageError(f"{self.suite} is a shape without data of its own: give your table with --data FILE")
        if not data:
            table = store.locate(self.tsv) if self.tsv else None
            return [store.fetch(self.tsv, offline=True)] if table else self._in(store.fetch(self.hub, offline=offline))
        world = find_world(data)  # before a folder of that name, which is reached as ./NAME
        if world is not None:
            return self._in(world(self.suite))
        path = store.expanded(data, "--data")
        if path.is_file():
            return [path]
        if path.is_dir():
            return self._in(path)
        if _HUB_NAME.fullmatch(data):
            return self._in(store.fetch(f"hub-dataset:{data}", offline=offline))
        raise UsageError(
            f"--data {data}: no such file or folder; give the suite's table or folder, or leave --data out"
            + (f" after: janus-eval data fetch {self.hub}" if self.hub else "")
        )

    def assets(self, data: str) -> tuple[str, ...]:
        """Return what `tables` reads of the catalogue and the hub."""
        if data:
            found = find_world(data) or store.expanded(data, "--data").exists() or not _HUB_NAME.fullmatch(data)
            return () if found else (f"hub-dataset:{data}",)
        if self.carried is not None or self.own:
            return ()
        return (self.tsv,) if self.tsv and store.locate(self.tsv) else (self.hub,)

    def is_given(self, data: str) -> bool:
        """Return whether `data` is the user's own: neither the suite's, nor a data world, nor equal to what we know."""
        if not data or self.own or find_world(data) is not None:
            return False
        path = store.expanded(data, "--data")
        if path.exists():
            return not (self.tsv and store.is_published(self.tsv, path))
        return not self.hub or data not in store.asset(self.hub).hub

    def _in(self, folder: Path) -> list[Path]:
        patterns = [*self.files, *(f"{self.suite}{suffix}" for suffix in SUFFIXES)]
        for pattern in patterns:
            found = sorted(path for path in folder.glob(pattern) if path.is_file())
            if found:
                return found
        tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        if len(tables) == 1:
            return tables
        raise UsageError(
            f"{folder}: no table of {self.suite} here (looked for {', '.join(patterns)}; "
            f"{len(tables)} other tables: give one file with --data)"
        )


def find_world(name: str) -> Callable[[str], Path] | None:
    """Return what makes a named data world's folder for a suite, where a plugin registers the name."""
    for point in entry_points(group="janus_eval.data", name=name):
        return point.load()
    return None
