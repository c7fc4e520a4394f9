"""A real OpenAI-compatible HTTP server on this machine that answers by script and misbehaves on demand."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """One wrong answer: a status with headers, a raw body, or a wait."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0


@dataclass
class Service:
    """`reply` makes the message (text or whole row) of a request body; `faults` are served first."""

    reply: Callable[[dict[str, Any]], Any] = lambda body: "yes"
    faults: list[Fault] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    model: str = "served-model-2026-01-01"
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with service.lock:
                service.asked.append(body)
                service.times.append(time.monotonic())
                service.keys.append(self.headers.get("Authorization"))
                fault = service.faults.pop(0) if service.faults else None
            if fault is not None:
                time.sleep(fault.wait)
                self.send(fault.status, fault.body, fault.headers)
                return
            row = service.reply(body)
            if isinstance(row, str):
                message = {"role": "assistant", "content": row}
                row = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"total_tokens": 7}}
            self.send(200, json.dumps({"model": service.model, **row}), {})

        def send(self, status: int, text: str, headers: dict[str, str]) -> None:
            data = text.encode()
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the client gave up waiting, as it was meant to

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
