"""The model's side of a worker: frames on stdin and stdout, in the model's own environment. Python 3.8, no dependency.

A frame: u32 length of a JSON text, u32 number of blobs, the text, then each blob as u64 length and bytes; big-endian.
The harness says hello, predict, close; this side says ready, output, progress, end, error. `docs/workers.md` has all
of it, and what a model's own file holds: a factory whose object has `kinds`, `card` and `predict(jobs)`.

The harness sends this very file to the interpreter that it starts: nothing of it lies in the model's environment.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import inspect
import json
import os
import platform
import select
import signal
import struct
import sys
import traceback
import types
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, Sequence  # noqa: UP035 -- Python 3.8

PROTOCOL = 1
MAGIC = b"\0janus-worker\n"
MOST_TEXT = 64 << 20
"""Bytes of a frame's JSON; more means that the two sides have lost each other."""
MOST_BLOB = 256 << 20
HEAD, LONG = struct.Struct(">II"), struct.Struct(">Q")


def pack(message: dict[str, Any], blobs: Sequence[Any] = ()) -> list[Any]:
    """Return the pieces of a frame in order; blobs are not copied."""
    text = json.dumps(message).encode()
    pieces: list[Any] = [HEAD.pack(len(text), len(blobs)) + text]
    for each in blobs:
        pieces += [LONG.pack(memoryview(each).nbytes), each]
    return pieces


