"""Thumbnails: pictures as small WebP files under names of their content, all of them within a budget of bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...evals.errors import EnvironmentProblem, InvalidImage, UsageError
from ...evals.pictures import MOST_DRAWN, decoded, rgb, upright

BUDGET = 50_000_000
"""Bytes that the pictures of a site may take together."""
_MOST, _LEAST = 60_000, 1_500
"""Bytes that one picture may take: where there are few, and where there are very many."""
_STEPS = ((512, 80), (384, 75), (320, 65), (256, 55), (192, 45), (128, 35), (96, 20), (64, 10))
"""(longest side in pixels, quality), tried from the best until one fits."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to show: `name` tells it from others (its digest), `read` gives its encoded bytes."""

    name: str
    read: Callable[[], bytes]


def thumbnails(wanted: Iterable[Wanted], out: Path, budget: int = BUDGET) -> dict[str, str]:
    """Write what is wanted below `out` and return the file of each by its name; one that cannot be read has none.

    A picture that lies there already is not made again. Two threads: Pillow encodes outside the interpreter's lock.
    """
    each_once = list({each.name: each for each in wanted}.values())
    room = max(_LEAST, min(_MOST, budget // max(1, len(each_once))))
    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        files = list(pool.map(partial(_made, out=out, room=room), each_once))
    return {one.name: file for one, file in zip(each_once, files, strict=True) if file}


def _made(one: Wanted, out: Path, room: int) -> str:
    stem = hashlib.sha256(one.name.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    for ready in out.glob(f"{stem}.webp"):
        if ready.stat().st_size <= room:
            return ready.name
    try:
        data = small(one.read(), room)
    except (InvalidImage, OSError, ValueError, EnvironmentProblem, UsageError):
        return ""
    (out / f"{stem}.webp").write_bytes(data)
    return f"{stem}.webp"


def small(data: bytes, room: int, steps: Sequence[tuple[int, int]] = _STEPS) -> bytes:
    """Return an encoded picture as WebP of at most `room` bytes: as large and as good as they allow.

    A picture so noisy that no step fits comes in the last. Raises InvalidImage for one that cannot be decoded.
    """
    from PIL import Image

    picture = rgb(upright(decoded(data, MOST_DRAWN)))
    made = b""
    for side, quality in steps:
        if side != steps[0][0] and side >= 2 * max(picture.size):
            continue
        scaled = picture.copy()
        scaled.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        scaled.save(buffer, "WEBP", quality=quality, method=2)
        made = buffer.getvalue()
        if len(made) <= room:
            break
    return made
