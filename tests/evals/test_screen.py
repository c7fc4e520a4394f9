"""JSON that is printed: the very value comes back, and no text in it is a command to a CI runner."""

from __future__ import annotations

import json

import pytest
from janus_eval.evals import screen


@pytest.mark.parametrize(
    "text", ["##[error]x", "a ##vso[task.setvariable]b", "\\##[x", "###[x", "\u202e##[", "::error::x"]
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_command_in_a_text_is_spelled_out_and_read_back(text: str, indent: int | None) -> None:
    value = {text: [text, {"x": text}]}
    said = screen.as_json(value, indent=indent)
    assert json.loads(said) == value
    assert "##[" not in said and "##vso[" not in said
    assert not any(line.lstrip().startswith("::") for line in said.splitlines())


def test_an_error_that_repeats_a_file_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    screen.fail("x" * 70_000)
    said = capsys.readouterr().err
    assert len(said) < 4200 and said.endswith("xxx... (70,000 characters)\n")
