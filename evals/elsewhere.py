"""A registered model in a worker's process: for `--model-python`, where Ray cannot start workers with that Python."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import registry
from .errors import JanusEvalError, OutOfMemory
from .pictures import picture_bytes
from .plugins import ModelAdapter
from .types import Answer, Drawn, Job, Json, Kind, Picture, Refusal, Sample


class Elsewhere:
    """A registered model as a worker's own file would have it (docs/workers.md)."""

    def __init__(self, model: ModelAdapter) -> None:
        self._model = model
        self.kinds: Collection[Kind] = model.kinds
        self.card: Mapping[str, Json] = model.card
        self.independent: bool = getattr(model, "independent", False)
        self.shares_pictures: bool = getattr(model, "shares_pictures", False)
        self.image_size: int = getattr(model, "image_size", 384)

    def predict(self, jobs: Sequence[Any]) -> Iterator[Any]:
        """Yield an output for each job. Raises MemoryError where the batch does not fit."""
        try:
            for output in self._model.predict([_job(each) for each in jobs]):
                yield _travels(output)
        except OutOfMemory as error:
            raise MemoryError(str(error)) from error


def model(name: str, options: Mapping[str, Any], device: str = "auto") -> Elsewhere:
    """Return a registered model made with its options, on the device that its worker was given."""
    given = {**options, **({} if device == "auto" else {"device": device})}
    return Elsewhere(registry.create("models", name, **given))


def _job(asked: Any) -> Job:
    pictures = tuple(Picture(f"{number}", partial(bytes, each)) for number, each in enumerate(asked.pictures))
    sample = Sample(asked.sample, asked.prompt, pictures, asked.system, options=tuple(asked.options))
    return Job(sample, asked.kind, asked.index, asked.seed)


def _travels(output: Any) -> Any:
    if isinstance(output, Answer):
        return {"text": output.text, "finish": output.finish, "usage": dict(output.usage)}
    if isinstance(output, Refusal):
        return JanusEvalError(f"refused: {output}")
    return picture_bytes(output) if isinstance(output, Path | Drawn) else output
