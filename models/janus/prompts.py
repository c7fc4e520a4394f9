"""Janus prompts: the text and token ids of a turn, exactly as the official repository builds them.

Port of `janus/utils/conversation.py` (separator style DeepSeek) and `janus/models/processing_vlm.py`
of deepseek-ai/Janus 1daa72f (MIT), with one difference on purpose: text that merely spells a
special token stays text. Tokenised with `tokenizers` itself, because transformers' wrappers lose
the begin token or split words wrongly in some versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...evals.errors import EnvironmentProblem, UsageError
from .weights import read_table

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ImagePosition = Literal["before", "after"]

PLAIN_ROLES = ("User", "Assistant")
"""What Janus-1.3B and JanusFlow were given (their README), and VLMEvalKit gives every Janus."""
PRO_ROLES = ("<|User|>", "<|Assistant|>")
"""What the README of Janus-Pro gives it (commit 95bde08, 2025-01-27)."""
OFFICIAL_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the "
    "user provides, and assist the user with a variety of tasks using natural language."
)
"""The class default of VLChatProcessor (deepseek-ai/Janus 1daa72f, MIT): the bytes are the protocol."""

_NAMES = {
    "bos": "<｜begin▁of▁sentence｜>",
    "eos": "<｜end▁of▁sentence｜>",
    "pad": "<｜▁pad▁｜>",
    "image": "<image_placeholder>",
    "begin_image": "<begin_of_image>",
    "end_image": "<end_of_image>",
}


@dataclass(frozen=True, slots=True)
class Special:
    """A control token in a prompt, as opposed to text that spells the same."""

    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """How a conversation is laid out: the role strings, the place of the pictures."""

    roles: tuple[str, str]
    image_position: ImagePosition = "before"


@dataclass(frozen=True, slots=True)
class DrawPrompt:
    """The two prompts of one picture: token ids of equal number.

    The unconditional one keeps the begin token and the last token; all between are pads, which
    are attended.
    """

    conditional: tuple[int, ...]
    unconditional: tuple[int, ...]


class Tokens:
    """The tokenizer of a checkpoint folder and the ids of its control tokens.

    Raises EnvironmentProblem where tokenizer.json is missing, damaged or lacks a control token.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokenizer = read_tokenizer(folder / "tokenizer.json")
        names = {**_NAMES, **_named_specials(folder)}
        if self._tokenizer.token_to_id(_NAMES["pad"]) is not None:
            names["pad"] = _NAMES["pad"]  # the official unconditional prompt takes this one, whatever the map says
        ids = {key: self._tokenizer.token_to_id(name) for key, name in names.items()}
        missing = [names[key] for key, found in ids.items() if found is None]
        if missing:
            raise EnvironmentProblem(
                f"{folder / 'tokenizer.json'} has no special token {missing[0]!r}: take the tokenizer of a Janus model"
            )
        found: dict[str, int] = {key: value for key, value in ids.items() if value is not None}
        self.bos, self.eos, self.pad = found["bos"], found["eos"], found["pad"]
        self.image, self.begin_image, self.end_image = found["image"], found["begin_image"], found["end_image"]
        self.highest = max(self._tokenizer.get_vocab(with_added_tokens=True).values())
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {each.content: number for number, each in added.items() if each.special}
        # From here on the text of a special token is text; control tokens enter by id alone.
        self._tokenizer.encode_special_tokens = True

    def must_belong(self, vocabulary: int) -> None:
        """Raise UsageError where the tokenizer has ids that a model of so many words lacks."""
        if max(self.highest, self.image) >= vocabulary:
            raise UsageError(
                f"{self._folder}: the tokenizer has ids past the model's {vocabulary}; the files do not belong"
            )

    def ids(self, pieces: Sequence[str | Special]) -> list[int]:
        """Return the ids of text and control tokens, without a begin token."""
        ids: list[int] = []
        for piece in _joined(pieces):
            if isinstance(piece, Special):
                ids.append(self._special[piece.text] if piece.text in self._special else self._id(piece.text))
            elif piece:
                ids.extend(self._tokenizer.encode(piece, add_special_tokens=False).ids)
        return ids

    def role(self, text: str) -> list[str | Special]:
        """Return a role string with the special tokens that it names as control tokens."""
        if not self._special:
            return [text]
        pattern = "|".join(re.escape(name) for name in sorted(self._special, key=len, reverse=True))
        parts = re.split(f"({pattern})", text)
        return [Special(part) if part in self._special else part for part in parts if part]

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of generated ids without control tokens; not stripped."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def _id(self, name: str) -> int:
        number = self._tokenizer.token_to_id(name)
        if number is None:
            raise KeyError(name)
        return number


