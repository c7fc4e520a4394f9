"""Cuts the makers' grids: python -m janus_eval.benchmarks.oneig.grids IMAGES MODEL TARGET [COLUMNS,ROWS].

IMAGES is the folder that their text2image.py fills, IMAGES/CATEGORY/MODEL/ID.webp; TARGET gets CATEGORY_ID_0.png on, as
`janus-eval score --images` finds them. Of OneIG-Bench/OneIG-Benchmark 41b4983, scripts/utils/utils.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...evals.errors import InvalidImage, JanusEvalError, UsageError
from ...evals.pictures import SUFFIXES, open_picture, read_file
from .questions import CATEGORIES

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDERS: Final = (*CATEGORIES, "text")
_USAGE: Final = "python -m janus_eval.benchmarks.oneig.grids IMAGES MODEL TARGET [COLUMNS,ROWS]"
_GRID: Final = re.compile(r"([1-9]\d?),([1-9]\d?)", re.ASCII)


def squares(path: Path, columns: int = 2, rows: int = 2) -> Iterator[Image]:
    """Yield a grid's pictures, row by row, in RGB; what no whole picture fills at the right and the bottom is lost.

    Raises InvalidImage for a file that is no picture or too small.
    """
    grid = open_picture(read_file(path), path.name)
    width, height = grid.width // columns, grid.height // rows
    if not width or not height:
        raise InvalidImage(f"{path} has {grid.width}x{grid.height} pixels: no grid of {columns} by {rows}")
    for top in range(0, rows * height, height):
        for left in range(0, columns * width, width):
            yield grid.crop((left, top, left + width, top + height))


def cut(images: Path, model: str, target: Path, columns: int = 2, rows: int = 2) -> int:
    """Write the pictures of all grids of a model and return how many there are.

    Raises UsageError where there is no grid, or two files are one prompt's.
    """
    files = [
        (folder, path)
        for folder in FOLDERS
        for path in sorted((images / folder / model).glob("*"))
        if path.suffix[1:].lower() in SUFFIXES
    ]
    if not files:
        raise UsageError(f"{images}: no grid in {images / FOLDERS[0] / model} and so on, of {', '.join(FOLDERS)}")
    seen: dict[str, Path] = {}
    for folder, path in files:
        first = seen.setdefault(f"{folder}_{path.stem}", path)
        if first is not path:
            raise UsageError(f"{first} and {path.name} are both the grid of {folder}_{path.stem}: keep one")
    target.mkdir(parents=True, exist_ok=True)
    for name, path in seen.items():
        for number, picture in enumerate(squares(path, columns, rows)):
            picture.save(target / f"{name}_{number}.png")
    return columns * rows * len(seen)


def main(arguments: Sequence[str]) -> int:
    """Cut and say how many; return the exit code."""
    grid = _GRID.fullmatch(arguments[3] if len(arguments) > 3 else "2,2")
    if len(arguments) not in (3, 4) or grid is None:
        print(f"usage: {_USAGE}", file=sys.stderr)
        return 2
    try:
        count = cut(Path(arguments[0]), arguments[1], Path(arguments[2]), int(grid[1]), int(grid[2]))
    except JanusEvalError as error:
        print(f"grids: error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{count} pictures in {arguments[2]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
