"""A model tried in seconds: what it gives of each kind, alone and beside others, with time and memory."""

from __future__ import annotations

import io
import resource
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .batches import Failed
from .errors import InvalidImage, UsageError
from .executors import Batch
from .executors.remote import encoded
from .executors.worker import Worker
from .pictures import decoded
from .plugins import Model
from .types import PICTURES, Answer, Job, Json, Kind, Picture, Refusal, Sample, job_seed

State = Literal["ok", "warning", "failed", "not tried"]
_QUESTIONS = (
    "Is there a red disc in the image? Please answer yes or no.",
    "What colour is the disc?",
    "Describe what stands in the image, where it stands and what colour it has, in one short sentence.",
)
_EDITS = ("Make the disc blue.", "Remove the disc.", "Add a small green square left of the disc.")
_PROMPTS = ("a photo of a red apple", "a photo of a bird", "a photo of a blue car left of a green chair")
_NAMES: Mapping[Kind, str] = {"text": "answer", "likelihood": "likelihoods", "image": "picture", "edit": "edit"}
_PLACE = 1
"""Where the first sample stands in the batch that is compared: neither first nor last."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried and what came of it; `seconds` is the time of the call, None where none was made."""

    what: str
    state: State
    detail: str
    seconds: float | None = None

    def to_json(self) -> dict[str, Json]:
        """Return what `--json` prints of it."""
        return {"what": self.what, "state": self.state, "detail": self.detail, "seconds": self.seconds}


def smoke(model: Model, limit: float = 60.0, kinds: Collection[Kind] = ()) -> Iterator[Finding]:
    """Yield a finding for each thing that a model is tried with, as they come.

    Of each kind of output one is asked for alone and then as one of three together: it must come out equal. Where it
    does not, it is asked for alone once more, which tells a model that depends on its batch (a warning: the batch size
    is its run's to keep) from one that gives another output each time. No call is begun that would, by those before it,
    end after `limit` seconds; it is said to be not tried. Drawings that cost money are not asked for, nor, unless
    `kinds` names them, those of an endpoint that answers. Raises UsageError for a kind that it does not give.
    """
    if unknown := [each for each in kinds if each not in model.kinds]:
        raise UsageError(f"it gives no {unknown[0]}, only: {', '.join(sorted(model.kinds))}")
    ends = time.monotonic() + limit
    worker, loading = Worker("predict", model), True
    for kind in ("text", "likelihood", "image", "edit"):
        if kind in PICTURES and {kind, "text"} <= {*model.kinds} and model.independent and not kinds:
            yield Finding(_NAMES[kind], "not tried", f"an endpoint may only answer; to try: --kinds {kind}")
        elif kind in (kinds or model.kinds):
            yield from _tried(worker, model, kind, ends, loading=loading)
            loading = False


def memory() -> dict[str, int]:
    """Return the most bytes that this process held, and of a GPU where torch has used one."""
    found = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.max_memory_allocated()
    return found


def _tried(worker: Worker, model: Model, kind: Kind, ends: float, *, loading: bool) -> Iterator[Finding]:
    jobs = _jobs(kind)
    name = _NAMES[kind]
    if kind in PICTURES and (why := _priced(model)):
        yield Finding(name, "not tried", why)
        return
    if time.monotonic() > ends:
        yield Finding(name, "not tried", "the time is over")
        return
    alone, seconds = _ask(worker, jobs[:1])
    yield _first(name, kind, alone[0], seconds)
    if isinstance(alone[0], Failed | Refusal | None):
        return
    together = [jobs[1], jobs[0], jobs[2]]
    longest = seconds / 2 if loading else 2 * seconds  # the first call loads; three together take less than three
    if time.monotonic() + longest > ends:
        yield Finding(f"{name} in a batch", "not tried", f"longer than is left: one took {seconds:.1f} s")
        return
    batch, took = _ask(worker, together)
    beside = batch[_PLACE]
    if isinstance(beside, Failed | Refusal | None):
        yield Finding(f"{name} in a batch", "failed", _why(beside), took)
        return
    if not (apart := _apart(kind, alone[0], beside)):
        yield Finding(f"{name} in a batch", "ok", "equal, beside two others", took)
        return
    again, took = _ask(worker, jobs[:1])
    broken = isinstance(again[0], Failed | Refusal | None)
    if told := _why(again[0]) if broken else _apart(kind, alone[0], again[0]):
        state: State = "warning" if model.independent else "failed"
        yield Finding(f"{name} again", state, f"the same job comes out otherwise: {told}", took)
        return
    yield Finding(f"{name} in a batch", "warning", f"depends on the batch: {apart}; alone it repeats", took)


