"""Where the pictures of a folder lie: the one reader of layouts, whoever made the folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from .errors import InvalidImage, UsageError
from .naming import Naming
from .pictures import MOST_BYTES, SUFFIXES

_NUMBERED: Final = re.compile(rf"(\d{{1,9}})\.(?:{'|'.join(SUFFIXES)})", re.ASCII | re.IGNORECASE)
_FLAT: Final = re.compile(rf"(.+)_(\d{{1,9}})\.(?:{'|'.join(SUFFIXES)})", re.ASCII | re.IGNORECASE | re.DOTALL)
_RUN: Final = re.compile(r"\d+", re.ASCII)

Numbers = dict[int, list[Path]]
"""Files by the number in their names; two of one number clash."""


class Folder:
    """A folder's pictures by sample: DIR/ID/samples/N.EXT (GenEval's), DIR/ID/N.EXT, DIR/ID_N.EXT, or a stated pattern.

    A sample's pictures count in the order of their numbers, whatever these are (0000 and 0001, 1 and 2, 42
    alone). EXT is any of `SUFFIXES`; grid.png and all other names are passed over. An ID of digits is found under
    any number of zeros. Nothing outside of DIR is read, symbolic links included.
    """

    def __init__(self, root: Path, pattern: str | None = None, singles: Collection[str] = ()) -> None:
        """Look through a folder; `singles` are samples whose ID.EXT is no picture of another sample.

        Raises UsageError where there is no folder, and for a pattern or CSV that cannot be read.
        """
        if not root.is_dir():
            raise UsageError(f"{root}: no such folder; expected {root}/00000/samples/0000.png and so on")
        self.given = root
        self.root = root.resolve()
        self.naming = None if pattern is None else Naming(pattern, self.root)
        self.alone: dict[str, list[Path]] = {}
        """Files by their names up to the first dot, which the official DPG script takes for an ID."""
        self.others: list[str] = []
        """What is no picture of a sample, as a report names it."""
        self._folders: dict[str, Numbers] = {}
        self._flat: dict[str, Numbers] = {}
        if self.naming is None:
            self._look(frozenset(singles))

    def _look(self, singles: Collection[str]) -> None:
        for path in sorted(self.root.iterdir()):
            if not self._leads_inside(path) and path.suffix[1:].lower() not in SUFFIXES:
                self.others.append(f"{path.name} (a link that leaves the folder)")
            elif path.is_dir() and self._leads_inside(path):
                self._subfolder(path)
            elif path.suffix[1:].lower() in SUFFIXES:
                stem, flat = path.name.split(".")[0], _FLAT.fullmatch(path.name)
                self.alone.setdefault(stem, []).append(path)
                if flat and stem not in singles:
                    self._flat.setdefault(flat[1], {}).setdefault(int(flat[2]), []).append(path)
            else:
                self.others.append(path.name)

    def _subfolder(self, folder: Path) -> None:
        for place in (folder / "samples", folder):
            if not place.is_dir() or not self._leads_inside(place):
                continue
            numbers: Numbers = {}
            for path in sorted(place.iterdir()):
                number = _NUMBERED.fullmatch(path.name)
                if number:
                    numbers.setdefault(int(number[1]), []).append(path)
                elif path.is_file():
                    self.others.append(path.relative_to(self.root).as_posix())
            if numbers:
                self._folders[folder.name] = numbers
                return

    # -- what lies there ------------------------------------------------------------------------------

    def names(self) -> Mapping[str, int]:
        """Return how many pictures each sample has, by the name under which they lie; none with a pattern."""
        return {name: len(numbers) for found in (self._folders, self._flat) for name, numbers in found.items()}

    def most(self) -> int:
        """Return how many pictures the sample has that has the most."""
        counts = self.names().values() if self.naming is None else map(len, self.naming.found.values())
        return max(counts, default=0)

    def candidates(self) -> list[Path]:
        """Return all files that lie where a picture would, whatever they are."""
        if self.naming is not None:
            return [path for numbers in self.naming.found.values() for paths in numbers.values() for path in paths]
        lying = [path for numbers in self._folders.values() for paths in numbers.values() for path in paths]
        return lying + [path for paths in self.alone.values() for path in paths]

    def files(self) -> list[Path]:
        """Return all files that may be a sample's picture and lie inside, sorted."""
        return sorted(path for path in self.candidates() if self.is_inside(path))

    def of(self, sample: str, prompt: str = "") -> list[Path]:
        """Return a sample's pictures in order; none where there are none.

        Raises InvalidImage where two files have one number or two layouts hold pictures of it, UsageError where
        the stated names do not tell samples apart.
        """
        if sample in ("", ".", "..") or "/" in sample or "\0" in sample:
            raise InvalidImage(f"sample {sample!r} cannot name a folder inside {self.root}")
        if self.naming is not None:
            places = [self.naming.of(sample, prompt)]
        else:
            places = [numbers for found in (self._folders, self._flat) for numbers in self._by_name(found, sample)]
        places = [each for each in places if each]
        if len(places) > 1:
            one, two = (next(iter(each.values()))[0].relative_to(self.root) for each in places[:2])
            raise InvalidImage(f"{self.given}: {one} and {two} are both taken for pictures of {sample!r}: keep one")
        for paths in (paths for numbers in places for paths in numbers.values() if len(paths) > 1):
            names = " and ".join(path.name for path in paths)
            raise InvalidImage(f"{self.given}: {names} have one number in the pictures of {sample!r}: keep one")
        return [numbers[number][0] for numbers in places for number in sorted(numbers)]

    def _by_name(self, found: Mapping[str, Numbers], sample: str) -> list[Numbers]:
        """Return what lies under a sample's name, for a name of digits under any number of zeros.

        Another spelling of a number counts only where it is clear what it counts from: a 0 is there, or the folder
        says what it shows. Raises UsageError elsewhere.
        """
        if not _is_number(sample) or not found:
            return [found[sample]] if sample in found else []
        alike = [name for name in found if _is_number(name) and name.lstrip("0") == sample.lstrip("0")]
        for name in alike:
            told = (self.root / name / "metadata.jsonl").exists() or any(not each.strip("0") for each in found)
            if name != sample and not told:
                raise UsageError(
                    f"{self.given}: {name} need not be sample {sample!r}: there is no 0, the count may begin with 1; "
                    "say --pattern '{prompt1}/{index}.png' or '{prompt0}/{index}.png', as they are named"
                )
        return [found[name] for name in alike]

    def check(self, path: Path) -> Path:
        """Return a file of this folder. Raises InvalidImage for anything but a regular one inside, of sane size."""
        if not self.is_inside(path):
            raise InvalidImage(f"{path} is refused: it is no regular file inside {self.root}")
        if path.stat().st_size > MOST_BYTES:
            raise InvalidImage(f"{path} is refused: {path.stat().st_size} bytes is no picture of a benchmark")
        return path

    def is_inside(self, path: Path) -> bool:
        """Return whether a path is a regular file, or a link to one, inside the folder."""
        try:
            return path.is_file() and self._leads_inside(path)
        except OSError:
            return False

    def _leads_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):  # a loop of links
            return False

    # -- what does not fit ----------------------------------------------------------------------------

    def fits(self, sample: str) -> bool:
        """Return whether anything lies where a picture of a sample with such a name, a number or not, would."""
        if self.naming is not None:
            return bool(self.naming.found)
        return any(_is_number(name) or not _is_number(sample) for name in self.names())

    def unfit(self, sample: str) -> str:
        """Return what to say of a folder in which no sample has a picture, `sample` being one of those asked for."""
        folder, some = shlex.quote(str(self.given)), next(self._pictures(), None)
        if self.naming is not None:
            seen = "holds no pictures" if some is None else f"{some.as_posix()!r} is named otherwise"
            return f"{self.given}: nothing in it is named {self.naming.told} for a sample such as {sample!r}; {seen}"
        if some is None:
            return f"{self.given} holds no pictures; expected {sample}/samples/0000.png or {sample}/0.png"
        near = (f"{sample}_0.png", f"{sample}/0.png")
        near = near if len(some.parts) == 1 else (f"{sample}/samples/0000.png", f"{sample}/0.png")
        target = f"{folder}/{shlex.quote(sample)}"
        return (
            f"{self.given}: {some.as_posix()!r} and the others are no pictures of a sample; the nearest layouts are "
            f"{near[0]} and {near[1]}: say how they are named, {_pattern_for(some)}, or make one: "
            f"mkdir -p {target} && cp {folder}/{shlex.quote(some.as_posix())} {target}/0{some.suffix}"
        )

    def _pictures(self) -> Iterator[Path]:
        """Yield whatever has a picture's suffix, below DIR, relative to it; no link is followed."""
        for path in sorted(self.root.rglob("*")):
            if path.suffix[1:].lower() in SUFFIXES and path.is_file() and not path.is_symlink():
                yield path.relative_to(self.root)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _pattern_for(path: Path) -> str:
    """Return the flag that could say how a file like this is named."""
    stem = path.with_suffix("").as_posix()
    runs = list(_RUN.finditer(stem))
    if not runs or "'" in stem or "{" in stem or "}" in stem:
        return "--pattern FILE.csv with the columns file and prompt"
    fields = [(runs[0], "prompt"), (runs[-1], "index")][: len(runs)]
    for run, name in reversed(fields):
        width = f":0{len(run[0])}d" if run[0].startswith("0") and len(run[0]) > 1 else ""
        stem = f"{stem[: run.start()]}{{{name}{width}}}{stem[run.end() :]}"
    return f"such as --pattern '{stem}{path.suffix}'"
