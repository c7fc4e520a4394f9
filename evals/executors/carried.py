"""Pictures that go from the actors that drew them to those that look, as Ray's references; else as bytes of the run."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ..errors import EnvironmentProblem
from ..packs import unpack
from ..stored import Key
from ..types import Prediction
from . import Batch, Done, item_key
from .actors import Actor
from .remote import portable

_KEPT = 4096
"""Pictures that wait in Ray's object store for an observer; one that waits longer is read from the run."""


class Carried:
    """Where the pictures lie that nobody has looked at yet."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[Key, tuple[Any, int]] = OrderedDict()

    def clear(self) -> None:
        """Let go of all."""
        self._drawn.clear()

    def keep(self, done: Done, ref: Any) -> None:
        """Take note of the pictures of a batch that lies under a reference."""
        for place, (item, output) in enumerate(zip(done.batch.items, done.outputs, strict=True)):
            if isinstance(output, bytes):
                self._drawn[item_key(item)] = (ref, place)
        while len(self._drawn) > _KEPT:
            self._drawn.popitem(last=False)

    def send(self, actor: Actor, batch: Batch) -> Any:
        """Give an actor a batch and return the reference of what it will give."""
        travels = Batch(batch.stage, batch.number, [portable(item) for item in batch.items], batch.patience)
        if batch.stage == "predict":
            return actor.handle.draw.remote(travels)
        refs: list[Any] = []
        loose: list[bytes] = []
        places: list[tuple[int, int] | None] = []
        for item in batch.items:
            ref, place = self._drawn.pop(item_key(item), (None, 0))  # once: what is sent again is read from the run
            if ref is not None:
                refs += [ref] if ref not in refs else []
                places.append((1 + refs.index(ref), place))
            else:
                data = _bytes(item[1]) if isinstance(item, tuple) else None
                places.append(None if data is None else (0, len(loose)))
                loose += [] if data is None else [data]
        return actor.handle.look.remote(travels, places, (loose, None), *refs)


def _bytes(prediction: Prediction) -> bytes | None:
    if prediction.packed is not None or prediction.image is None:
        return unpack(prediction.packed) if prediction.packed is not None else None
    try:
        return prediction.image.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(f"{prediction.image} cannot be read: {error.strerror}") from error
