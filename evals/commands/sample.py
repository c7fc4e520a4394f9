"""One sample of a run, whole: what was asked of the model and expected, what it gave, what each protocol read in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap

from ..errors import JanusEvalError, UsageError, hint
from ..files import QUICK, changed
from ..packs import picture, place_of
from ..records import iter_scores, read_spec, scores_of
from ..remade import suite_of
from ..stored import lines_of, read_lines
from ..types import Json, Picture, Sample

Line = str | Callable[[], bytes]
"""A line of text, or what reads the picture that stands there."""
_NOTHING = (None, "", [], {})
_MANY = 20_000
"""A table of more rows takes seconds to read: more than looking at one sample is worth unasked."""
_LONG = 4000
"""Longer texts are cut on the terminal; `--json` has them whole."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a run's folder and its data tell of one sample.

    `sample` is None where the data are gone; `doubt` then says why, else what to doubt in it. The rows of
    `predictions`, `evidence` and `scores` are as they are stored.
    """

    folder: Path
    sample: Sample | None
    doubt: str
    rows: Mapping[str, Sequence[Mapping[str, Json]]]

    def to_json(self) -> dict[str, Json]:
        """Return what `show --id --json` prints."""
        row: dict[str, Json] = {}
        if self.sample is not None:
            each = self.sample
            pictures = [{"name": one.name, "file": str(one.source) if one.source else None} for one in each.images]
            row = {"id": each.id, "prompt": each.prompt, "system": each.system, "images": pictures}
            row |= {"options": list(each.options), "target": each.target, "tags": dict(each.tags)}
        row |= {"doubt" if self.sample else "lacks": self.doubt}
        return {"sample": {key: value for key, value in row.items() if value not in _NOTHING}, **self.rows}


def known_of(folder: Path, sample: str, *, patient: bool = False) -> Known:
    """Return all that is known of `ID` or `ID/INDEX`; what a very large table holds of it only where `patient`.

    Raises UsageError with the nearest id for an unknown one.
    """
    scored = (folder / "scores.jsonl").is_file()
    for line in changed(folder, QUICK):
        raise UsageError(f"{line}; run the same command again")
    for wanted, index in ((sample, None), _split(sample)):
        found = {stream: lines_of(folder, stream, wanted) for stream in ("predictions", "evidence")}
        found["scores"] = [asdict(each) for each in scores_of(folder, wanted)] if scored else []
        kept = {stream: [row for row in rows if index in (None, row["index"])] for stream, rows in found.items()}
        if any(kept.values()):
            return Known(folder, *_asked(folder, wanted, patient=patient), kept)
    read_spec(folder)  # a folder that is no run is said before a sample that is not in it
    ids = {each.sample_id for each in iter_scores(folder)} if scored else set[str]()
    ids |= set() if scored else {row["sample_id"] for row in read_lines(folder, "predictions")}
    raise UsageError(f"{folder} has no sample {sample!r}{hint(sample, ids)}")


def _asked(folder: Path, sample_id: str, *, patient: bool) -> tuple[Sample | None, str]:
    """Return a sample as the run's data hold it today, and why there is none or what to doubt in it."""
    card = read_spec(folder).benchmark_card
    rows = card.get("rows")
    if isinstance(rows, int) and rows > _MANY and not patient:
        return None, f"the question stands among {rows:,} rows, which take a while to read: --question reads them"
    try:
        suite = suite_of(folder)
        found = next((each for each in suite.samples() if each.id == sample_id), None)
    except JanusEvalError as error:
        return None, f"the data of this run cannot be read: {error}"
    if found is None:
        return None, "the data that the run's options name have no such sample any more"
    moved = [key for key, value in suite.card.items() if key in card and card[key] != value]
    return found, f"the data or their reading changed since the run: {', '.join(moved)}" if moved else ""


def _split(sample: str) -> tuple[str, int | None]:
    head, slash, tail = sample.rpartition("/")
    return (head, int(tail)) if slash and tail.isdecimal() and tail.isascii() else (sample, None)


# -- on the terminal ----------------------------------------------------------------------------------


def lines(known: Known, width: int) -> Iterator[Line]:
    """Yield what is known of a sample: lines of at most `width` columns where words allow it, pictures as readers."""
    if known.doubt:
        yield from _field("doubt" if known.sample else "lacks", known.doubt, width)
    if known.sample is not None:
        yield from _field("system", known.sample.system, width)
        yield from _field("question", known.sample.prompt, width)
        for each in known.sample.images:
            yield from _field("picture", _place(each), width)
            yield each.read
        yield from _target(known.sample.target, width)
        for key, value in known.sample.tags.items():
            yield from _field("gold" if key == "answer" else key, value, width)
    for index in sorted({row["index"] for rows in known.rows.values() for row in rows}):
        yield from ("", f"output {index}")
        yield from _output(known, index, width)