def unpack(take: Callable[[int], Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return a frame, read by `take(size)`. Raises ValueError for what is none."""
    length, count = HEAD.unpack(take(HEAD.size))
    if length > MOST_TEXT or count > 4096:
        raise ValueError(f"a frame of {length:,} bytes and {count:,} blobs is announced")
    message = json.loads(bytes(take(length)))
    if not isinstance(message, dict):
        raise ValueError("a frame holds no JSON object")
    blobs = []
    for _ in range(count):
        (size,) = LONG.unpack(take(LONG.size))
        if size > MOST_BLOB:
            raise ValueError(f"a blob of {size:,} bytes is announced")
        blobs.append(take(size))
    return message, blobs


class Wrong(Exception):
    """A request that cannot be met; `kind` says why: protocol, load, memory, predict or usage."""

    def __init__(self, kind: str, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.trace = trace


class Job(types.SimpleNamespace):
    """What is asked for: kind, sample, index, seed, prompt, system, options, pictures (the files' bytes)."""


# -- the two streams ----------------------------------------------------------------------------------


def streams() -> tuple[BinaryIO, Callable[..., None]]:
    """Take stdin and stdout for the frames alone: whatever prints from now on prints to stderr."""
    source, sink = os.dup(0), os.dup(1)  # not inherited by what the model starts
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    stdout: Any = sys.stdout
    stdout.reconfigure(line_buffering=True)  # last words are not to be lost
    _guard(source, sink)

    def send(message: dict[str, Any], *blobs: Any) -> None:
        for piece in pack(message, blobs):
            view = memoryview(piece).cast("B")
            while view:
                view = view[os.write(sink, view) :]

    os.write(sink, MAGIC)
    return os.fdopen(source, "rb", buffering=1 << 20), send


def _guard(source: int, sink: int) -> None:
    """Start a process that kills this one when the harness is gone, whatever this one is busy with.

    A thread would not do: a model that hangs in C code holds the interpreter's lock.
    """
    worker = os.getpid()
    if os.fork():
        return
    os.close(sink)  # the harness must see it end when the worker does
    watch = select.poll()
    watch.register(source, getattr(select, "POLLRDHUP", 0))  # a hang-up is told in any case
    while os.getppid() == worker:
        if watch.poll(1000):
            leads = os.getpgrp() == worker
            (os.killpg if leads else os.kill)(worker, signal.SIGKILL)
    os._exit(0)


def _taker(source: BinaryIO) -> Callable[[int], bytes]:
    def take(size: int) -> bytes:
        data = source.read(size)
        if len(data) < size:
            os._exit(0)  # the harness is gone
        return data

    return take


# -- the model ----------------------------------------------------------------------------------------


def load(hello: dict[str, Any], code: bytes | None) -> Any:
    """Return the model that the hello names, made by its factory. Raises Wrong."""
    if PROTOCOL not in hello.get("protocols", ()):
        raise Wrong("protocol", "the worker speaks {}, the harness {}".format(PROTOCOL, hello.get("protocols")))
    _place(hello)
    sys.path[:0] = hello.get("paths", ())
    try:
        name = hello["name"]
        module = _module(hello["file"], code) if code is not None else importlib.import_module(hello["module"])
        factory = getattr(module, name, None)
        if factory is None:
            raise Wrong("usage", "{} has no {!r}".format(hello.get("file") or hello["module"], name))
        return factory(**_options(factory, hello))
    except Wrong:
        raise
    except BaseException as error:  # a repository's own exit() too
        raise _told(error, "load") from error


def _place(hello: dict[str, Any]) -> None:
    """Choose the device before anything can look for one: repositories that say "cuda" get the one that is meant."""
    kind, _, number = str(hello.get("device", "")).partition(":")
    if kind == "cuda" and number:
        seen = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[int(number)] if int(number) < len(seen) else number
        hello["device"] = "cuda"
    if hello.get("offline"):
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")


def _module(file: str, code: bytes) -> types.ModuleType:
    module = types.ModuleType("janus_worker_model")
    module.__file__ = file
    sys.modules[module.__name__] = module
    exec(compile(code, file, "exec"), module.__dict__)
    return module


def _options(factory: Any, hello: dict[str, Any]) -> dict[str, Any]:
    """Return the factory's options: those that the user gave, and of device, dtype, offline, source what it takes."""
    taken = inspect.signature(factory).parameters
    given = dict(hello.get("options", ()))
    for key in given:
        if key not in taken and not any(each.kind is each.VAR_KEYWORD for each in taken.values()):
            raise Wrong("usage", "no option {!r}; it takes: {}".format(key, ", ".join(taken) or "none"))
    for key in ("device", "dtype", "offline", "source"):
        if key in taken and key not in given and hello.get(key) is not None:
            given[key] = hello[key]
    return given


def ready(model: Any, hello: dict[str, Any]) -> dict[str, Any]:
    """Return what the harness is told of a model."""
    return {
        "do": "ready",
        "protocol": PROTOCOL,
        "kinds": sorted(model.kinds),
        "card": dict(model.card),
        "code": code_of(hello),
        "independent": bool(getattr(model, "independent", False)),
        "shares_pictures": bool(getattr(model, "shares_pictures", False)),
        "batch_size": int(getattr(model, "batch_size", 8)),
        "image_size": int(getattr(model, "image_size", 384)),
        "python": platform.python_version(),
        "versions": _versions(hello.get("packages", ())),
        "pid": os.getpid(),
    }


_MOST_CODE = 20000
"""Files of code that are looked at; more are no model's."""


def code_of(hello: dict[str, Any]) -> str:
    """Return 12 hex digits over the Python files of the model's code, wherever they lie; "" where there are none.

    They are all below `paths` and the repository's folder, the package of the module that was asked for, and whatever
    else was imported by now and is neither Python's own nor installed: of a package its whole folder. janus_eval is
    left out: it tells its own version.
    """
    roots = [Path(each) for each in (*hello.get("paths", ()), hello.get("source")) if each]
    for name, module in sorted(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        top = name.partition(".")[0]
        asked = top == str(hello.get("module", "")).partition(".")[0]
        if top != "janus_eval" and file.is_absolute() and (asked or not _is_installed(file)):
            roots += [Path(each) for each in getattr(sys.modules.get(top), "__path__", None) or [file]]
    total, count = hashlib.sha256(), 0
    for name, path in sorted({each for root in dict.fromkeys(roots) for each in _files(root)}):
        count += 1
        if count > _MOST_CODE:
            raise Wrong("usage", f"more than {_MOST_CODE} Python files are the model's code: name fewer with paths=")
        total.update(name.encode("utf-8", "surrogateescape") + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12] if count else ""


def _is_installed(file: Path) -> bool:
    library = Path(str(os.__file__)).parent
    return bool({"site-packages", "dist-packages"} & {*file.parts}) or library in file.parents


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the Python files below a folder, or a file, each with its name from there on."""
    if root.is_file():
        yield root.name, root.resolve()
    for folder, inner, files in os.walk(root):
        inner[:] = [each for each in inner if not (each.startswith(".") or each in _NO_CODE)]
        if "pyvenv.cfg" in files:
            inner[:], files = [], []
        for path in (Path(folder, each) for each in files if each.endswith(".py")):
            yield (Path(root.name) / path.relative_to(root)).as_posix(), path.resolve()


_NO_CODE = ("__pycache__", "node_modules", "site-packages")


def _versions(packages: Sequence[str]) -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def predict(model: Any, message: dict[str, Any], blobs: list[Any], send: Callable[..., None]) -> None:
    """Send an output for each job as the model gives it; None of a generator says that it gets on."""
    jobs, left = [], list(blobs)
    for each in message["jobs"]:
        own, left = left[: each["pictures"]], left[each["pictures"] :]
        jobs.append(Job(**{**each, "pictures": own}))
    given = 0
    for output in model.predict(jobs):
        if output is None:
            send({"do": "progress", "id": message["id"]})
            continue
        entry, *pixels = _entry(output)
        send({"do": "output", "id": message["id"], "at": given, **entry}, *pixels)
        given += 1
    send({"do": "end", "id": message["id"], "given": given})


def _entry(output: Any) -> list[Any]:
    """Return an output as it travels: a text, likelihoods, raw pixels, an encoded picture, or one job's error."""
    if callable(output):  # a picture still under way
        output = output()
    if isinstance(output, str):
        return [{"text": output}]
    if isinstance(output, dict) and output.get("error") is not None:
        return [
            {"error": _line(output["error"]) if isinstance(output["error"], BaseException) else str(output["error"])}
        ]
    if isinstance(output, dict):  # a text with how it came about
        return [{key: output[key] for key in ("text", "finish", "usage") if key in output}]
    if isinstance(output, BaseException):
        return [{"error": _line(output)}]
    if isinstance(output, (bytes, bytearray)):
        return [{"picture": "file"}, output]
    if hasattr(output, "tobytes") and hasattr(output, "convert"):  # PIL, not imported
        output = output if output.mode == "RGB" else output.convert("RGB")
        return [{"rgb": list(output.size)}, output.tobytes()]
    if hasattr(output, "__array_interface__"):
        shape, kind = output.shape, str(output.dtype)
        if len(shape) != 3 or shape[2] != 3 or kind != "uint8":
            raise TypeError(f"a picture is an array of height, width, 3 in uint8, not {shape} in {kind}")
        return [{"rgb": [shape[1], shape[0]]}, output.tobytes()]
    return [{"likelihood": [float(each) for each in output]}]


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:2000]


def _told(error: BaseException, kind: str) -> Wrong:
    words = str(error).lower()
    full = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if full or "out of memory" in words or "can't allocate memory" in words:
        kind = "memory"
    return Wrong(kind, _line(error), traceback.format_exc()[-20000:])


def main() -> None:
    """Serve one harness until it closes or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness decides when to stop
    source, send = streams()
    take = _taker(source)
    hello, blobs = unpack(take)
    model: Any = None
    try:
        model = load(hello, blobs[0] if blobs else None)
        send(ready(model, hello))
    except BaseException as error:
        wrong = error if isinstance(error, Wrong) else _told(error, "load")
        send({"do": "error", "error": wrong.kind, "text": str(wrong), "trace": wrong.trace})
        return
    while True:
        message, blobs = unpack(take)
        if message["do"] == "close":
            return
        answer(model, message, blobs, send)


def answer(model: Any, message: dict[str, Any], blobs: list[Any], send: Callable[..., None]) -> None:
    """Carry out one request; what it fails of is an answer too."""
    try:
        if message["do"] != "predict":
            raise Wrong("protocol", "unknown request {!r}".format(message["do"]))
        predict(model, message, blobs, send)
        return
    except BaseException as error:
        wrong = error if isinstance(error, Wrong) else _told(error, "predict")
        told = {"do": "error", "id": message.get("id"), "error": wrong.kind, "text": str(wrong), "trace": wrong.trace}
    del wrong  # its frames hold the batch
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    send(told)


if __name__ == "__main__":
    main()
