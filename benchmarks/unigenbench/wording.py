"""UniGenBench's two languages: the makers' protocol text, kinds of checkpoints and names of columns in each.

asked.txt, checkpoints.json, asked_cn.txt and checkpoints_cn.json are protocol strings, byte for byte those of
CodeGoat24/UniGenBench 49d0bce (eval/src/eval_common.py; License.txt: CC BY 4.0, Copyright (C) 2025 Tencent).
kinds_cn.json says which English kind each Chinese one is, read off the two short tables, row by row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final


@cache
def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_bytes().decode()


@cache
def _table(name: str) -> Mapping[str, str]:
    return json.loads(_read(name))


@dataclass(frozen=True, slots=True)
class Wording:
    """What the makers' script and tables say in one language."""

    mark: str
    """What the files' names end with."""
    prompt: str
    told: str
    kinds: str
    meant: str
    theme: str
    defined: str
    described: str

    @property
    def text(self) -> str:
        """The protocol text, with {prompt}, {testpoint}, {explanation} and {test_explanation} to fill in."""
        return _read(f"asked{self.mark}.txt")

    @property
    def checkpoints(self) -> Mapping[str, str]:
        """The 27 kinds of checkpoints with the makers' explanation of each."""
        return _table(f"checkpoints{self.mark}.json")

    @property
    def digest(self) -> str:
        """The start of the SHA-256 of text and explanations."""
        told = self.text + "".join(f"{key}: {value}" for key, value in self.checkpoints.items())
        return hashlib.sha256(told.encode()).hexdigest()[:8]

    def english(self, kind: str) -> str:
        """Return a kind's English name, under which its numbers go."""
        return _table(f"kinds{self.mark}.json")[kind] if self.mark else kind

    def asked(self, prompt: str, kinds: Sequence[str], descriptions: Sequence[str]) -> str:
        """Return what is asked about a picture of a prompt, as the makers' script writes it."""
        explained = "".join(f"\n{kind}: {self.checkpoints[kind]}" for kind in kinds)
        described = "".join(f"\n{kind}: {each}" for kind, each in zip(kinds, descriptions, strict=True))
        return self.text.format(
            prompt=prompt,
            testpoint=list(kinds),
            explanation=f"{self.defined}:\u300c{explained}\n\u300d",
            test_explanation=f"{self.described}:\u300c{described}\n\u300d",
        )


ENGLISH: Final = Wording(
    mark="",
    prompt="prompt_en",
    told="sub_dims_en",
    kinds="Testpoints",
    meant="Testpoint Description",
    theme="Primary Categories",
    defined="Checkpoints Defination",
    described="Checkpoints Description",
)
CHINESE: Final = Wording(
    mark="_cn",
    prompt="prompt_zh",
    told="sub_dims_zh",
    kinds="考点",
    meant="考点对应描述",
    theme="一级垂类",
    defined="考点说明",
    described="考点描述说明",
)
