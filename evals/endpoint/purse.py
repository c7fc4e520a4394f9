"""What drawings cost: a price, a ceiling that no request passes, and a journal of what was asked for and came."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Incomplete
from ..files import disk, publish, seal, unseal, write_all
from ..types import Json

_CRUMB = 1e-9
"""US$ that sums of fractions may be off."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a drawing costs in US$: so much a `picture`, or by `tokens`, for a million of text in, pictures in and out.

    Where both are known, `picture` is what the tokens are expected to come to. `origin` says where the numbers come
    from. Neither known is None: then nothing can be said before the first one is paid.
    """

    picture: float | None = None
    tokens: tuple[float, float, float] | None = None
    origin: str = ""

    def of(self, usage: Mapping[str, int]) -> float | None:
        """Return what a drawing cost that took these tokens; None where that cannot be told."""
        if self.tokens is None or "output_tokens" not in usage:
            return self.picture
        drawn, pictures = usage["output_tokens"], usage.get("input_image_tokens", 0)
        words = usage.get("input_text_tokens", usage.get("input_tokens", 0) - pictures)
        return sum(n * each for n, each in zip((words, pictures, drawn), self.tokens, strict=True)) / 1e6


class Purse:
    """What one model may spend, shared by its threads and by all of its runs in one command.

    A request takes its price before it goes out, and waits where those under way leave too little: what is under way,
    and what may have been paid for, counts as paid.
    """

    def __init__(self, price: Price, ceiling: float | None) -> None:
        self.price, self.ceiling = price, ceiling
        self._change = threading.Condition()
        self._paid = self._held = self._dearest = 0.0
        self._under_way = 0
        self._halted: Exception | None = None

    @property
    def next(self) -> float:
        """Return what the next drawing may cost: the price, or that of the dearest so far."""
        known = max(self.price.picture or 0.0, self._dearest)
        if known or self.price.picture is not None or self.ceiling is None:
            return known
        return max(0.0, self.ceiling - self._paid)  # nothing is known yet: one goes alone

    def take(self, stopped: Callable[[], bool] = lambda: False) -> float:
        """Take the price of a drawing. Raises Incomplete where it could pass the ceiling, or what `halt` was given."""
        with self._change:
            while True:
                if self._halted is not None:
                    raise self._halted
                cost = self.next
                free = cost > 0 or self.price.picture == 0  # with nothing left of an unknown price, nothing is free
                if self.ceiling is None or (free and self._paid + self._held + cost <= self.ceiling + _CRUMB):
                    self._held, self._under_way = self._held + cost, self._under_way + 1
                    return cost
                if not self._under_way or stopped():
                    raise Incomplete(
                        f"stopped before a drawing that could pass --max-cost {self.ceiling:g}: {self._paid:.2f} US$ "
                        f"are paid or perhaps paid, the next may cost {cost:.3f}; a higher one goes on from here"
                    )
                self._change.wait(0.5)

    def settle(self, taken: float, cost: float) -> None:
        """Give a taken price back and pay what the drawing cost."""
        with self._change:
            self._held, self._under_way = self._held - taken, self._under_way - 1
            self._paid += cost
            self._dearest = max(self._dearest, cost)
            self._change.notify_all()

    def owe(self, cost: float, dearest: float) -> None:
        """Count what was paid before, and the dearest drawing of it."""
        with self._change:
            self._paid, self._dearest = self._paid + cost, max(self._dearest, dearest)

    def halt(self, error: Exception | None) -> None:
        """Let nothing more be taken, for this reason; None lets it again."""
        with self._change:
            self._halted = error
            self._change.notify_all()


@dataclass
class _Sums:
    """What a run's journal adds up to."""

    got: int = 0
    refused: int = 0
    lost: int = 0
    paid: float = 0.0
    perhaps: float = 0.0
    dearest: float = 0.0
    unknown: int = 0
    models: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request under way: its name in the journal, and the price that was taken for it."""

    id: str
    taken: float


class Ledger:
    """The pictures of one run as they come, and its journal: a line before each request and one behind it.

    A picture lies here until it stands in the run; who asks for it again finds it. A request without an end may have
    been paid for, and counts so.
    """

    def __init__(self, folder: Path, purse: Purse) -> None:
        self.folder, self.purse = folder, purse
        self._lock = threading.Lock()
        self._sums = _Sums()
        self.adrift = 0
        """Requests of an earlier process that have no end."""
        self._read()

    def place(self, sample_id: str, index: int, seed: int) -> Path:
        """Return where the picture of one output lies from its arrival until it stands in the run."""
        name = hashlib.sha256(f"{sample_id}\0{index}\0{seed}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return self.folder / f"{name}.png"

    def keep(self, path: Path, data: bytes) -> None:
        """Write a picture, whole or not at all."""
        with disk(self.folder):
            publish(path, data)

    def ask(self, place: Path, sample_id: str, index: int, stopped: Callable[[], bool]) -> Ticket:
        """Take a request's price and write down that it goes out. Raises Incomplete."""
        ticket = Ticket(secrets.token_hex(6), self.purse.take(stopped))
        try:
            row = {
                "event": "asked",
                "id": ticket.id,
                "sample_id": sample_id,
                "index": index,
                "file": place.relative_to(self.folder).as_posix(),
            }
            self._write({**row, "usd": round(ticket.taken, 6), "at": _now()})
        except BaseException:
            self.purse.settle(ticket.taken, 0.0)
            raise
        return ticket

    def end(self, ticket: Ticket, event: str, **facts: Json) -> None:
        """Write down how a request ended: got, refused, failed, or lost where it may have been paid for."""
        cost = {"got": facts.get("usd"), "lost": ticket.taken}.get(event, 0.0)
        self.purse.settle(ticket.taken, cost or 0.0)
        if event == "lost":
            facts["usd"] = round(ticket.taken, 6)
        row = {"event": event, "id": ticket.id, **facts, "at": _now()}
        with self._lock:
            self._count(row)
        self._write(row)

    def facts(self) -> Mapping[str, Json]:
        """Return what the run has cost; {} where nothing was asked for."""
        sums, price = self._sums, self.purse.price
        if not sums.got and not sums.lost and not sums.refused:
            return {}
        found: dict[str, Json] = {"pictures": sums.got, "usd": round(sums.paid, 4), "price": price.origin or "unknown"}
        found |= {"models": sorted(sums.models)} if sums.models else {}
        found |= {"of_unknown_price": sums.unknown} if sums.unknown else {}
        found |= {"refused": sums.refused} if sums.refused else {}
        return found | ({"perhaps_paid": sums.lost, "perhaps_usd": round(sums.perhaps, 4)} if sums.lost else {})

    # -- the journal ------------------------------------------------------------------------------

    @property
    def _journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def _read(self) -> None:
        if not self._journal.is_file():
            return
        asked: dict[str, dict[str, Json]] = {}
        with disk(self.folder), self._journal.open("rb") as file:
            rows = [row for row in map(unseal, file) if row is not None]
        files = {str(row.get("id")): row.get("file") for row in rows if row.get("event") == "asked"}
        for row in rows:
            if row.get("event") == "asked":
                asked[str(row.get("id"))] = row
            else:
                asked.pop(str(row.get("id")), None)
                self._count(row)
        got = {files[str(row.get("id"))] for row in rows if row.get("event") == "got" and str(row.get("id")) in files}
        for key, row in asked.items():  # killed between the two lines: how it ended is said now, once
            came = row.get("file") not in got and (self.folder / str(row.get("file"))).is_file()
            got |= {row.get("file")} if came else set()
            self.adrift += not came
            end = {"event": "got" if came else "lost", "id": key, "usd": row.get("usd"), "why": "killed", "at": _now()}
            self._count(end)
            self._write(end)
        self.purse.owe(self._sums.paid + self._sums.perhaps, self._sums.dearest)

    def _count(self, row: Mapping[str, Json]) -> None:
        sums, usd = self._sums, row.get("usd")
        known = float(usd) if isinstance(usd, int | float) else None
        if row.get("event") == "got":
            sums.got, sums.paid, sums.unknown = sums.got + 1, sums.paid + (known or 0.0), sums.unknown + (known is None)
            sums.dearest = max(sums.dearest, known or 0.0) if "why" not in row else sums.dearest
            sums.models |= {str(row["model"])} if row.get("model") else set()
        elif row.get("event") == "lost":
            sums.lost, sums.perhaps = sums.lost + 1, sums.perhaps + (known or 0.0)
        elif row.get("event") == "refused":
            sums.refused += 1

    def _write(self, row: Mapping[str, Json]) -> None:
        """Append a line to the journal, and see it on the disk."""
        with self._lock, disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(self._journal, flags, 0o644), "ab", buffering=0) as file:
                # A line that a kill has cut ends here: its checksum gives it away.
                write_all(file, b"\n" * bool(self._torn()) + (seal(row) + "\n").encode())
                os.fsync(file.fileno())

    def _torn(self) -> bool:
        with self._journal.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
