"""What every VQA scorer of DPG-Bench has in common: it answers questions about pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

Said = Sequence[Sequence[tuple[str, bool]]]
"""For each picture and each of its questions: the answer, and whether the question was cut short."""


class VqaModel(Protocol):
    """Anything that answers questions about pictures; weights are loaded when it is made."""

    def ask(self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]) -> Said: ...
