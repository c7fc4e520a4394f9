"""Reasons for pictures that cannot be decoded: the same words in every run, on every machine."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from janus_eval.evals.errors import UsageError, why_undecodable
from PIL import Image


def test_an_unknown_format_is_said_without_path_or_address(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    for source in (tmp_path / "a.png", io.BytesIO(b"")):
        with pytest.raises(OSError, match="cannot identify") as caught:
            Image.open(source)
        assert why_undecodable(caught.value) == "its format cannot be identified"


def test_a_file_that_is_gone_is_said_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Image.open(tmp_path / "a.png")
    assert why_undecodable(caught.value) == "No such file or directory"


def test_opencvs_reason_does_not_name_where_it_was_built() -> None:
    with pytest.raises(cv2.error) as caught:
        cv2.imdecode(np.zeros(0, np.uint8), cv2.IMREAD_COLOR)
    assert "loadsave.cpp" in str(caught.value)
    assert why_undecodable(caught.value) == "!buf.empty()"


def test_an_error_without_words_gives_its_name() -> None:
    assert why_undecodable(EOFError()) == "EOFError"


def test_an_error_that_repeats_a_file_is_cut() -> None:
    told = str(UsageError("the file holds " + "x" * 100_000))
    assert len(told) < 5000 and told.startswith("the file holds x") and told.endswith("(100,015 characters)")
