"""Drawings and edits of one endpoint (POST /images/...): paid one by one, on disk when they come, looked at first."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EnvironmentProblem, Incomplete, InvalidImage, JanusEvalError, UsageError
from ..files import read_json
from ..pictures import MOST_DRAWN, decoded, read_file, rgb
from ..types import RESIZED, REWRITTEN, Drawn, Json, Refusal
from .chat import Chat
from .forms import File
from .parts import Medium, png
from .purse import Ledger, Ticket
from .replies import Declined, Drawing, Lost, Passing, Refused, RequestFailed, clean, read_drawing

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST = 256 << 20
_FETCHES = 3
"""How often the picture is fetched that a reply names the address of: it is paid."""
_LOST = 2
"""How often a paid drawing is asked for whose reply does not come whole: each time may be paid."""
_WORD = re.compile(r"\bresponse_format\b")
_PROMPTS = ("a photo of a red apple on a white table", "a photo of a blue bicycle in front of a brick wall")
_EDITS = ("make the background blue", "add a green tree")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a drawing or, of `sources` (medium and bytes each), an edit is asked for with."""

    prompt: str
    seed: int
    sources: tuple[tuple[Medium, bytes], ...] = ()

    @property
    def path(self) -> str:
        return "/images/edits" if self.sources else "/images/generations"

    @property
    def files(self) -> list[File]:
        """The sources as OpenAI's own client names them."""
        name = "image" if len(self.sources) == 1 else "image[]"
        return [File(name, *each) for each in self.sources]


