"""Folders of pictures made by anyone: official 2x2 grids, or single pictures, found by item id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...evals import layouts
from ...evals.errors import InvalidImage, UsageError, why_undecodable
from ...evals.pictures import MOST_DRAWN, decoded, read_file, rgb, size_of

if TYPE_CHECKING:
    from PIL.Image import Image

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


def read_folder(
    folder: Path,
    items: Mapping[str, str],
    resolution: int | None,
    pic_num: int | None,
    pattern: str | None = None,
) -> Folder:
    """Find every item's pictures in a folder; `items` holds the prompts by id.

    `ID.png` (any picture suffix; the id is the name up to its first dot, as officially) is a
    2x2 grid of `resolution` or, at that size itself, one single picture. All else is as `layouts.Folder`
    reads it: single pictures of any size, counted in order. Raises UsageError for a missing folder, for
    grids without `resolution` (the official script then fails every item) and for a folder
    without a single known picture.
    """
    need_folder(folder)
    lying = layouts.Folder(folder, pattern, singles=items.keys())
    found = Folder(pic_num or 0, ignored=list(lying.others))
    taken: set[Path] = set()
    for item, prompt in items.items():
        grids = lying.alone.get(item, [])
        taken.update(grids)
        try:
            singles = lying.of(item, prompt)
            taken.update(singles)
            if len(grids) + bool(singles) > 1:
                names = " and ".join(path.name for path in (*grids, *singles[:1]))
                raise InvalidImage(f"{names} are both taken for its pictures: keep one")
            sources = {number: Source(lying.check(path)) for number, path in enumerate(singles)}
            sources = _grid(lying.check(grids[0]), resolution) if grids else sources
        except InvalidImage as error:
            found.broken[item] = str(error)
            continue
        if sources:
            found.sources[item] = sources
    found.ignored += sorted(path.relative_to(lying.root).as_posix() for path in set(lying.candidates()) - taken)
    if not found.sources and not found.broken:
        raise UsageError(f"--images {lying.unfit(next(iter(items)))}")
    found.pictures = pic_num or max(map(len, found.sources.values()), default=1)
    for each in found.sources.values():
        for number in [number for number in each if number >= found.pictures]:
            del each[number]
    return found


def _grid(path: Path, resolution: int | None) -> dict[int, Source]:
    """Return the pictures of a grid, or a single one. Raises InvalidImage where it has the size of neither."""
    if resolution is None:
        raise UsageError(f"{path.name}: say --resolution R, the side of one picture in pixels (a 2x2 grid has side 2R)")
    width, height = _size(path)
    if (width, height) == (2 * resolution, 2 * resolution):
        return {number: Source(path, box) for number, box in enumerate(boxes(resolution))}
    if (width, height) == (resolution, resolution):
        return {0: Source(path)}
    raise InvalidImage(
        f"{path.name} is {width}x{height}; expected {2 * resolution}x{2 * resolution} (grid) "
        f"or {resolution}x{resolution} (single)"
    )


def need_folder(folder: Path) -> None:
    """Raise UsageError where there is no folder of pictures."""
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: no such folder")


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
