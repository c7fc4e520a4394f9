"""A model in an environment of its own: asked through a worker's process, which is started again where it dies."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ...evals.assets import digests as data
from ...evals.assets.cache import cache_root
from ...evals.endpoint.replies import BROKEN, ended_as
from ...evals.environment import PACKAGES
from ...evals.errors import EnvironmentProblem, JanusEvalError, OutOfMemory, UsageError
from ...evals.pictures import MOST_DRAWN, open_picture
from ...evals.screen import clean
from ...evals.types import Answer, Job, Json, Kind, Output
from . import janus_worker
from .channel import Channel, WorkerEnded
from .environments import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

_KINDS: tuple[Kind, ...] = get_args(Kind)
_TRIES = 3
"""How often a batch is asked of workers that end. The runner then asks its members one by one, each `_TRIES_ALONE`."""
_TRIES_ALONE = 2
_BARREN = 6
"""So many ends without one whole batch, and it is the machine, not a sample."""
_NUMBER = count()
_WEIGHTS = frozenset((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".npz", ".onnx"))
_SETTINGS = frozenset((".json", ".yaml", ".yml", ".toml", ".model", ".npy"))


class WorkerFault(JanusEvalError):
    """The worker lives and says that it could not do what was asked."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started and what its factory is told; without `python` and `command` as the recipe says."""

    recipe: Recipe
    python: str = ""
    command: str = ""
    options: Mapping[str, Json] = field(default_factory=dict[str, Json])
    paths: tuple[str, ...] = ()
    source: str = ""
    device: str = "auto"
    dtype: str = "auto"
    offline: bool = False

    def words(self) -> list[str]:
        """Return the command whose last word is an interpreter."""
        if not self.command:
            return [str(Path(self.python).expanduser())] if self.python else [str(self.recipe.python())]
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise UsageError(f"command={self.command!r}: {error}") from error
        if not words:
            raise UsageError("command= names no program")
        return words

    def given(self) -> dict[str, Json]:
        """Return what names the content of the files and folders of weights that options name on this machine."""
        paths = {key: Path(each).expanduser() for key, each in self.options.items() if isinstance(each, str) and each}
        return {
            key: f"#{data.fingerprint(path)}" for key, path in paths.items() if not self.command and _is_given(path)
        }

    def hello(self) -> dict[str, Json]:
        """Return the first message."""
        return {
            "do": "hello",
            "protocols": [janus_worker.PROTOCOL],
            "file": self.recipe.file.name if self.recipe.file else None,
            "module": self.recipe.module,
            "name": self.recipe.factory,
            "options": dict(self.options),
            "packages": [*PACKAGES, "torchvision"],
            "paths": list(self.paths),
            "source": self.source or self.recipe.source_folder(elsewhere=bool(self.python or self.command)),
            "device": self.device,
            "dtype": self.dtype,
            "offline": self.offline,
        }