def _ask(worker: Worker, jobs: Sequence[Job]) -> tuple[list[Any], float]:
    """Return what came of jobs that are asked for together, pictures as bytes, and the seconds that it took."""
    began = time.monotonic()
    found, _ = worker.work(Batch("predict", 0, jobs, patience=len(jobs)))
    outputs = [_kept(job, each) for job, each in zip(jobs, found, strict=True)]
    return outputs, time.monotonic() - began


def _kept(job: Job, output: Any) -> Any:
    if job.kind in PICTURES:
        return output if isinstance(output, Refusal) else encoded(output)
    return output.text if isinstance(output, Answer) else output


def _first(name: str, kind: Kind, output: Any, seconds: float) -> Finding:
    if isinstance(output, Failed | Refusal | None):
        return Finding(name, "failed", _why(output), seconds)
    if kind == "text":
        told = f"{output[:80]!r}" + ("..." if len(output) > 80 else "")
        return Finding(name, "ok" if output.strip() else "warning", told if output.strip() else "empty", seconds)
    if kind == "likelihood":
        return Finding(name, "ok", ", ".join(f"{each:.4g}" for each in output), seconds)
    try:
        picture = decoded(output)
    except InvalidImage as error:
        return Finding(name, "failed", f"it cannot be decoded: {error}", seconds)
    flat = all(low == high for low, high in _extremes(picture.convert("RGB")))
    told = f"{picture.width} x {picture.height}" + (", of one colour all over" if flat else "")
    return Finding(name, "warning" if flat else "ok", told, seconds)


def _extremes(picture: Any) -> Sequence[tuple[int, int]]:
    return picture.getextrema()


def _why(output: Failed | Refusal | None) -> str:
    return (
        "not tried after a failure" if output is None else output.error if isinstance(output, Failed) else str(output)
    )


def _apart(kind: Kind, one: Any, other: Any) -> str:
    """Return how two outputs of one job differ, "" where they are equal."""
    if kind == "text":
        return "" if one == other else f"{one[:60]!r} and {other[:60]!r}"
    if kind == "likelihood":
        most = max((abs(a - b) for a, b in zip(one, other, strict=True)), default=0.0)
        return f"by {most:.2g} at most" if most else ""
    if one == other:
        return ""
    import numpy as np

    first, second = (np.asarray(decoded(each).convert("RGB"), dtype=np.int16) for each in (one, other))
    if first.shape != second.shape:
        return f"{first.shape[1]} x {first.shape[0]} and {second.shape[1]} x {second.shape[0]} pixels"
    moved = np.abs(first - second)
    return f"{(moved.max(axis=2) > 0).mean():.2%} of the pixels, by {moved.max()} of 255 at most" if moved.any() else ""


def _priced(model: Model) -> str:
    """Return why no drawing is asked for: it costs money, or nobody says that it does not."""
    try:
        told = model.cost(4)
    except UsageError as error:
        return f"drawings are paid for: {error}"
    return f"drawings are paid for: {told}" if told else ""


def _jobs(kind: Kind) -> list[Job]:
    """Return three jobs of a kind; questions and edits are of a picture of a red disc and of unequal length."""
    found: list[Job] = []
    for number in range(3):
        name = f"check/{kind}/{number}"
        if kind == "image":
            sample = Sample(name, _PROMPTS[number])
        else:
            options = ("yes", "no") if kind == "likelihood" else ()
            text = _EDITS[number] if kind == "edit" else f"\n{_QUESTIONS[number]}"
            sample = Sample(name, text, (Picture("disc.png", _disc),), options=options)
        found.append(Job(sample, kind, 0, job_seed(0, name, 0)))
    return found


def _disc() -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(picture).ellipse((24, 24, 71, 71), fill="red")
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()
