"""Reading what lies in runs' folders: whole lines and pictures of any run, record and scores of a finished one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from .files import disk, dump, lines_with, remembered, sha256, unseal
from .packs import Line, file_of, held, is_place, place_of
from .records import read_spec
from .slim import SHORT
from .types import PICTURES, Evidence, Json, Prediction

Key = tuple[str, str, int]
"""(kind, sample id, index): what names one output within a run."""


class Stored:
    """The predictions and the evidence of a run's folder; what is not whole is named in `damage`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damage: list[str] = []
        self.torn: set[Path] = set()
        """Files that hold lines which are not whole."""
        self._sha256 = remembered()
        self._split: set[Key] = set()
        self._again: dict[Key, Line] = {}
        self._doubted: set[Key] = set()
        self._seen_again: dict[Key, Line] = {}

    def predictions(self) -> dict[Key, Prediction]:
        """Return every whole prediction."""
        texts: dict[Json, Json] = {}  # a million answers are "Yes" and "No": held once
        found: dict[Key, Prediction] = {}
        pictures: dict[Key, list[Line]] = {}
        refused: dict[Key, Prediction] = {}
        for row in self._lines("predictions"):
            if row.get("image") is not None:
                pictures.setdefault(line_key(row), []).append(row)
            elif "refused" in row:
                refused[line_key(row)] = self.prediction(row, texts)
            else:
                key, made = line_key(row), self.prediction(row, texts)
                before = found.setdefault(key, made)
                if (before.text, before.likelihoods) != (made.text, made.likelihoods):
                    self._split.add(key)
                found[key] = made
        for kind, sample_id, index in sorted(self._split & found.keys()):
            self.damage.append(f"{self.folder} has two {kind} outputs of {sample_id}/{index}: it is made again")
        # An output stands, whichever line comes last.
        whole = {key: self.prediction(row, texts) for key, row in self._whole(pictures).items()}
        lost = self.lost("predictions")
        again = {key: self.prediction(row, texts) for key, row in self._again.items()}
        return {key: each for key, each in (refused | found | whole | again).items() if key not in lost}

    def prediction_lines(self) -> dict[Key, Line]:
        """Return the lines of the predictions whose checksum, and whose picture's, is right."""
        rows: dict[Key, Line] = {}
        pictures: dict[Key, list[Line]] = {}
        split: set[Key] = set()
        for row in self._lines("predictions"):
            key = line_key(row)
            if "refused" not in row or key not in rows:  # an output stands, whichever line comes last
                if not _same(rows.get(key, row), row):
                    split.add(key)
                rows[key] = row
            if row.get("image") is not None:
                pictures.setdefault(key, []).append(row)
        whole = self._whole(pictures)
        left = {key: row for key, row in rows.items() if key not in split and (key not in pictures or key in whole)}
        return {key: whole.get(key, row) for key, row in left.items()}

    def note(self, stream: str, rows: Iterable[Line]) -> None:
        """Take note of lines that this process writes: of two of one key the one that is made again stands."""
        if stream == "predictions" and self._split:
            self._again |= {line_key(row): row for row in rows if line_key(row) in self._split}
        elif stream == "evidence" and self._doubted:
            known = {line_key(row): json.loads(dump(row)) for row in rows if row.get("error") is None}
            self._seen_again |= {key: row for key, row in known.items() if key in self._doubted}

    def stands(self, key: Key, row: Line) -> bool:
        """Return whether a line is not one of two of its key in the place of which another was made."""
        if "of" in row:
            return key not in self._seen_again or self._seen_again[key]["data"] == row["data"]
        return key not in self._again or _same(self._again[key], row, refused=True)

    def lost(self, stream: str) -> Collection[Key]:
        """Return the outputs of which there are two, or whose evidence is doubted, and which nobody made again: no line
        of theirs is kept."""
        return self._doubted - self._seen_again.keys() if stream == "evidence" else self._split - self._again.keys()

    def _whole(self, pictures: Mapping[Key, Sequence[Line]]) -> dict[Key, Line]:
        """Return the last line of each key whose picture is what the line says; those without are named in `damage`.

        Of two writers of one picture one came later: its bytes lie there, and its line fits them.
        """
        with ThreadPoolExecutor(8) as pool:
            chosen = list(pool.map(self._fitting, pictures.values()))
        for rows, row in zip(pictures.values(), chosen, strict=True):
            if row is None:
                self.damage.append(f"{rows[-1]['image']} of {self.folder} is damaged or missing: it is made again")
        return {key: row for key, row in zip(pictures, chosen, strict=True) if row is not None}

    def _fitting(self, rows: Sequence[Line]) -> Line | None:
        return next(filter(self.picture_is_whole, reversed(rows)), None)

    def prediction(self, row: Line, texts: dict[Json, Json]) -> Prediction:
        """Return what a line holds; equal short texts are held once, in `texts`."""
        likelihoods, text, served = row.get("likelihoods"), row.get("text"), row.get("served", "")
        return Prediction(
            sample_id=row["sample_id"],
            index=row["index"],
            kind=texts.setdefault(row["kind"], row["kind"]),
            text=texts.setdefault(text, text) if isinstance(text, str) and len(text) <= SHORT else text,
            image=self.folder / row["image"] if row.get("image") is not None else None,
            likelihoods=None if likelihoods is None else tuple(likelihoods),
            finish=str(row.get("finish", "")),
            served=texts.setdefault(served, served),
            notes=tuple(row.get("notes", ())),
            refused=row.get("refused", ""),
            packed=place_of(self.folder, row),
        )

    def picture_is_whole(self, row: Line) -> bool:
        """Return whether the picture of a line lies in this run and has the bytes that the line tells of."""
        place, path = place_of(self.folder, row), file_of(self.folder, row)
        if place is not None or path is None:
            return path is not None and place is not None and held(place) is not None
        try:
            return path.stat().st_size == row["bytes"] and self._sha256(path) == row["sha256"]
        except OSError:
            return False

    def evidence(self, predictions: Mapping[Key, Prediction]) -> dict[Key, Evidence]:
        """Return the evidence that still fits the predictions; failed observations are left out."""
        rows = self.evidence_lines(predictions)
        return {
            key: Evidence(row["sample_id"], row["index"], row["data"], served=row.get("served", ""))
            for key, row in rows.items()
        }

    def evidence_lines(self, predictions: Mapping[Key, Prediction]) -> dict[Key, Line]:
        """Return the lines of the evidence that still fits the predictions."""
        rows = [row for row in self._lines("evidence") if row.get("error") is None]
        if not rows:
            return {}
        digests = prediction_digests(predictions, self._sha256)
        found: dict[Key, Line] = {}
        split: set[Key] = set()
        for row in rows:
            key = line_key(row)
            if row["of"] == digests.get(key):
                if found.setdefault(key, row)["data"] != row["data"]:
                    split.add(key)
                found[key] = row
        for kind, sample_id, index in sorted(split - self._doubted):
            self.doubt((kind, sample_id, index), f"two observations of {sample_id}/{index}; it is looked at again")
        fitting = {key: row for key, row in self._seen_again.items() if row["of"] == digests.get(key)}
        return {key: row for key, row in found.items() if key not in self._doubted} | fitting

    def doubt(self, key: Key, why: str) -> None:
        """Take an output's evidence for none from now on, unless it is made again."""
        self._doubted.add(key)
        self.damage.append(f"{self.folder / 'evidence'}: {why}")

    def _lines(self, stream: str) -> Iterator[dict[str, Json]]:
        ours = whose(self.folder, stream)
        for path in files(self.folder, stream):
            foreign, marked = 0, says_whose(path)
            with disk(self.folder), path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    row = read_line(line, stream)
                    if row is None:
                        self.torn.add(path)
                        self.damage.append(f"{path} line {number} is damaged: its sample is computed again")
                    elif is_foreign(row, ours, marked=marked):
                        foreign += 1
                    else:
                        yield row
            if foreign:
                self.torn.add(path)
                self.damage.append(f"{path}: {foreign} lines are of another run: their samples are computed again")


