"""Texts of D-DiT as ids of T5: what is drawn, what is asked, and an answer read out of a filled sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...evals.errors import EnvironmentProblem, JanusEvalError
from ...evals.types import CUT, Answer
from ..janus.prompts import read_tokenizer
from ..janus.weights import read_table

Protocol = Literal["script", "pipeline"]

QUESTION = "Q: {} A: "
"""As trained (custom_dataset/llava_data_new.py) and evaluated (scripts/sample_sd3_vqav2_single_gpu.py)."""
_END, _MASK, _PAD = "</s>", "<extra_id_0>", "<pad>"
"""T5's names; the mask is its number 32099, which the authors write as a number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question's ids, which stand before its answer."""

    ids: tuple[int, ...]
    protocol: Protocol


class TooLong(JanusEvalError):
    """A question that leaves no room for an answer."""

    lasting = True


class Texts:
    """The tokenizer of a pipeline folder. Text that merely spells a control token stays text.

    Raises EnvironmentProblem where tokenizer.json is missing, damaged or none of T5.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        self._tokenizer = read_tokenizer(path)
        pad = _pad(folder)
        ids = {name: self._tokenizer.token_to_id(name) for name in (_END, _MASK, pad)}
        missing = [name for name, number in ids.items() if number is None]
        if missing:
            raise EnvironmentProblem(f"{path} has no token {missing[0]!r}: take the tokenizer of D-DiT's pipeline")
        self.end, self.mask, self.pad = (ids[name] or 0 for name in (_END, _MASK, pad))
        self.highest = max(self._tokenizer.get_vocab(with_added_tokens=True).values())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True

    def drawn(self, prompt: str, length: int) -> list[int]:
        """Return a prompt's ids, cut and padded to `length`, the end token last of what is not padding."""
        ids = [*self._ids(prompt)[: length - 1], self.end]
        return ids + [self.pad] * (length - len(ids))

    def asked(self, text: str, protocol: Protocol, length: int) -> Asked:
        """Return a question; under `pipeline` the tokenizer's end token stays between it and the answer.

        Raises TooLong where no place of `length` is left for an answer.
        """
        ids = self._ids(QUESTION.format(" ".join(text.split())))
        if protocol == "pipeline":
            ids.append(self.end)
        if len(ids) >= length:
            raise TooLong(
                f"its question has {len(ids)} tokens, question and answer together have {length}: give length="
            )
        return Asked(tuple(ids), protocol)

    def answer(self, asked: Asked, ids: Sequence[int]) -> Answer:
        """Return the answer of a filled sequence: up to the end token, under `pipeline` all but the end tokens."""
        rest = list(ids[len(asked.ids) :])
        ended = self.end in rest
        kept = rest[: rest.index(self.end)] if ended else rest
        if asked.protocol == "pipeline":
            kept = [each for each in rest if each != self.end]
        return Answer(self._tokenizer.decode(kept, skip_special_tokens=False).strip(), "stop" if ended else CUT)

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def _pad(folder: Path) -> str:
    """Return the token that the folder pads with."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder / name
        value = read_table(path).get("pad_token") if path.is_file() else None
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            return text
    return _PAD