class Worker:
    """A model adapter whose model lives in a process of its own; see `worker` for the options.

    A worker that ends in a batch is started again and the whole batch is made again, so that its members
    see the same neighbours. `patience`: seconds without an output or a sign of progress after which it is
    killed, or twenty times its longest batch where that is more; three times as many before its first output.
    """

    inert: tuple[str, ...] = ("adapter", "python", "command", "source", "patience", "world", "device", "paths")

    def __init__(self, name: str, launch: Launch, *, patience: float = 600, world: str = "official") -> None:
        if not 0 < patience < float("inf"):
            raise UsageError(f"patience={patience}: expected seconds above 0")
        self.name, self.launch, self.recipe, self.world = name, launch, launch.recipe, world
        self._patience = patience
        self._channel: Channel | None = None
        self._longest = 0.0
        self._barren = 0
        self._asked = 0
        self._left: dict[tuple[str, str, int], Output | JanusEvalError] = {}

    # -- what it says of itself -------------------------------------------------------------------

    @cached_property
    def _ready(self) -> Mapping[str, Any]:
        return self._start()[1]

    @property
    def kinds(self) -> frozenset[Kind]:
        """Return what it gives; the worker is started for that, without its weights."""
        told: Any = self._ready.get("kinds")
        return frozenset(each for each in _KINDS if isinstance(told, list) and each in told)

    @property
    def card(self) -> Mapping[str, Json]:
        """Return the model's own card, and what names the code and the environment that it runs in."""
        card = self._ready.get("card")
        if not isinstance(card, dict):
            raise UsageError(f"{self.name}: its worker gave no card")
        if self.recipe.is_registered:
            return card
        code = self._ready.get("code")
        found = {"code": f"#{clean(code)[:12]}"} if isinstance(code, str) and code else {}
        given = self.launch.given()
        return {**card, **self.recipe.card(), **found, **({"given": given} if given else {})}

    @property
    def independent(self) -> bool:
        return self._ready.get("independent") is True

    @property
    def shares_pictures(self) -> bool:
        return self._ready.get("shares_pictures") is True

    @property
    def image_size(self) -> int:
        return _whole(self._ready.get("image_size"), 384)

    @property
    def environment(self) -> Mapping[str, Json]:
        """Return the worker's interpreter and packages, where it was started."""
        ready = self.__dict__.get("_ready", {})
        return {"worker": {key: ready.get(key) for key in ("python", "versions")}} if ready else {}

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return _whole(self._ready.get("batch_size"), 8)

    # -- what it is asked -------------------------------------------------------------------------

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one output for each job, in order.

        Raises OutOfMemory where the batch does not fit, EnvironmentProblem where no worker lives long enough.
        """
        if len(jobs) == 1 and _key(jobs[0]) in self._left:  # of a batch that was made, but for some of its members
            made = [self._left.pop(_key(jobs[0]))]
        else:
            self._left.clear()
            made = self._insist(jobs)
        failed = [each for each in made if isinstance(each, JanusEvalError)]
        if failed and len(jobs) > 1:
            self._left = dict(zip(map(_key, jobs), made, strict=True))
        if failed:
            raise failed[0]
        return [each for each in made if not isinstance(each, JanusEvalError)]

    def close(self) -> None:
        """End the worker."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _insist(self, jobs: Sequence[Job]) -> list[Output | JanusEvalError]:
        """Return a batch, asked again of a new worker where one ends."""
        tries = _TRIES if len(jobs) > 1 else _TRIES_ALONE
        while True:
            try:
                made = self._ask(jobs)
            except WorkerEnded as error:
                self._channel = None
                self._barren += 1
                if self._barren >= _BARREN:
                    raise EnvironmentProblem(
                        f"{self.name}: {self._barren} workers ended one after the other without one whole batch; "
                        f"the last: {error}"
                    ) from error
                tries -= 1
                if not tries:
                    raise
            else:
                self._barren = 0
                return made

    def _ask(self, jobs: Sequence[Job]) -> list[Output | JanusEvalError]:
        first = self._channel is None or not self._longest
        channel = self._channel or self._start()[0]
        patience = max(self._patience * (3 if first else 1), 20 * self._longest)
        self._asked += 1
        pictures = [[picture.read() for picture in job.sample.images] for job in jobs]
        message: dict[str, Json] = {"do": "predict", "id": self._asked}
        message["jobs"] = [_asked(job, len(own)) for job, own in zip(jobs, pictures, strict=True)]
        channel.send(message, [each for own in pictures for each in own], patience)
        made: list[Output | JanusEvalError] = []
        began = time.monotonic()
        while True:
            told, blobs = channel.receive(patience)
            if told.get("id") != self._asked:
                raise channel.damaged(f"an answer to {told.get('id')!r:.40}, asked was {self._asked}")
            if told.get("do") == "end":
                break
            if told.get("do") == "error":
                raise _error(told)
            if told.get("do") == "output":
                if told.get("at") != len(made) or len(made) == len(jobs):
                    raise channel.damaged(f"output {told.get('at')!r:.40} of {len(jobs)} after {len(made)}")
                made.append(_output(told, blobs))
        self._longest = max(self._longest, time.monotonic() - began)
        if len(made) != len(jobs):
            raise WorkerFault(f"{self.name}: asked for {len(jobs)} outputs, its worker gave {len(made)}")
        return made

    def _start(self) -> tuple[Channel, Mapping[str, Any]]:
        """Start a worker and return it with what it says; one that is killed meanwhile is started again.

        Raises EnvironmentProblem, UsageError.
        """
        for left in reversed(range(_TRIES)):
            try:
                channel, ready = self._greeted()
                break
            except WorkerEnded as error:
                if not (left and error.killed):
                    words = shlex.join(self.launch.words())
                    raise EnvironmentProblem(f"{self.name} ({words}): {error}") from error
        else:
            raise AssertionError
        if ready.get("do") != "ready" or ready.get("protocol") != janus_worker.PROTOCOL:
            channel.close()
            raise self._refused(ready, channel.log)
        self._channel = channel
        self.__dict__.setdefault("_ready", ready)
        return channel, ready

    def _greeted(self) -> tuple[Channel, dict[str, Any]]:
        """Return a new worker with its first answer. Raises WorkerEnded where it gives none."""
        words, hello = self.launch.words(), self.launch.hello()
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", self.name)[-60:]
        channel = Channel(words, cache_root() / "workers" / f"{name}-{os.getpid()}-{next(_NUMBER)}.log")
        try:
            return channel, channel.greet(hello, self.recipe.code(), 3 * self._patience)
        except WorkerEnded:
            raise
        except BaseException:
            channel.close()
            raise

    def _refused(self, told: Mapping[str, Any], log: Path) -> JanusEvalError:
        text, kind = clean(str(told.get("text", "")))[:500], told.get("error")
        if told.get("do") == "ready" or kind == "protocol":
            spoken = told.get("protocol", "another")
            return EnvironmentProblem(
                f"{self.name}: its worker speaks protocol {spoken!r:.20}, this version speaks {janus_worker.PROTOCOL}"
            )
        if kind == "usage":
            return UsageError(f"{self.name}: {text}")
        return EnvironmentProblem(f"{self.name}: its worker cannot load the model: {text or 'no reason'}; log: {log}")