class Images:
    """A painter behind an endpoint, safe to use from several threads.

    `fields` go into each request beside model, prompt and n; `seeded` says that a seed does too. `seconds` are for
    one drawing. What goes out and what comes is in `ledger`.
    """

    def __init__(
        self, chat: Chat, model: str, fields: Mapping[str, Json], ledger: Ledger, *, seconds: float, seeded: bool
    ) -> None:
        self.ledger, self.seeded = ledger, seeded
        self._chat, self._model, self._fields, self._seconds = chat, model, fields, seconds
        self._asks_bytes = True

    def draw(self, wish: Wish, sample_id: str, index: int) -> Drawn | Refusal:
        """Return one picture: one that has come already, else a new one.

        What stops everything (no money, a ceiling, a wrong key) stops the other threads before their next request;
        what they have asked for still comes. Raises RequestFailed, EnvironmentProblem, Incomplete, UsageError.
        """
        found = self._at(self.ledger.place(sample_id, index, wish.seed), wish, sample_id, index)
        return found if isinstance(found, Refusal) else self._told(found, wish.prompt)

    def _told(self, path: Path, prompt: str) -> Drawn:
        """Return a drawing with what its PNG tells of how it was made."""
        picture = decoded(read_file(path))
        said: Mapping[str, str] = getattr(picture, "text", {})
        notes = [REWRITTEN] if said.get("revised_prompt", prompt).split() != prompt.split() else []
        size = str(self._fields.get("size", ""))
        if re.fullmatch(r"\d+x\d+", size) and size != f"{picture.width}x{picture.height}":
            notes.append(RESIZED)
        return Drawn(path, said.get("model", ""), tuple(notes))

    def _at(self, place: Path, wish: Wish, sample_id: str, index: int) -> Path | Refusal:
        if place.is_file():
            return place
        met: list[Passing] = []
        free = self.ledger.purse.price.picture == 0
        try:
            while len(met) <= self._chat.retries and (free or sum(each.lost for each in met) < _LOST):
                if met:
                    self._chat.back_off(met)
                try:
                    return self._once(wish, place, sample_id, index, len(met) + 1)
                except Passing as error:
                    met.append(error)
            raise self._chat.gave_up(met)
        except (EnvironmentProblem, Incomplete, UsageError) as error:
            self.ledger.purse.halt(error)
            raise

    def _once(self, wish: Wish, place: Path, sample_id: str, index: int, tries: int) -> Path | Refusal:
        """Ask once; once more where the service does not take the word for bytes, which costs nothing."""
        body: dict[str, Json] = {"model": self._model, "prompt": wish.prompt, "n": 1, **self._fields}
        body |= {"seed": wish.seed % (1 << 31)} if self.seeded else {}
        body |= {"response_format": "b64_json"} if self._asks_bytes and "response_format" not in body else {}
        tickets: list[Ticket] = []
        came = False
        end = self.ledger.end
        try:
            drawing, seconds, headers = self._chat.once(
                wish.path,
                body,
                read_drawing,
                _LARGEST,
                seconds=self._seconds,
                files=wish.files,
                before=lambda: tickets.append(self.ledger.ask(place, sample_id, index, self._chat.stopped)),
            )
            came = True
            facts: dict[str, Json] = {"seconds": round(seconds, 3), "tries": tries, "usage": dict(drawing.usage)}
            facts |= {"model": drawing.model, "request_id": clean(headers.get("x-request-id") or "", (), 100)}
            data = self._picture(drawing)
            self.ledger.keep(place, data)
            facts |= {**drawing.told, "revised_prompt": drawing.revised_prompt or None}
            end(tickets.pop(), "got", usd=_cents(self.ledger.purse.price.of(drawing.usage)), **facts)
            return place
        except Declined as error:
            end(tickets.pop(), "refused", code=error.code, words=error.words)
            return Refusal(error.code, error.words)
        except BaseException as error:
            passing = isinstance(error, Passing) and not error.lost
            failed = passing or (isinstance(error, JanusEvalError) and not isinstance(error, Lost) and not came)
            for each in tickets:
                end(each, "failed" if failed else "lost", why=str(error) or type(error).__name__)
            if not (isinstance(error, Refused) and "response_format" in body and _WORD.search(str(error))):
                raise
        self._asks_bytes = False
        return self._once(wish, place, sample_id, index, tries)

    def _picture(self, drawing: Drawing) -> bytes:
        """Return a drawing as a PNG that holds what the service said of it. Raises Lost."""
        data, why = drawing.image, ""
        for _ in range(_FETCHES if drawing.url else 0):
            try:
                data, why = self._fetched(drawing.url), ""
                break
            except RequestFailed as error:
                why = str(error)
        try:
            if why:
                raise InvalidImage(f"did not come: {why}")
            picture = rgb(decoded(data, MOST_DRAWN))
        except InvalidImage as error:
            raise Lost(f"{self._model}: the picture {error}") from error
        told = {**drawing.told, "revised_prompt": drawing.revised_prompt, "model": drawing.model}
        return _png(picture, {key: value for key, value in told.items() if value})

    def _fetched(self, url: str) -> bytes:
        if not url.startswith("data:"):
            return self._chat.fetch(url, _LARGEST, self._seconds)
        try:
            return base64.b64decode(url.partition(",")[2], validate=True)
        except binascii.Error:
            raise RequestFailed("its data: address is no base64") from None

    # -- the canary -------------------------------------------------------------------------------

    def look(self, size: str, workers: int, *, edits: bool = False) -> None:
        """Draw three or four pictures before the others are paid for, once a run, and keep what they showed.

        With a seed: two seeds must differ, and two prompts; the same again tells whether it is deterministic. Without
        one: the same prompt twice must differ (four pictures of a sample shall be four), and two prompts. Of edits two
        instructions must differ, and two sources; seeds need not. Raises EnvironmentProblem where they do not, naming
        the two files.
        """
        folder = self.ledger.folder / "canary"
        path = folder / "canary.json"
        before: Json = read_json(path) if path.is_file() else None
        if isinstance(before, dict) and "wrong" not in before:
            return
        plan = _edits() if edits else _drawings()
        plan |= {"again": plan["one"]} if self.seeded else {}
        if before is not None:  # what was wrong may be mended: look anew
            for each in folder.glob("*.png"):
                each.unlink()

        def one(what: str) -> Path | Refusal:
            return self._at(folder / f"{what.replace(' ', '-')}.png", plan[what], f"canary: {what}", 0)

        first, *rest = plan  # the first alone: what a service does not take is then known
        drawn = dict(zip(plan, [one(first), *self._chat.gather(one, rest, workers)], strict=True))
        pictures = {what: each for what, each in drawn.items() if isinstance(each, Path)}
        seen = {what: _seen(each) for what, each in pictures.items()}
        found: dict[str, Json] = {"pictures": {what: each.name for what, each in pictures.items()}}
        found["size"] = sorted({each[0] for each in seen.values()})
        if re.fullmatch(r"\d+x\d+", size):
            found["size_as_asked"] = found["size"] == [size]
        if "again" in seen and "one" in seen:
            found["deterministic"] = seen["again"][1] == seen["one"][1]
        wrong = self._wrong(seen, pictures)
        found |= {"wrong": wrong} if wrong else {}
        self.ledger.keep(path, (json.dumps(found, indent=2) + "\n").encode())
        if wrong:
            raise EnvironmentProblem(wrong)

    def _wrong(self, seen: Mapping[str, tuple[str, str]], pictures: Mapping[str, Path]) -> str:
        seeds = "ignores the seed" if self.seeded else "draws a prompt always alike without one: -a seed=send"
        tries = {"other seed": seeds, "other prompt": "ignores the prompt", "other source": "ignores the source"}
        for what, why in tries.items():
            if what in seen and "one" in seen and seen[what][1] == seen["one"][1]:
                files = f"{pictures['one']} and {pictures[what]} ({what})"
                return f"{self._model} {why}: {files} are the same picture; --no-canary draws all the same"
        return ""


