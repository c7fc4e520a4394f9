"""Texts that say nothing to a reader, and texts that do."""

from __future__ import annotations

import pytest
from janus_eval.evals.blanks import shows


@pytest.mark.parametrize(
    "text",
    [
        *("", " \n", "\u00a0\u3000", "\u200b\u200d\ufeff", "\u00ad", "\u2800", "\u3164", "\uffa0\u115f", "\0\x07"),
        *("<|im_end|>", "<|endoftext|>\n", "</s>", "<pad><pad>", "<eos>", "<end_of_turn>", "<|eot_id|>"),
        *("<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>\n\n", "<｜end▁of▁sentence｜>"),
    ],
)
def test_what_says_nothing(text: str) -> None:
    assert not shows(text)


@pytest.mark.parametrize(
    "text", ["No</s>", ".", "?", "0", "否", "é", "👍\ufe0f", "<b>", "<|", "< s >", "a|b", "<unk", "assistant"]
)
def test_what_says_something(text: str) -> None:
    assert shows(text)
