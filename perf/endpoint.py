"""What an endpoint's client costs: questions with pictures to a server on this machine, beside another version's.

    python perf/endpoint.py [--requests 2000] [--against OTHER/bin/python]

The server stands in a process of its own and answers at once, so that what is measured is the client: requests a
second, seconds of processor a request, and what memory grows by beyond the imports. With --against the same is done
by another interpreter's janus_eval, in turns, and the ratios are printed (this one's over the other's).
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import time

REPLY = {
    "id": "r",
    "object": "chat.completion",
    "model": "m-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 600, "completion_tokens": 1, "total_tokens": 601},
}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection: read the whole request, say yes."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    body = json.dumps(REPLY).encode()
    start = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    writer.write(start.encode() + b"\r\n" + body)
    await writer.drain()
    writer.close()


async def serve() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 22, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def pictures(count: int) -> list[bytes]:
    """Return JPEGs of a photograph's size and weight (640 x 480, about 70 kB)."""
    from PIL import Image

    found: list[bytes] = []
    for number in range(count):
        buffer = io.BytesIO()
        noise = Image.effect_noise((160, 120), 40 + number).resize((640, 480)).convert("RGB")
        noise.save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found


def ask(port: int, requests: int) -> None:
    """Ask through the model adapter and print what it took, as JSON."""
    from janus_eval.evals import registry
    from janus_eval.evals.types import Job, Picture, Sample

    drawn = pictures(8)
    model = registry.create("models", "openai:m", base_url=f"http://127.0.0.1:{port}/v1", retries="0")
    jobs = [
        Job(Sample(f"q{n}", "\nIs it red?", (Picture("p.jpg", lambda data=drawn[n % 8]: data),)), "text", 0, 1)
        for n in range(requests + 32)
    ]
    model.predict(jobs[:32])  # imports and pools are paid before the clock runs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, processor = time.perf_counter(), time.process_time()
    for first in range(32, len(jobs), 32):
        model.predict(jobs[first : first + 32])
    seconds, spent = time.perf_counter() - started, time.process_time() - processor
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "requests a second": requests / seconds,
                "processor ms a request": 1000 * spent / requests,
                "memory at its peak, MB": grown / 1024,
                "of which grown while asking": (grown - before) / 1024,
            }
        )
    )


def measured(python: str, port: int, requests: int) -> dict[str, float]:
    command = [python, __file__, "--ask", str(port), "--requests", str(requests)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=os.sep, env=clean()).stdout
    return json.loads(said.splitlines()[-1])


def clean() -> dict[str, str]:
    """Return the environment without what would put this checkout in the place of the other's."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "OPENAI_API_KEY")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--against", metavar="PYTHON", help="an interpreter with another janus_eval")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve())
    elif args.ask:
        ask(args.ask, args.requests)
    else:
        compare([sys.executable, args.against] if args.against else [sys.executable], args.requests, args.turns)


def compare(pythons: list[str], requests: int, turns: int) -> None:
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True, cwd=os.sep)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        found = [[measured(each, port, requests) for each in pythons] for _ in range(turns)]
    finally:
        server.kill()
    for name in found[0][0]:
        rows = [[turn[place][name] for turn in found] for place in range(len(pythons))]
        middle = [statistics.median(row) for row in rows]
        told = f"{name:<28} {middle[0]:9.2f} (of {turns}: {min(rows[0]):.2f} to {max(rows[0]):.2f})"
        if len(middle) > 1 and middle[1]:
            told += f"   other {middle[1]:9.2f}   ratio {middle[0] / middle[1]:.2f}"
        print(told)


if __name__ == "__main__":
    main()
