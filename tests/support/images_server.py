"""A real server of POST /v1/images/generations and /edits on this machine: bills what it draws, errs on demand."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import http.server
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from janus_eval.evals.files import unseal
from PIL import Image


@dataclass
class Studio:
    """Switches, and what came of them. A picture is one colour, made of prompt and seed: equality tells what was
    honoured. `billed` counts pictures that were drawn, whether or not anybody got them."""

    refuse: str = ""
    """Prompts with this in them are declined: at once, or (`draws_first`) after the drawing."""
    draws_first: bool = False
    billing_after: int | None = None
    """So many pictures are drawn, then the account is empty."""
    retired: bool = False
    limit_every: int = 0
    """Each so-many-th request is answered 429."""
    limit_headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "0.05"})
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of each picture."""
    delay: float = 0.0
    late: dict[int, float] = field(default_factory=dict)
    """Seconds that the request of this number takes."""
    broken_every: int = 0
    """Each so-many-th picture comes in half."""
    seedless: bool = False
    prompt_blind: bool = False
    source_blind: bool = False
    edits: bool = True
    """Whether it has /v1/images/edits."""
    random: bool = False
    """Every picture is another, as of a service that takes no seed."""
    url_only: bool = False
    rejects: str = ""
    """A field that it does not take."""
    wrong_with: Callable[[dict[str, Any]], str] | None = None
    """Says why a request cannot be met, "" where it can."""
    usage: dict[str, Any] = field(default_factory=dict)
    revised: str = ""
    draws_as: tuple[int, int] | None = None
    """The size of every picture, whatever is asked for."""
    hold_from: int | None = None
    """From this request on nothing is drawn or answered, until `go` is set."""
    go: threading.Event = field(default_factory=threading.Event)
    forgets: bool = False
    """What was held is never drawn."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    billed: int = 0
    most_at_once: int = 0
    fetched: int = 0
    url: str = ""
    running: int = 0
    drawn: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def heard(self, body: dict[str, Any]) -> str:
        """Return what else of a request moves its picture: an edit's sources."""
        return "" if self.source_blind else "".join(each.hex() for _, _, each in body.get("files", ()))

    def picture(self, body: dict[str, Any]) -> bytes:
        """Draw, and put it on the bill."""
        with self.lock:
            self.billed += 1
            number = self.billed
        prompt = "" if self.prompt_blind else body["prompt"]
        seed = number if self.random else 42 if self.seedless else body.get("seed", 42)
        colour = tuple(hashlib.sha256(f"{prompt}\0{seed}\0{self.heard(body)}".encode()).digest()[:3])
        width, _, height = body.get("size", "8x8").partition("x")
        buffer = io.BytesIO()
        Image.new("RGB", self.draws_as or (int(width), int(height)), colour).save(buffer, "PNG")
        return buffer.getvalue()