def _drawings() -> dict[str, Wish]:
    one, other = _PROMPTS
    return {"one": Wish(one, 1), "other seed": Wish(one, 2), "other prompt": Wish(other, 1)}


def _edits() -> dict[str, Wish]:
    one, other = _EDITS
    disc, square = (_source(each) for each in ("red disc", "yellow square"))
    return {"one": Wish(one, 1, disc), "other prompt": Wish(other, 1, disc), "other source": Wish(one, 1, square)}


def _source(what: str) -> tuple[tuple[Medium, bytes], ...]:
    """Return a source for the canary: a red disc on white, or a yellow square on grey."""
    from PIL import Image, ImageDraw

    disc = what == "red disc"
    picture = Image.new("RGB", (512, 512), "white" if disc else "grey")
    brush = ImageDraw.Draw(picture)
    (brush.ellipse if disc else brush.rectangle)((128, 128, 383, 383), fill="red" if disc else "yellow")
    return (("png", png(picture)),)


def canary_of(ledger: Ledger) -> Mapping[str, Json]:
    """Return what a run's canary showed, for the record; {} where there was none."""
    path = ledger.folder / "canary" / "canary.json"
    found: Json = read_json(path) if path.is_file() else {}
    return {key: each for key, each in found.items() if key != "pictures"} if isinstance(found, dict) else {}


def halting(results: Sequence[object]) -> Exception | None:
    """Return what stops a run among what its threads brought back."""
    return next((each for each in results if isinstance(each, EnvironmentProblem | Incomplete | UsageError)), None)


def _cents(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 6)


def _png(picture: Image, told: Mapping[str, str]) -> bytes:
    from PIL import PngImagePlugin

    notes = PngImagePlugin.PngInfo()
    for key, value in told.items():
        notes.add_itxt(key, value)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1, pnginfo=notes)
    return buffer.getvalue()


def _seen(path: Path) -> tuple[str, str]:
    """Return a picture's size and the digest of its pixels."""
    picture = rgb(decoded(read_file(path)))
    return f"{picture.width}x{picture.height}", hashlib.sha256(picture.tobytes()).hexdigest()
