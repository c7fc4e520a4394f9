"""A grader without a model: a local OpenAI-compatible server that grades MM-Vet's prompts by rule.

It stands in for a judge where there is none (the toy world, a dry run of the judge path). Its
replies are marked with the model id `grader-rule-1`, and runs that use it carry `grader=rule`.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
from functools import cache
from typing import Any

from .prompt import AGAIN, TABLE

MODEL = "grader-rule-1"


def grade(expected: str, prediction: str) -> float:
    """Return the share of the expected elements that stand in the prediction as whole words.

    <AND> joins elements that are all needed, <OR> alternatives of which one is enough. Case,
    articles and punctuation do not count. The share is rounded to a tenth, as a judge would say it.
    """
    said = f" {_words(prediction)} "
    choices = [[_words(each) for each in choice.split("<AND>")] for choice in expected.split("<OR>")]
    shares = [sum(bool(each) and f" {each} " in said for each in choice) / len(choice) for choice in choices]
    return round(max(shares), 1)


def answer(prompt: str) -> str | None:
    """Return the reply to a grader's prompt, or None where it is not MM-Vet's.

    The row is `question | expected | prediction | `; a question with a bar in it cannot be told
    apart from its answer, and is refused too.
    """
    if not prompt.startswith(TABLE + "\n"):
        return None
    row = prompt[len(TABLE) + 1 :].removesuffix(AGAIN).removesuffix(" | ")
    fields = row.split(" | ")
    if len(fields) < 3:
        return None
    return f"{grade(fields[1], ' | '.join(fields[2:])):.1f}"


def _words(text: str) -> str:
    found = re.findall(r"-?\d+(?:\.\d+)?|\w+", text.lower())
    return " ".join(each for each in found if each not in ("a", "an", "the"))


@cache
def start() -> str:
    """Start the server on a free port of 127.0.0.1, once a process, and return its base URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, name="rule-grader", daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # with the library's 5 a ninth connection waits a second
    daemon_threads = True


class _Handler(http.server.BaseHTTPRequestHandler):
    """POST /v1/chat/completions, and a 400 for everything that is no grader's prompt."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            reply = answer(body["messages"][-1]["content"])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            reply = None
        if reply is None or not self.path.endswith("/chat/completions"):
            self._send(400, {"error": {"message": "this grader reads MM-Vet's grading prompt only"}})
            return
        message = {"role": "assistant", "content": reply}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._send(200, {"id": "rule", "object": "chat.completion", "model": MODEL, "choices": [choice]})

    def _send(self, status: int, row: dict[str, Any]) -> None:
        data = json.dumps(row).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the run's own log is enough."""
