"""What the terminal can: how wide it is, whether it shows colours, whether it shows pictures."""

from __future__ import annotations

import base64
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable

_NARROWEST = 40
"""Columns below which no table is laid out: its lines wrap."""
_WIDTH = 480
"""Pixels at most: a picture on the terminal is a look, not the file."""


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
        held = io.BytesIO()
        small.save(held, "PNG")
    except Exception:
        return ""
    return draw(held.getvalue())


def _way() -> Callable[[bytes], str] | None:
    """Return how this terminal takes pictures, by what it says of itself."""
    program, term = os.environ.get("TERM_PROGRAM", ""), os.environ.get("TERM", "")
    if "TMUX" in os.environ or term.startswith(("screen", "tmux")):  # they take the codes for text
        return None
    if "KITTY_WINDOW_ID" in os.environ or term in ("xterm-kitty", "xterm-ghostty"):
        return kitty
    return iterm if program in ("iTerm.app", "WezTerm") else None


def kitty(png: bytes) -> str:
    """Return kitty's graphics protocol for a PNG: base64 in pieces of 4096."""
    text = base64.b64encode(png).decode()
    pieces = [text[at : at + 4096] for at in range(0, len(text), 4096)]
    heads = ["a=T,f=100,", *[""] * (len(pieces) - 1)]
    more = [1] * (len(pieces) - 1) + [0]
    return "".join(f"\x1b_G{head}m={m};{each}\x1b\\" for head, m, each in zip(heads, more, pieces, strict=True))


def iterm(png: bytes) -> str:
    """Return iTerm2's inline picture."""
    return f"\x1b]1337;File=inline=1;size={len(png)}:{base64.b64encode(png).decode()}\a"
