"""A real OpenAI-compatible HTTP server on this machine that answers by script and misbehaves on demand."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """One wrong answer: a status with headers, a raw body, a wait, or whatever `raw` does with the connection."""

    status: int = 200
    body: str | bytes = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    raw: Callable[[socket.socket], None] | None = None


@dataclass
class Service:
    """`reply` makes the message (text, whole row or fault) of a request body; `faults` are served first."""

    reply: Callable[[dict[str, Any]], Any] = lambda body: "yes"
    faults: list[Fault] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    model: str = "served-model-2026-01-01"
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(service: Service, tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with service.lock:
                service.asked.append(body)
                service.times.append(time.monotonic())
                service.keys.append(self.headers.get("Authorization"))
                service.paths.append(self.path)
                fault = service.faults.pop(0) if service.faults else None
            row = service.reply(body) if fault is None else None
            fault = row if isinstance(row, Fault) else fault
            if fault is not None:
                time.sleep(fault.wait)
                if fault.raw is not None:
                    with suppress(OSError):  # the client has had enough, as it was meant to
                        fault.raw(self.connection)
                    self.close_connection = True
                    return
                self.send(fault.status, fault.body, fault.headers)
                return
            if isinstance(row, str):
                message = {"role": "assistant", "content": row}
                row = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"total_tokens": 7}}
            self.send(200, json.dumps({"model": service.model, **row}), {})

        def send(self, status: int, text: str | bytes, headers: dict[str, str]) -> None:
            data = text.encode() if isinstance(text, str) else text
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

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128  # with the library's 5 a ninth connection waits a second
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- what a connection can suffer ------------------------------------------------------------------------


def drip(head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", every: float = 0.05) -> Fault:
    """Send a head, then a byte now and then, for as long as anybody listens."""

    def raw(plug: socket.socket) -> None:
        plug.sendall(head)
        while True:
            plug.sendall(b" ")
            time.sleep(every)

    return Fault(raw=raw)


def reset() -> Fault:
    """Break the connection off with a TCP reset."""

    def raw(plug: socket.socket) -> None:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plug.close()

    return Fault(raw=raw)


def sent(data: bytes) -> Fault:
    """Send these bytes and close."""
    return Fault(raw=lambda plug: plug.sendall(data))


def endless(head: bytes, block: bytes, most: int) -> Fault:
    """Send a head and then one block over and over, `most` bytes in all."""

    def raw(plug: socket.socket) -> None:
        plug.sendall(head)
        for _ in range(most // len(block)):
            plug.sendall(block)

    return Fault(raw=raw)


def nowhere() -> str:
    """Return the address of a port of this machine at which nobody listens."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{plug.getsockname()[1]}/v1"
