"""The files that the official GenEval scripts write and read: metadata.jsonl, grid.png, results.jsonl."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...evals.errors import EnvironmentProblem, InvalidImage
from ...evals.pictures import MOST_DRAWN, decoded, read_file, rgb, size_of
from ...evals.types import Json, Prediction, Sample, Score

if TYPE_CHECKING:
    from PIL.Image import Image

_GAP = 2
_MOST_PIXELS = 36_000_000
"""Four pictures of 3000x3000; the grid is for looking at, and four are made at a time."""


def image_path(sample_id: str, index: int) -> str:
    """Return where the official layout has a picture, below the images folder."""
    return f"{sample_id}/samples/{index:04d}.png"


def write_layout(
    folder: Path, samples: Sequence[Sample], predictions: Iterable[Prediction], count: int
) -> Mapping[str, str]:
    """Write metadata.jsonl and grid.png of each sample below `folder`, where the pictures lie already.

    Returns why a sample has no grid, by its id. Raises EnvironmentProblem where the disk refuses.
    """
    pictures: dict[str, dict[int, Path]] = {}
    for each in predictions:
        if each.image is not None:
            pictures.setdefault(each.sample_id, {})[each.index] = each.image

    def write(sample: Sample) -> str | None:
        _publish(folder / sample.id / "metadata.jsonl", json.dumps(sample.target).encode())
        mine = pictures.get(sample.id, {})
        if not mine:
            return None
        try:
            _publish(folder / sample.id / "grid.png", grid([mine.get(index) for index in range(count)]))
        except InvalidImage as error:
            return str(error)
        return None

    with ThreadPoolExecutor(4) as pool:
        found = zip(samples, pool.map(write, samples), strict=True)
        return {sample.id: why for sample, why in found if why is not None}


def grid(paths: Sequence[Path | None]) -> bytes:
    """Return a PNG with the pictures two a row on black, 2 pixels apart, as `make_grid(nrow=2)` sets them.

    A picture that is missing or cannot be decoded stays black: the run names it elsewhere. Raises InvalidImage
    where the grid would have more pixels than four threads should hold.
    """
    from PIL import Image

    sizes = [None if path is None else _size(path) for path in paths]
    width = max((each[0] for each in sizes if each is not None), default=1) + _GAP
    height = max((each[1] for each in sizes if each is not None), default=1) + _GAP
    columns = min(2, len(paths))
    side = (columns * width + _GAP, -(-len(paths) // columns) * height + _GAP)
    if side[0] * side[1] > _MOST_PIXELS:
        raise InvalidImage(f"a grid of {side[0]}x{side[1]} pixels is not made: at most {_MOST_PIXELS:,}")
    sheet = Image.new("RGB", side)
    for number, path in enumerate(paths):
        picture = None if path is None or sizes[number] is None else _decoded(path)
        if picture is not None:
            sheet.paste(picture, (number % columns * width + _GAP, number // columns * height + _GAP))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return size_of(path, MOST_DRAWN)
    except (OSError, InvalidImage):
        return None


def _decoded(path: Path) -> Image | None:
    try:
        return rgb(decoded(read_file(path), MOST_DRAWN))
    except (OSError, InvalidImage):
        return None


def write_results(path: Path, samples: Sequence[Sample], scores: Sequence[Score]) -> None:
    """Write results.jsonl as evaluate_images.py does, for the official summary_scores.py to read.

    A picture without a verdict has no line: that script knows right and wrong only.
    """
    asked = {each.id: each.target for each in samples}
    lines = [
        json.dumps(_result(score, asked[score.sample_id]), separators=(",", ":"))
        for score in scores
        if score.value is not None
    ]
    _publish(path, "".join(line + "\n" for line in lines).encode())


def write_notes(path: Path, notes: Mapping[str, str]) -> None:
    """Write what was left out, by sample; nothing, and no file, where nothing was."""
    if notes:
        _publish(path, (json.dumps(notes, indent=1) + "\n").encode())
    else:
        path.unlink(missing_ok=True)


def _result(score: Score, row: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "filename": f"images/{image_path(score.sample_id, score.index)}",
        "tag": row["tag"],
        "prompt": row["prompt"],
        "correct": bool(score.value),
        "reason": score.reason,
        "metadata": json.dumps(row),
        "details": json.dumps(score.details),
    }


def _publish(path: Path, data: bytes) -> None:
    """Write a file by write and rename. Raises EnvironmentProblem where the disk refuses."""
    part = path.with_name(f".part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder itself may be what is wrong
            part.unlink(missing_ok=True)
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}; mend it and run the same command") from error
