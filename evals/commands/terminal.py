"""What the terminal can: how wide it is, whether it shows colours, whether it shows pictures."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_NARROWEST = 40
"""Columns below which no table is laid out: its lines wrap."""
_WIDTH = 480
"""Pixels at most: a picture on the terminal is a look, not the file."""
_PATIENCE = 0.3
"""Seconds for a terminal's answer; ssh over half the world takes longer, and gets the path."""


def width() -> int | None:
    """Return the terminal's columns; None where the output goes elsewhere: lines are as long as they are, and the same
    everywhere."""
    return max(_NARROWEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def hung(start: str, text: str) -> list[str]:
    """Return `text` behind `start`, its further lines below its first."""
    columns = width()
    if columns is None or len(start) + len(text) <= columns:
        return [(start + text).rstrip()]
    room = max(20, columns - len(start))
    first, *more = textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False)
    return [start + first, *(" " * len(start) + each for each in more)]


def colored() -> bool:
    """Return whether colours may be used."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def picture(read: Callable[[], bytes]) -> str:
    """Return what shows a picture on this terminal; nothing where it cannot, or the picture cannot be read.

    The picture is decoded and written anew, so that no bytes of others reach the terminal.
    """
    draw = _way() if sys.stdout.isatty() else None
    if draw is None:
        return ""
    from ..pictures import decoded, rgb  # pillow is loaded only where something is shown

    try:
        small = rgb(decoded(read()))
        small.thumbnail((_WIDTH, _WIDTH))
        return draw(small)
    except Exception:
        return ""


def _way() -> Callable[[Image], str] | None:
    """Return how this terminal takes pictures, by what it says of itself."""
    program, term = os.environ.get("TERM_PROGRAM", ""), os.environ.get("TERM", "")
    if "TMUX" in os.environ or term.startswith(("screen", "tmux")):  # they take the codes for text
        return None
    if "KITTY_WINDOW_ID" in os.environ or term in ("xterm-kitty", "xterm-ghostty"):
        return kitty
    if program in ("iTerm.app", "WezTerm"):
        return iterm
    return sixel if _takes_sixel() else None


@cache
def _takes_sixel() -> bool:
    """Ask the terminal what it is (DA1): one that takes sixel names the attribute 4. No answer is no."""
    if not sys.stdin.isatty():
        return False
    import select
    import termios
    import tty

    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    answer = b""
    try:
        tty.setcbreak(keys)
        os.write(sys.stdout.fileno(), b"\x1b[c")
        until = time.monotonic() + _PATIENCE
        while not answer.endswith(b"c") and select.select([keys], [], [], max(0.0, until - time.monotonic()))[0]:
            answer += os.read(keys, 64)
    except (OSError, ValueError, termios.error):
        return False
    finally:
        termios.tcsetattr(keys, termios.TCSANOW, before)
    found = re.search(rb"\x1b\[\?([\d;]*)c", answer)
    return found is not None and b"4" in found[1].split(b";")[1:]


def _png(picture: Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()


def kitty(picture: Image) -> str:
    """Return a picture in kitty's graphics protocol: a PNG in base64, in pieces of 4096."""
    text = base64.b64encode(_png(picture)).decode()
    pieces = [text[at : at + 4096] for at in range(0, len(text), 4096)]
    heads = ["a=T,f=100,", *[""] * (len(pieces) - 1)]
    more = [1] * (len(pieces) - 1) + [0]
    return "".join(f"\x1b_G{head}m={m};{each}\x1b\\" for head, m, each in zip(heads, more, pieces, strict=True))


def iterm(picture: Image) -> str:
    """Return a picture as iTerm2 shows it in a line."""
    png = _png(picture)
    return f"\x1b]1337;File=inline=1;size={len(png)}:{base64.b64encode(png).decode()}\a"


def sixel(picture: Image) -> str:
    """Return a picture in DEC's sixels: 256 colours in percent, then bands of six rows, one colour after the other.

    Source: VT330/VT340 Programmer Reference Manual, volume 2, chapter 14.
    """
    import numpy as np

    small = picture.quantize(256)
    colours = np.asarray(small.getpalette(), dtype=np.int64).reshape(-1, 3)
    codes = np.asarray(small)
    height, width = codes.shape
    percent = (colours * 100 + 127) // 255
    parts = [f'\x1bP0;1;0q"1;1;{width};{height}']
    parts += [f"#{each};2;{r};{g};{b}" for each, (r, g, b) in enumerate(percent.tolist())]
    for top in range(0, height, 6):
        band = codes[top : top + 6]
        weights = 1 << np.arange(len(band))[:, None]
        rows = [f"#{each}{_runs(((band == each) * weights).sum(axis=0))}" for each in np.unique(band)]
        parts.append("$".join(rows) + "-")
    return "".join(parts) + "\x1b\\"


def _runs(bits: NDArray[np.int64]) -> str:
    """Return sixels with equal neighbours counted."""
    import numpy as np

    starts = np.flatnonzero(np.diff(bits, prepend=-1))
    lengths = np.diff(starts, append=len(bits))
    pairs = zip(bits[starts].tolist(), lengths.tolist(), strict=True)
    return "".join(f"!{count}{chr(63 + each)}" if count > 3 else chr(63 + each) * count for each, count in pairs)
