"""Several devices of one machine: one process each, batches handed out one by one, no collectives."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from . import members, registry
from .errors import EnvironmentProblem, JanusEvalError
from .plugins import Model
from .types import Job, Json, Kind, Output, Picture


class WorkerModel:
    """A model adapter that lives in a process of its own; `predict` waits for that process.

    The process starts at the first `predict`, on the device that its options name. An error there
    is raised here as itself; a process that dies is an EnvironmentProblem that says so.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        kinds: frozenset[Kind],
        card: Mapping[str, Json],
        shares_pictures: bool = False,
    ) -> None:
        self.name = name
        self.shares_pictures = shares_pictures
        self.options = dict(options)
        self.kinds = kinds
        self.card = card
        self._process: Any = None
        self._pipe: Any = None  # a multiprocessing Connection; its class differs between platforms

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        return self._ask("predict", [_with_pictures(job, [each.read() for each in job.sample.images]) for job in jobs])

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return what the model there says of its device (16 where it says nothing)."""
        return self._ask("batch_size", [_with_pictures(job, [b""] * len(job.sample.images)) for job in jobs])

    def _ask(self, method: str, jobs: Sequence[Job]) -> Any:
        pipe = self._pipe or self._start()
        try:
            pipe.send((method, jobs))
            answer = pipe.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise EnvironmentProblem(
                f"the worker of {self.name} on {self.options.get('device', 'its device')} died "
                "(killed, or out of host memory); run the same command again to resume"
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.terminate()
            self._process.join()
        self._pipe = self._process = None

    def _start(self) -> Any:
        import multiprocessing

        context = multiprocessing.get_context("spawn")  # a forked process could not use CUDA
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.name, self.options), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe = ours
        return ours


def _with_pictures(job: Job, contents: Sequence[bytes]) -> Job:
    """Return the job with its pictures' bytes in hand: a lazy reader does not travel."""
    named = zip(job.sample.images, contents, strict=True)
    return replace(job, sample=replace(job.sample, images=tuple(Picture(p.name, partial(_same, b)) for p, b in named)))


def _same(data: bytes) -> bytes:
    return data


def _serve(pipe: Any, name: str, options: Mapping[str, Any]) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    model: Model | None = None
    while True:
        try:
            method, jobs = pipe.recv()
        except (EOFError, OSError):
            return  # the parent is gone
        try:
            model = model or members.model(registry.create("models", name, **options), name)
            if method == "batch_size":
                pipe.send(model.batch_size(jobs))
            else:
                pipe.send([output() if callable(output) else output for output in model.predict(jobs)])
        except Exception as error:
            pipe.send(_portable(error))  # to the parent, where the runner counts it


def _portable(error: Exception) -> Exception:
    """Return an error that survives the pipe: ours as it is, any other with its traceback as text."""
    return error if isinstance(error, JanusEvalError) else RuntimeError("".join(traceback.format_exception(error)))