def turn(tokens: Tokens, layout: Turn, content: Sequence[str | Special], *, system: str = "") -> list[str | Special]:
    """Return one user turn and the opening of the answer, as pieces of text and control tokens.

    `[system + blank line] ROLE: content + blank line + ROLE2:`, content stripped at both ends.
    Empty content gives `ROLE:ROLE2:` as the official code does (it takes it for an open turn).
    """
    body = _stripped(content)
    head = [system.lstrip() + "\n\n"] if system.strip() else []
    user, assistant = (tokens.role(each) for each in layout.roles)
    said = [": ", *body, "\n\n"] if body else [":"]
    return [*head, *user, *said, *assistant, ":"]


def draw_prompt(tokens: Tokens, layout: Turn, prompt: str) -> DrawPrompt:
    """Return the prompts that draw a picture: no system prompt, ended by the begin-of-image token."""
    pieces = turn(tokens, layout, [prompt])
    ids = [tokens.bos, *tokens.ids(pieces), tokens.begin_image]
    blank = [tokens.bos, *[tokens.pad] * (len(ids) - 2), tokens.begin_image]
    return DrawPrompt(tuple(ids), tuple(blank))


def read_prompt(
    tokens: Tokens,
    layout: Turn,
    prompt: str,
    *,
    images: int,
    image_tokens: int,
    system: str = "",
    begun: bool = True,
) -> tuple[int, ...]:
    """Return the ids of a question: each picture is begin-of-image, `image_tokens` places, end-of-image.

    Without `begun` no begin-of-image token stands there: the first place is where the model begins.
    """
    places: list[str | Special] = [Special("image") for _ in range(images)]
    content = [*places, prompt] if layout.image_position == "before" else [prompt, *places]
    begin = [tokens.begin_image] if begun else []
    picture = [*begin, *[tokens.image] * image_tokens, tokens.end_image]
    ids = [tokens.bos]
    run: list[str | Special] = []
    for piece in turn(tokens, layout, content, system=system):
        if piece == Special("image"):
            ids += [*tokens.ids(run), *picture]
            run = []
        else:
            run.append(piece)
    return (*ids, *tokens.ids(run))


def _stripped(content: Sequence[str | Special]) -> list[str | Special]:
    """Strip white space at both ends of the content, as far as the first and last control token."""
    pieces = [piece for piece in _joined(content) if piece != ""]
    if pieces and isinstance(pieces[0], str):
        pieces[0] = pieces[0].lstrip()
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] = pieces[-1].rstrip()
    return [piece for piece in pieces if piece != ""]


def _joined(pieces: Sequence[str | Special]) -> list[str | Special]:
    """Join neighbouring texts: words are split on the whole text between two control tokens."""
    joined: list[str | Special] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json. Raises EnvironmentProblem where it is missing or damaged."""
    from tokenizers import Tokenizer

    if not path.is_file():
        raise EnvironmentProblem(f"{path.parent} has no tokenizer.json: fetch the whole model folder")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises the bare class
        raise EnvironmentProblem(f"{path} is damaged: {error}; fetch it again") from error


def _named_specials(folder: Path) -> Mapping[str, str]:
    """Return the begin, end and pad tokens that the folder itself names."""
    path = folder / "special_tokens_map.json"
    if not path.is_file():
        return {}
    table = read_table(path)
    named: dict[str, str] = {}
    for key in ("bos", "eos", "pad"):
        value = table.get(f"{key}_token")
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            named[key] = text
    return named