class _Handler(http.server.BaseHTTPRequestHandler):
    studio: Studio
    counted: bool = False
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.read()
        with self.studio.lock:
            self.studio.asked.append(body)
            number = len(self.studio.asked)
            self.studio.running += 1
            self.studio.most_at_once = max(self.studio.most_at_once, self.studio.running)
        self.counted = True
        try:
            if self.studio.hold_from is not None and number >= self.studio.hold_from:
                self.studio.go.wait(60)
                if self.studio.forgets:
                    self.close_connection = True
                    return
            time.sleep(self.studio.late.get(number, self.studio.delay))
            self.answer(body, number)
        finally:
            self.leave()

    def leave(self) -> None:
        """No longer run: before the reply is written, as who has it may ask again at once."""
        with self.studio.lock:
            self.studio.running -= self.counted
            self.counted = False

    def read(self) -> dict[str, Any]:
        """Return a request's fields, a form's as texts with its `files`: (name, media type, bytes)."""
        data, told = self.rfile.read(int(self.headers["Content-Length"])), self.headers["Content-Type"]
        if not told.startswith("multipart/form-data"):
            return json.loads(data)
        form = email.message_from_bytes(
            b"Content-Type: " + told.encode() + b"\r\n\r\n" + data, policy=email.policy.HTTP
        )
        body: dict[str, Any] = {"files": []}
        for part in form.iter_parts():
            name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
            if part.get_filename() is None:
                body[name] = content.decode()
            else:
                body["files"].append((name, part.get_content_type(), content))
        return body

    def answer(self, body: dict[str, Any], number: int) -> None:
        if self.path.endswith("/images/edits") != ("files" in body) or (not self.studio.edits and "files" in body):
            return self.error(404, "not_found", "Not Found")
        if self.studio.retired:
            return self.error(404, "model_not_found", f"The model {body['model']} has been deprecated")
        if self.studio.rejects and self.studio.rejects in body:
            return self.error(400, "unknown_parameter", f"Unknown parameter: '{self.studio.rejects}'.")
        if self.studio.wrong_with is not None and (why := self.studio.wrong_with(body)):
            return self.error(400, "BadRequestError", why)
        if self.studio.limit_every and number % self.studio.limit_every == 0:
            return self.error(429, "rate_limit_exceeded", "too fast", self.studio.limit_headers)
        with self.studio.lock:
            empty = self.studio.billing_after is not None and self.studio.billed >= self.studio.billing_after
        if empty:
            return self.error(400, "billing_hard_limit_reached", "Billing hard limit has been reached")
        refused = self.studio.refuse and self.studio.refuse in body["prompt"]
        if refused and not self.studio.draws_first:
            return self.error(400, "moderation_blocked", "Your request was rejected by the safety system.")
        data = self.studio.picture(body)
        if refused:
            return self.error(400, "content_policy_violation", "The picture was rejected by the safety system.")
        return self.give(data)

    def give(self, data: bytes) -> None:
        with self.studio.lock:
            name = f"{len(self.studio.drawn)}.png"
            self.studio.drawn[name] = data
            broken = self.studio.broken_every and self.studio.billed % self.studio.broken_every == 0
        one: dict[str, Any] = {"b64_json": base64.b64encode(data).decode()}
        if self.studio.url_only:
            one = {"url": f"{self.studio.url.removesuffix('/v1')}/files/{name}?sig=planted-signature"}
        if self.studio.revised:
            one["revised_prompt"] = self.studio.revised
        row = {"created": 1, "data": [one], **({"usage": self.studio.usage} if self.studio.usage else {})}
        self.send(
            200, json.dumps(row).encode(), {"x-request-id": f"req_{name}", **self.studio.headers}, half=bool(broken)
        )

    def do_GET(self) -> None:
        with self.studio.lock:
            self.studio.fetched += 1
        data = self.studio.drawn.get(self.path.partition("?")[0].rpartition("/")[2])
        self.send(200 if data else 404, data or b"", {"Content-Type": "image/png"})

    def error(self, status: int, code: str, words: str, headers: dict[str, str] | None = None) -> None:
        row = {"error": {"message": words, "type": "image_generation_user_error", "param": None, "code": code}}
        self.send(status, json.dumps(row).encode(), headers or {})

    def send(self, status: int, data: bytes, headers: dict[str, str], *, half: bool = False) -> None:
        self.leave()
        with suppress(OSError):  # the client gave up waiting, as it was meant to
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if half else data)
            if half:
                self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


@contextmanager
def painting(studio: Studio) -> Iterator[Studio]:
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"studio": studio}))
    studio.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield studio
    finally:
        studio.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def folder(tmp_path: Path) -> Path:
    """Return the one run below a test's folder."""
    (found,) = (tmp_path / "runs").iterdir()
    return found


def journal(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the lines of its journal that are whole."""
    rows = map(unseal, (folder(tmp_path) / "service" / "journal.jsonl").read_bytes().splitlines(True))
    return [row for row in rows if row is not None]