def _is_given(path: Path) -> bool:
    """Return whether an option's text is a file of weights or settings, or a folder that directly holds weights.

    Another file may be what the model writes: a log would make each start another run.
    """
    try:
        if path.is_file():
            return path.suffix in _WEIGHTS | _SETTINGS
        return any(each.suffix in _WEIGHTS for each in path.iterdir())
    except (OSError, ValueError):  # a text that is no path
        return False


def _whole(value: Any, otherwise: int) -> int:
    return value if type(value) is int and value > 0 else otherwise


def _key(job: Job) -> tuple[str, str, int]:
    return job.kind, job.sample.id, job.index


def _asked(job: Job, pictures: int) -> dict[str, Json]:
    sample = job.sample
    return {
        "kind": job.kind,
        "sample": sample.id,
        "index": job.index,
        "seed": job.seed,
        "prompt": sample.prompt,
        "system": sample.system,
        "options": list(sample.options),
        "pictures": pictures,
    }


def _error(told: Mapping[str, Any]) -> JanusEvalError:
    text = clean(str(told.get("text", "no reason")))[:2000]
    return OutOfMemory(text) if told.get("error") == "memory" else WorkerFault(f"the worker failed: {text}")


def _output(told: Mapping[str, Any], blobs: Sequence[Any]) -> Output | JanusEvalError:
    """Return one output, or its job's error; what is neither is the error of its job."""
    if "error" in told:
        return WorkerFault(f"the worker failed: {clean(str(told['error']))[:2000]}")
    if isinstance(told.get("text"), str):
        finish, usage = told.get("finish"), told.get("usage")
        ended = ended_as(clean(finish)[:40]) if isinstance(finish, str) else ""
        if ended in (BROKEN, "content_filter"):
            return WorkerFault(f"the worker's answer ended before its end: {clean(str(finish))[:40]}")
        return Answer(told["text"], ended, usage if isinstance(usage, dict) else {})
    if isinstance(likelihood := told.get("likelihood"), list):
        return tuple(likelihood)
    if told.get("picture") == "file" and len(blobs) == 1:
        return partial(open_picture, bytes(blobs[0]), "of the worker")
    match told.get("rgb"):
        case [int(width), int(height)] if (
            len(blobs) == 1 and min(width, height) > 0 and width * height <= MOST_DRAWN
        ) and len(blobs[0]) == 3 * width * height:
            return partial(_picture, (width, height), blobs[0])
        case _:
            kinds = ", ".join(sorted(clean(str(each))[:20] for each in told))
            return WorkerFault(f"the worker gave no output that can be read ({kinds[:200]})")


def _picture(size: tuple[int, int], pixels: bytearray) -> Image:
    from PIL import Image

    return Image.frombytes("RGB", size, pixels)


def worker(
    adapter: str = "",
    *,
    python: str = "",
    command: str = "",
    options: str = "{}",
    paths: str = "",
    source: str = "",
    patience: float = 600,
    world: str = "official",
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = False,
) -> Worker:
    """Return a model that runs elsewhere: `worker:FILE.py`, `worker:FILE.py:FACTORY` or `worker:MODULE:FACTORY`.

    It runs in the environment that `janus-eval env create worker:FILE.py` made of the lock beside the file, else
    in this interpreter; `python` names another, `command` any command that ends in one (`ssh host python3`).
    `options` are its factory's, a JSON object; `paths` are put before its sys.path, joined by colons.
    """
    recipe = Recipe.named(adapter)
    try:
        told = json.loads(options)
    except ValueError as error:
        raise UsageError(f"options={options!r} is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"options={options!r}: expected a JSON object")
    launch = Launch(
        recipe,
        python=python,
        command=command,
        options=told,
        paths=tuple(filter(None, paths.split(":"))),
        source=source,
        device=device,
        dtype=dtype,
        offline=offline,
    )
    return Worker(f"worker:{adapter}", launch, patience=patience, world=world)