def whose(folder: Path, stream: str) -> str:
    """Return what new lines of `predictions` or `evidence` are marked with (`for`): the key of their stage, or ""."""
    if not (folder / "spec.json").is_file():
        return ""
    spec = read_spec(folder)
    return spec.evidence_key if stream == "evidence" else spec.predictions_key


def is_foreign(row: Line, ours: str, *, marked: bool = False) -> bool:
    """Return whether a line says that it was made for another run; older ones say nothing, but not in a file that is
    `marked` (`says_whose`)."""
    return bool(ours) and row.get("for", "" if marked else ours) != ours


def says_whose(path: Path) -> bool:
    """Return whether lines of a file say for which run they were made; the lines of a finished run, which a newer
    version may have taken up in the middle, are known by its record."""
    if (path.parent.parent / "record.json").is_file():
        return False
    if not path.is_file():
        return False  # who reads it says what is wrong
    with path.open("rb") as file:
        return any(_MARK.search(line) for line in file)


_MARK = re.compile(rb',"for":"[0-9a-f]{12}"\}\s*$')


def _same(one: Line, other: Line, *, refused: bool = False) -> bool:
    """Return whether two lines of one key hold one text, or likelihoods; pictures are known by their bytes."""
    names = ("text", "likelihoods", "refused") if refused else ("text", "likelihoods")
    return (not refused and "refused" in one) or all(one.get(name) == other.get(name) for name in names)


