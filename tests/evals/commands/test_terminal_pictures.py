"""Pictures on the terminal: what each protocol writes says the picture again, and a terminal is asked what it takes."""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from janus_eval.evals.commands import terminal
from PIL import Image


def colourful(width: int = 37, height: int = 23) -> Image.Image:
    picture = Image.new("RGB", (width, height))
    picture.putdata([((x * 7) % 256, (y * 11) % 256, (x * y) % 256) for y in range(height) for x in range(width)])
    return picture


def read_sixel(text: str) -> Image.Image:
    """Read sixels as a terminal does: colours, repeats, $ back to the band's start, - on to the next."""
    body = re.fullmatch(r"\x1bP0;1;0q(.*)\x1b\\", text, re.DOTALL)
    assert body is not None
    palette: dict[int, tuple[int, int, int]] = {}
    pixels: dict[tuple[int, int], int] = {}
    width = height = x = y = colour = 0
    for raster, define, pick, repeat, plain in re.findall(
        r'"1;1;(\d+;\d+)|#(\d+;2;\d+;\d+;\d+)|#(\d+)|!(\d+[?-~])|([?-~$-])', body[1]
    ):
        if raster:
            width, height = map(int, raster.split(";"))
        elif define:
            number, _, *percent = map(int, define.split(";"))
            palette[number] = tuple(percent)
        elif pick:
            colour = int(pick)
        elif plain == "$":
            x = 0
        elif plain == "-":
            x, y = 0, y + 6
        else:
            count, sign = (int(repeat[:-1]), repeat[-1]) if repeat else (1, plain)
            for at in range(x, x + count):
                pixels |= {(at, y + row): colour for row in range(6) if (ord(sign) - 63) >> row & 1}
            x += count
    picture = Image.new("RGB", (width, height))
    assert len(pixels) == width * height
    picture.putdata(
        [tuple(round(each * 2.55) for each in palette[pixels[x, y]]) for y in range(height) for x in range(width)]
    )
    return picture


@pytest.mark.parametrize("size", [(37, 23), (1, 1), (6, 6), (480, 7)])
def test_sixels_say_the_picture_again(size: tuple[int, int]) -> None:
    picture = colourful(*size)
    shown, few = read_sixel(terminal.sixel(picture)), picture.quantize(256).convert("RGB")
    assert shown.size == size
    pairs = zip(shown.tobytes(), few.tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 2  # percents are coarser than bytes


def test_one_colour_is_a_run() -> None:
    assert len(terminal.sixel(Image.new("RGB", (480, 6), "red"))) < 200


def test_kitty_and_iterm_carry_the_picture_whole() -> None:
    picture = colourful(300, 200)
    pieces = re.findall(r"\x1b_G[^;]*;([^\x1b]*)\x1b\\", terminal.kitty(picture))
    head, _, text = terminal.iterm(picture).partition(":")
    assert head.startswith("\x1b]1337;File=inline=1;size=")
    for data in ("".join(pieces), text.removesuffix("\a")):
        with Image.open(io.BytesIO(base64.b64decode(data))) as again:
            assert again.convert("RGB").tobytes() == picture.tobytes()


ASKS = "from janus_eval.evals.commands import terminal as t; print('TAKES', t._takes_sixel())"


@pytest.mark.parametrize(
    ("answer", "takes"),
    [
        (b"\x1b[?62;4;22c", True),
        (b"\x1b[?62;22c", False),
        (b"\x1b[?4c", False),
        (b"\x1b[?64;14;41c", False),
        (b"", False),
    ],
)
def test_a_terminal_is_asked_whether_it_takes_sixels(answer: bytes, takes: bool, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", ASKS], stdin=theirs, stdout=theirs, cwd=tmp_path)
    os.close(theirs)
    seen = b""

    def be_a_terminal() -> None:
        nonlocal seen
        try:
            while data := os.read(ours, 4096):
                if b"\x1b[c" in data:
                    os.write(ours, answer)
                seen += data
        except OSError:
            return

    thread = threading.Thread(target=be_a_terminal)
    thread.start()
    assert process.wait(60) == 0
    thread.join(10)
    os.close(ours)
    assert f"TAKES {takes}".encode() in seen


def test_where_nobody_can_answer_nobody_is_asked() -> None:
    done = subprocess.run([sys.executable, "-c", ASKS], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.stdout == "TAKES False\n"
