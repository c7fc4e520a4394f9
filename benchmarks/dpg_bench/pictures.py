"""Folders of pictures made by anyone: official 2x2 grids, or single pictures, found by item id."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...evals.errors import InvalidImage, UsageError, why_undecodable
from ...evals.pictures import MOST_DRAWN, decoded, read_file, rgb, size_of

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """One picture of an item: a file, or a square of a grid file."""

    path: Path
    box: Box | None = None

    def read(self) -> Image:
        """Return the picture in RGB. Raises InvalidImage where the file cannot be decoded."""
        try:
            picture = rgb(decoded(read_file(self.path), MOST_DRAWN))
        except (OSError, InvalidImage) as error:
            raise _invalid(self.path, error) from error
        return picture.crop(self.box) if self.box else picture


@dataclass(slots=True)
class Folder:
    """What a folder holds, by item: its pictures by number; and what could not be used, with the reason.

    `pictures` counts those that an item should have. `broken` names items whose file is no
    picture of the right size; `ignored` files that belong to no item.
    """

    pictures: int
    sources: dict[str, dict[int, Source]] = field(default_factory=dict[str, dict[int, Source]])
    broken: dict[str, str] = field(default_factory=dict[str, str])
    ignored: list[str] = field(default_factory=list[str])


def boxes(resolution: int) -> tuple[Box, Box, Box, Box]:
    """Return the squares of a grid in the official order: left top, right top, left bottom, right bottom."""
    r = resolution
    return (0, 0, r, r), (r, 0, 2 * r, r), (0, r, r, 2 * r), (r, r, 2 * r, 2 * r)


def read_folder(folder: Path, item_ids: Iterable[str], resolution: int | None, pic_num: int | None) -> Folder:
    """Find every item's pictures in a folder.

    `ID.png` (any picture suffix; the id is the name up to its first dot, as officially) is a
    2x2 grid of `resolution` or, at that size itself, one single picture. `ID/0.png` ... and
    `ID_0.png` ... are single pictures of any size. Raises UsageError for a missing folder, for
    grids without `resolution` (the official script then fails every item) and for a folder
    without a single known picture.
    """
    need_folder(folder)
    known = set(item_ids)
    found = Folder(pic_num or 0)
    root = folder.resolve()
    for path in sorted(folder.iterdir()):
        if not path.resolve().is_relative_to(root):
            found.ignored.append(f"{path.name} (a link that leaves the folder)")
        elif path.is_dir():
            _subfolder(found, path, known)
        elif path.suffix.lower() not in SUFFIXES:
            found.ignored.append(path.name)
        else:
            _file(found, path, known, resolution)
    if not found.sources and not found.broken:
        raise UsageError(
            f"--images {folder}: none of its {len(found.ignored)} files is named like an item; "
            "expected ITEM_ID.png (2x2 grid), ITEM_ID/0.png or ITEM_ID_0.png"
        )
    numbers = [number + 1 for each in found.sources.values() for number in each]
    found.pictures = pic_num or max(numbers, default=1)
    for each in found.sources.values():
        for number in [number for number in each if number >= found.pictures]:
            del each[number]
    return found


def need_folder(folder: Path) -> None:
    """Raise UsageError where there is no folder of pictures."""
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: no such folder")


def _subfolder(found: Folder, path: Path, known: set[str]) -> None:
    for file in sorted(path.iterdir()):
        plain = file.is_file() and not file.is_symlink() and file.suffix.lower() in SUFFIXES and file.stem.isdecimal()
        if path.name in known and plain:
            found.sources.setdefault(path.name, {})[int(file.stem)] = Source(file)
        else:
            found.ignored.append(f"{path.name}/{file.name}")


def _file(found: Folder, path: Path, known: set[str], resolution: int | None) -> None:
    item = path.name.split(".")[0]
    if item not in known:
        match = re.fullmatch(r"(.+)_(\d+)", item)
        if match is None or match[1] not in known:
            found.ignored.append(path.name)
            return
        found.sources.setdefault(match[1], {})[int(match[2])] = Source(path)
        return
    if resolution is None:
        raise UsageError(f"{path.name}: say --resolution R, the side of one picture in pixels (a 2x2 grid has side 2R)")
    try:
        width, height = _size(path)
    except InvalidImage as error:
        found.broken[item] = str(error)
        return
    if (width, height) == (2 * resolution, 2 * resolution):
        found.sources[item] = {number: Source(path, box) for number, box in enumerate(boxes(resolution))}
    elif (width, height) == (resolution, resolution):
        found.sources[item] = {0: Source(path)}
    else:
        found.broken[item] = (
            f"{path.name} is {width}x{height}; expected {2 * resolution}x{2 * resolution} (grid) "
            f"or {resolution}x{resolution} (single)"
        )


def _size(path: Path) -> tuple[int, int]:
    try:
        return size_of(path, MOST_DRAWN)
    except (OSError, InvalidImage) as error:
        raise _invalid(path, error) from error


def _invalid(path: Path, error: InvalidImage | OSError) -> InvalidImage:
    why = error if isinstance(error, InvalidImage) else why_undecodable(error)
    return InvalidImage(f"invalid image {path.name}: {why}")


def write_grid(target: Path, pictures: Iterable[Path]) -> str | None:
    """Write up to four equal square pictures as the official 2x2 grid; return why it could not be done."""
    import PIL.Image

    files = list(pictures)
    try:
        sizes = {_size(path) for path in files}
        if len({side for size in sizes for side in size}) != 1:
            told = ", ".join(sorted(f"{width}x{height}" for width, height in sizes))
            return f"{target.stem}: pictures of {told} form no grid"
        side = sizes.pop()[0]
        if (2 * side) ** 2 > MOST_DRAWN:
            return (
                f"{target.stem}: pictures of {side}x{side} form a grid of more than {MOST_DRAWN:,} pixels: none is made"
            )
        grid = PIL.Image.new("RGB", (2 * side, 2 * side))
        for path, box in zip(files, boxes(side), strict=False):  # one at a time: four large ones fill memory
            grid.paste(Source(path).read(), box[:2])
    except InvalidImage as error:
        return str(error)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(target.name + ".part")
    grid.save(draft, format="PNG")
    draft.replace(target)
    return None