def files(folder: Path, stream: str) -> list[Path]:
    """Return the files of `predictions` or `evidence`, one of each writer."""
    return sorted(path for path in (folder / stream).glob("*.jsonl") if path.is_file() or path.is_dir())


def read_line(line: bytes, stream: str) -> dict[str, Json] | None:
    """Return the row of a stored line; None where it is not whole, or does not hold what such a line holds."""
    row = unseal(line)
    if row is None or [type(row.get(name)) for name in ("kind", "sample_id", "index")] != [str, str, int]:
        return None
    if stream == "evidence":
        form: Mapping[str, tuple[type, ...]] = {"of": (str,), "error": (str, type(None))}
    else:
        form = _REFUSED if "refused" in row else _FORMS.get(row["kind"], {"kind": ()})
    fits = all(type(row.get(name)) in types for name, types in form.items()) and ("data" in row or stream != "evidence")
    numbers = row.get("likelihoods")
    plain = numbers is None or all(type(each) in (int, float) for each in numbers)
    plain = plain and type(row.get("served", "")) is str and _are_texts(row.get("notes", []))
    drawn = row.get("image") is not None  # a picture's size and digest were looked at where its kind says so
    placed = (row["kind"] in PICTURES or not drawn) and ("pack" not in row or (drawn and is_place(row)))
    return row if fits and plain and placed else None


def _are_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_PICTURE: Mapping[str, tuple[type, ...]] = {"image": (str,), "bytes": (int,), "sha256": (str,)}
_FORMS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "text": {"text": (str,)},
    "likelihood": {"likelihoods": (list,)},
    "image": _PICTURE,
    "edit": _PICTURE,
}
"""What a line of each kind must hold, by type."""
_REFUSED: Mapping[str, tuple[type, ...]] = {"refused": (str,), "image": (type(None),)}


def line_key(row: Line) -> Key:
    """Return the key of a stored line."""
    return (row["kind"], row["sample_id"], row["index"])


def prediction_digests(predictions: Mapping[Key, Prediction], read: Callable[[Path], str] = sha256) -> dict[Key, str]:
    """Return the digest of each prediction's content, what evidence is tied to; `read` gives a picture's."""
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(predictions, pool.map(partial(_digest, read), predictions.values()), strict=True))


def _digest(read: Callable[[Path], str], prediction: Prediction) -> str:
    if prediction.packed is not None:  # which was true when the line was read, and is asked again by who opens it
        return prediction.packed.sha256
    if prediction.image is not None:
        return read(prediction.image)
    return hashlib.sha256(dump([prediction.text, prediction.likelihoods]).encode()).hexdigest()


def read_lines(folder: Path, stream: str) -> Iterator[dict[str, Json]]:
    """Yield the whole lines of a run's `predictions` or `evidence`; damaged and foreign ones are passed over."""
    for path in files(folder, stream):
        with path.open("rb") as file:
            yield from _ours(folder, stream, file)


def lines_of(folder: Path, stream: str, sample_id: str) -> list[dict[str, Json]]:
    """Return the whole lines of one sample in `predictions` or `evidence`, found without reading the others."""
    lines = (line for path in files(folder, stream) for line in lines_with(path, sample_id))
    return [row for row in _ours(folder, stream, lines) if row["sample_id"] == sample_id]


def _ours(folder: Path, stream: str, lines: Iterable[bytes]) -> Iterator[dict[str, Json]]:
    ours = whose(folder, stream)
    for line in lines:
        row = read_line(line, stream)
        if row is not None and not is_foreign(row, ours):
            yield row
