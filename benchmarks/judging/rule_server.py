"""A small OpenAI-compatible server on this machine that replies by rule and stands in for a judge."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable
from typing import Any


def serve(answer: Callable[[Any], str | None], model: str, refuses: str) -> str:
    """Start a server on a free port of 127.0.0.1 and return its base URL.

    `answer` makes the reply of a request's last message's content; None for one that it does not know: a 400 that
    says what it `refuses`. Replies are marked with the id `model`.
    """

    class Handler(_Handler):
        rule = staticmethod(answer)
        named, told = model, refuses

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, name=model, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # with the library's 5 a ninth connection waits a second
    daemon_threads = True


class _Handler(http.server.BaseHTTPRequestHandler):
    """POST /v1/chat/completions, and a 400 for everything that the rule does not know."""

    protocol_version = "HTTP/1.1"
    rule: Callable[[Any], str | None]
    named: str
    told: str

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            reply = self.rule(body["messages"][-1]["content"])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            reply = None
        if reply is None or not self.path.endswith("/chat/completions"):
            self._send(400, {"error": {"message": self.told}})
            return
        message = {"role": "assistant", "content": reply}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._send(200, {"id": "rule", "object": "chat.completion", "model": self.named, "choices": [choice]})

    def _send(self, status: int, row: dict[str, Any]) -> None:
        data = json.dumps(row).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the run's own log is enough."""
