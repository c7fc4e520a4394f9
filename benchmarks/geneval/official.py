"""The files that the official GenEval scripts write and read: metadata.jsonl, grid.png, results.jsonl."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...evals.errors import EnvironmentProblem
from ...evals.types import Json, Prediction, Sample, Score

if TYPE_CHECKING:
    from PIL.Image import Image

_GAP = 2
_MOST_PIXELS = 64_000_000


def image_path(sample_id: str, index: int) -> str:
    """Return where the official layout has a picture, below the images folder."""
    return f"{sample_id}/samples/{index:04d}.png"


def write_layout(folder: Path, samples: Sequence[Sample], predictions: Iterable[Prediction], count: int) -> None:
    """Write metadata.jsonl and grid.png of each sample below `folder`, where the pictures lie already.

    Raises EnvironmentProblem where the disk refuses.
    """
    pictures: dict[str, dict[int, Path]] = {}
    for each in predictions:
        if each.image is not None:
            pictures.setdefault(each.sample_id, {})[each.index] = each.image

    def write(sample: Sample) -> None:
        _publish(folder / sample.id / "metadata.jsonl", json.dumps(sample.target).encode())
        mine = pictures.get(sample.id, {})
        if mine:
            _publish(folder / sample.id / "grid.png", grid([mine.get(index) for index in range(count)]))

    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(write, samples):
            pass


def grid(paths: Sequence[Path | None]) -> bytes:
    """Return a PNG with the pictures two a row on black, 2 pixels apart, as `make_grid(nrow=2)` sets them.

    A picture that is missing or cannot be decoded stays black: the run names it elsewhere.
    """
    from PIL import Image

    pictures = [None if path is None else _decoded(path) for path in paths]
    width = max((each.width for each in pictures if each is not None), default=1) + _GAP
    height = max((each.height for each in pictures if each is not None), default=1) + _GAP
    columns = min(2, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP))
    for number, each in enumerate(pictures):
        if each is not None:
            sheet.paste(each, (number % columns * width + _GAP, number // columns * height + _GAP))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _decoded(path: Path) -> Image | None:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return None
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
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
