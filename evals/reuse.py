"""What another run has made already: predictions and evidence of equal keys are taken over, not made again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import UsageError
from .files import changed, read_json
from .records import read_record
from .store import RunStore
from .stored import Stored
from .types import RunSpec
from .where import others_than, workers


def reuse(store: RunStore) -> str:
    """Fill an empty run from a neighbour of the same output folder and say what was taken ("" for nothing).

    A neighbour with equal predictions gives them; its evidence too where that would be equal. What
    is not whole there is left behind. Of several the one that has most is taken.
    """
    if store.predictions():
        return ""
    neighbours = [Stored(folder) for folder in _neighbours(store)]
    counted = [(len(each.prediction_lines()), each) for each in neighbours]
    most, best = max(counted, key=lambda pair: pair[0], default=(0, None))
    if best is None or most == 0:
        return ""
    taken = store.take_predictions(best)
    pictures = sum(each.image is not None for each in taken.values())
    refused = sum(bool(each.refused) for each in taken.values())
    made = ((pictures, "pictures"), (len(taken) - pictures - refused, "answers"), (refused, "refusals"))
    told = [f"{count} {what}" for count, what in made if count]
    spec = _spec(best.folder)
    if spec is not None and spec.evidence_key == store.spec.evidence_key:
        seen = store.take_evidence(best, taken)
        told += [f"what was observed of {seen}"] if seen else []
    for version in _versions(best.folder):  # equal keys promise equal outputs; a reader is told all the same
        store.add_where({"stage": "reuse", "batch": 0, "count": 0, "seconds": 0.0, "version": version})
    return f"reusing {', '.join(told)} of {best.folder}"


def _versions(folder: Path) -> set[str]:
    """Return the versions of the harness that made what lies in a run."""
    spec = _spec(folder)
    own = {spec.version} if spec is not None else set[str]()
    with suppress(UsageError):
        own |= {*read_record(folder).versions}
    return own | {*others_than("", workers(folder))}


def _neighbours(store: RunStore) -> Iterator[Path]:
    """Yield the other runs of the same model on the same suite whose predictions would be equal."""
    start = "--".join(store.folder.name.split("--")[:2])
    for folder in sorted(store.folder.parent.glob(f"{start}--*")):
        if folder != store.folder:
            spec = _spec(folder)
            if spec is not None and spec.predictions_key == store.spec.predictions_key and _is_as_it_was(folder):
                yield folder


def _is_as_it_was(folder: Path) -> bool:
    """Return whether a run's outputs are those that its record, where it has one, was written with."""
    try:
        return not changed(folder)
    except UsageError:
        return False


def _spec(folder: Path) -> RunSpec | None:
    try:
        return RunSpec.from_json(read_json(folder / "spec.json"))
    except (UsageError, KeyError, TypeError, AttributeError, ValueError):
        return None