def _place(picture: Picture) -> str:
    """Return where a picture lies: its file, or its name within the table that holds it."""
    if picture.source is None:
        return f"{picture.name} (no file of its own)"
    return str(picture.source) if picture.source.name == picture.name else f"{picture.name} in {picture.source}"


def gold(sample: Sample) -> Json:
    """Return the right answer of a sample, where it has one that can be named; else None."""
    target = sample.target
    return target.get("answer") if isinstance(target, dict) else sample.tags.get("answer") if target is None else target


def _target(target: Json, width: int) -> Iterator[str]:
    """Yield what is expected: an object's entries as fields, all else as `gold`."""
    if not isinstance(target, dict):
        yield from _field("gold", target, width)
        return
    for key, value in target.items():
        if key not in ("prompt", "question", "letters", "nan"):  # said already, or of use to the scorer alone
            yield from _field("gold" if key == "answer" else key, value, width)


def _output(known: Known, index: int, width: int) -> Iterator[Line]:
    rows = {name: [row for row in held if row["index"] == index] for name, held in known.rows.items()}
    for row in rows["predictions"]:
        if row.get("image") is not None:
            path, place = known.folder / row["image"], place_of(known.folder, row)
            told = str(path) if place is None else f"{row['image']} in {place.pack}, from byte {place.at}"
            yield from _field("picture", told, width)
            if place is not None or path.resolve().is_relative_to(known.folder.resolve()):
                yield partial(picture, known.folder, row)
        else:
            yield from _field("answer", row.get("text", row.get("likelihoods")), width)
            yield from _field("refused", row.get("refused"), width)
        if row.get("finish") != "stop":
            yield from _field("ended", row.get("finish", ""), width)
    for row in rows["evidence"]:
        yield from _evidence(row, width)
    readings = [(row["protocol"] or "-", _verdict(row["value"]), *_reading(row)) for row in rows["scores"]]
    widest = [max((len(each[column]) for each in readings), default=0) for column in (0, 1)]
    for protocol, verdict, read, why in readings:
        start = f"  {protocol:<{widest[0]}}  {verdict:<{widest[1]}}  "
        told = "  ".join(each for each in (f"read {read}" if read else "", why) if each)
        yield from _wrapped(start, told, width)


def _evidence(row: Mapping[str, Json], width: int) -> Iterator[str]:
    """Yield what an observer saw; of a judge each reply and what it was taken for."""
    if row.get("error"):
        yield from _field("failed", row["error"], width)
        return
    data: Json = row.get("data")
    runs: Json = data.get("runs") if isinstance(data, dict) else None
    if not isinstance(runs, list) or not all(isinstance(each, dict) for each in runs):
        for key, value in data.items() if isinstance(data, dict) else [("seen", data)]:
            if key != "masks":  # runs of pixels: for --draw, not for eyes
                yield from _field(key, value, width)
        return
    for each in runs:
        for call in each.get("calls") or ():
            yield from _field("judge", f"{call.get('model', '')}: {call.get('reply', '')}", width)
        why = each.get("error") or each.get("reason")
        yield from _field("judged", f"{_verdict(each.get('value'))}{f': {why}' if why else ''}", width)


def _verdict(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "no verdict" if value is None else str(value)
    return {1.0: "right", 0.0: "wrong"}.get(value, f"{value:g}")


def _reading(row: Mapping[str, Json]) -> tuple[str, str]:
    """Return what a protocol read in an output, and why it counts as it does."""
    answer, why = row.get("answer"), str(row.get("reason") or "")
    unread = "could not be read: the protocol's own rule took over" if row.get("unparsed") else ""
    return "" if answer is None else _compact(answer), "; ".join(each for each in (why, unread) if each)


def _field(name: str, value: Json, width: int) -> Iterator[str]:
    """Yield a name and its value; an object's entries and a list's rows stand on lines of their own."""
    if value in _NOTHING:
        return
    if isinstance(value, dict):
        parts = [f"{key}: {_compact(each)}" for key, each in value.items() if each not in _NOTHING]
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        parts = [_compact(each) for each in value]
    else:
        parts = _compact(value).strip("\n").split("\n")
    start = f"{name:<9} "
    for each in parts:
        yield from _wrapped(start, each if len(each) <= _LONG else f"{each[:_LONG]} ... (cut here; --json: all)", width)
        start = " " * len(start)


def _compact(value: Json) -> str:
    """Return a value on one line, without JSON's brackets where words do."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_compact(each)}" for key, each in value.items() if each not in _NOTHING)
    if isinstance(value, list):
        return ", ".join(f"[{_compact(each)}]" if isinstance(each, list) else _compact(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _wrapped(start: str, text: str, width: int) -> Iterator[str]:
    room = max(20, width - len(start))
    for each in wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]:
        yield (start + each).rstrip()
        start = " " * len(start)
