"""What OneIG-Bench's judge is asked, in its makers' words.

Protocol strings, byte for byte those of OneIG-Bench/OneIG-Benchmark 41b4983 (scripts/utils/inference.py; the repository
states no licence, its data set on the hub CC BY-NC 4.0).
"""

from __future__ import annotations

from typing import Final

ANSWER: Final = ". Please answer 'Yes' or 'No' only."
"""What follows a question."""
TRANSCRIBE: Final = (
    "Recognize the text in the image, only reply with the text content, but avoid repeating previously mentioned"
    " content. If no text is recognized, please reply with 'No text recognized'."
)
"""The whole request for a transcript."""
