"""GenEval's observer: what the detector and the colour classifier see in a picture, as evidence."""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...evals.assets import fetch as data
from ...evals.errors import EnvironmentProblem, InvalidImage, UsageError, why_undecodable
from ...evals.extras import pip_line
from ...evals.memory import on_disk
from ...evals.pictures import rgb
from ...evals.types import Evidence, Json, Prediction, Sample
from ..toy.weights import identity, packaged
from .detector.backends import (
    DTYPES,
    Detector,
    MmdetDetector,
    Prepared,
    TransformersDetector,
    by_class,
    exact_math,
    pick_device,
)
from .detector.colour import ColourDtype, ColourNames, ImageText, OpenClip, TransformersClip, crop
from .detector.instances import Detections, decode
from .detector.pixels import Pipeline, Size, read
from .detector.weights import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

Pair = tuple[Sample, Prediction]
_CLIP_ASSET = "geneval-clip"
_CROPS_AT_ONCE = 64
_PACKAGES = ("torch", "transformers", "cv2", "pycocotools")


@dataclass(frozen=True, slots=True)
class _Picture:
    """One decoded picture and its place in the batch that was asked for."""

    place: int
    prepared: Prepared
    image: Image


@dataclass(frozen=True, slots=True)
class _Crop:
    """An object whose colour is asked, and the list that the answer joins."""

    input: NDArray[Any]
    name: str
    answers: list[str]


class GenEvalObserver:
    """Mask2Former's boxes and masks and CLIP's colours. Weights load at the first `observe`.

    `detector`: official, official-3x, toy, hub:ORG/NAME (an approximation), a checkpoint of mmdet or
    a converted folder. `clip`: official, toy, or a folder. `floor`: nothing that scores less is kept.
    """

    beside = True
    inert = (
        *("detector", "detector_backend", "pipeline", "clip", "clip_backend", "colour_dtype", "floor"),
        *("device", "dtype", "world"),
    )

    def __init__(
        self,
        detector: str = "official",
        detector_backend: Literal["transformers", "mmdet"] = "transformers",
        pipeline: Pipeline = "mmdet2",
        clip: str = "official",
        clip_backend: Literal["transformers", "open_clip"] = "transformers",
        colour_dtype: ColourDtype = "float32",
        floor: float = 0.1,
        device: str = "auto",
        dtype: str = "auto",
        world: str = "official",
        offline: bool = False,
    ) -> None:
        toy = world == "toy"
        self._weights = Weights("toy" if toy and detector == "official" else detector, offline)
        self._clip = "toy" if clip == "official" and (toy or detector == "toy") else clip
        self._backend = detector_backend
        self._pipeline: Pipeline = pipeline
        self._clip_backend = clip_backend
        self._colour_dtype: ColourDtype = colour_dtype
        self._asked_device = device
        self._dtype = "float32" if dtype == "auto" else dtype
        self._offline = offline
        self.floor = floor
        if not 0 <= floor < 1:
            raise UsageError(f"floor {floor}: a score between 0 and 1 is expected")
        if self._dtype not in DTYPES:
            raise UsageError(f"the detector's dtype {dtype!r} is none of auto, {', '.join(DTYPES)}")
        if self._clip not in ("official", "toy") and not Path(self._clip).is_dir():
            raise UsageError(f"clip {clip!r}: no such folder; give official, toy or a folder with a CLIP model")
        if self._backend == "mmdet" and self._weights.kind in ("toy", "hub"):
            raise UsageError(f"detector-backend mmdet loads mmdet's own checkpoints, not {self._weights.name!r}")

    def assets(self) -> list[str]:
        """Return the detector and the colour classifier, as far as no file of the user's stands for them."""
        clip = _CLIP_ASSET if self._clip == "official" and self._clip_backend == "transformers" else None
        return [each for each in (self._weights.asset, clip) if each]

    def needs(self) -> list[str]:
        """Return the assets that a run has to download first; raise EnvironmentProblem for a package that lacks."""
        backends = (self._backend, self._clip_backend)
        _check_packages([*_PACKAGES, *(each for each in backends if each != "transformers")])
        return [each for each in self.assets() if data.locate(each) is None]

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Every knob that moves the evidence. The device is not one: float32 is kept true on all of them."""
        return {
            "detector": self._weights.identity,
            "detector_backend": self._backend,
            "pipeline": self._pipeline,
            "dtype": self._dtype,
            "clip": self._clip_identity,
            "clip_backend": self._clip_backend,
            "colour_dtype": self._colour_dtype,
            "floor": self.floor,
        }

    @property
    def _clip_identity(self) -> str:
        if self._clip == "toy":
            return identity("clip")
        return self._clip if self._clip == "official" else data.fingerprint(Path(self._clip))[:12]

    @cached_property
    def _device(self) -> str:
        return pick_device(self._asked_device)

    @property
    def batch_size(self) -> int:
        """How many pictures to observe together; the detector takes them by size and as many as fit."""
        if self._weights.kind == "toy":
            return 64
        return 64 if self._device.startswith("cuda") else 4

    def weights_bytes(self) -> int:
        """Return what the files of detector and CLIP take; they are loaded in float32, as they lie."""
        if "_detector" in vars(self):
            return 0
        clip = packaged("clip") if self._clip == "toy" else None if self._clip == "official" else Path(self._clip)
        return on_disk(self._weights.place, data.locate(_CLIP_ASSET) if self._clip == "official" else clip)

    @cached_property
    def _detector(self) -> Detector:
        from .detector.canary import check_network, check_package

        if self._backend == "mmdet":
            return MmdetDetector(self._weights.checkpoint(), device=self._device)
        with self._weights.folder() as folder:
            check_package(self._device)
            detector = TransformersDetector(folder, device=self._device, dtype=self._dtype, pipeline=self._pipeline)
            check_network(detector, folder)
        return detector

    @cached_property
    def _colours(self) -> ColourNames:
        model = load_clip(self._clip, self._clip_backend, self._device, self._offline)
        return ColourNames(model, self._device, self._colour_dtype)

    def observe(self, pairs: Sequence[Pair]) -> Sequence[Evidence]:
        """Return what is seen in each picture: boxes and scores of every class, and for the prompt's
        classes the masks, and the colours where it asks for one.

        A picture that cannot be decoded gives `{"invalid": reason}`; one that cannot be read, an error.
        Raises OutOfMemory where the device does not hold the batch.
        """
        found: list[Evidence | None] = [None] * len(pairs)
        crops: list[_Crop] = []
        with ThreadPoolExecutor(1) as reader:
            for batch in self._batches(pairs, found, reader):
                seen = self._detector.detect([each.prepared for each in batch], self.floor)
                for picture, detections in zip(batch, seen, strict=True):
                    sample, prediction = pairs[picture.place]
                    row = self._row(sample, picture, detections, crops)
                    found[picture.place] = Evidence(sample.id, prediction.index, row)
                    if len(crops) >= _CROPS_AT_ONCE:
                        self._name(crops)
        self._name(crops)
        return [each for each in found if each is not None]

    def _batches(
        self, pairs: Sequence[Pair], found: list[Evidence | None], reader: ThreadPoolExecutor
    ) -> Iterator[list[_Picture]]:
        """Yield the readable pictures in batches of one input size; the next is read while one is computed."""
        detector = self._detector
        reading: deque[Future[_Picture | Evidence]] = deque()
        waiting: dict[Size, list[_Picture]] = {}
        started, ahead = 0, 2
        while started < len(pairs) or reading:
            while started < len(pairs) and len(reading) < ahead:
                reading.append(reader.submit(self._read, started, pairs[started]))
                started += 1
            place = started - len(reading)
            picture = reading.popleft().result()
            if isinstance(picture, Evidence):
                found[place] = picture
                continue
            geometry = picture.prepared.geometry
            alike = waiting.setdefault(geometry.padded, [])
            alike.append(picture)
            most = detector.batch(geometry)
            ahead = 2 * most
            if len(alike) >= most:
                # Asked for before it is computed, so that the reader works meanwhile.
                while started < len(pairs) and len(reading) < ahead:
                    reading.append(reader.submit(self._read, started, pairs[started]))
                    started += 1
                yield waiting.pop(geometry.padded)
        yield from waiting.values()

    def _read(self, place: int, pair: Pair) -> _Picture | Evidence:
        sample, prediction = pair
        if prediction.image is None:
            raise TypeError(f"sample {sample.id}: the prediction holds no picture")
        try:
            pixels, image = read(prediction.image)
            return _Picture(place, self._detector.prepare(pixels), image)
        except InvalidImage as error:
            return Evidence(sample.id, prediction.index, {"invalid": str(error)})
        except OSError as error:
            return Evidence(sample.id, prediction.index, error=f"{prediction.image.name}: {why_undecodable(error)}")

    def _row(self, sample: Sample, picture: _Picture, found: Detections, crops: list[_Crop]) -> dict[str, Json]:
        """Return one picture's evidence; its colours follow when its crops are named."""
        asked, coloured = _asked(sample.target)
        places = by_class(found)
        rows = {name: [_box(found, place) for place in each] for name, each in places.items()}
        masks = {name: [found.masks[place] for place in places.get(name, [])] for name in sorted(asked)}
        colors: dict[str, list[str]] = {name: [] for name in sorted(coloured)}
        rows |= {name: [] for name in sorted(asked) if name not in rows}
        width, height = picture.image.size
        row = {"boxes": rows, "colors": colors, "masks": masks, "floor": self.floor, "size": [width, height]}
        if not any(places.get(name) for name in coloured):
            return row
        try:
            whole = rgb(picture.image)
            for name, answers in colors.items():
                for place in places.get(name, []):
                    object_ = crop(whole, decode(found.masks[place]), found.boxes[place].tolist())
                    crops.append(_Crop(self._colours.prepare([object_])[0], name, answers))
        except (ValueError, OSError, InvalidImage) as error:
            # PIL cannot turn the picture into RGB, or sees another size than cv2: the official script ends here.
            return {"invalid": f"{sample.id}: its colours cannot be read: {why_undecodable(error)}"}
        return row

    def _name(self, crops: list[_Crop]) -> None:
        """Answer the collected crops and empty the list."""
        if not crops:
            return
        with exact_math(self._device):
            named = self._colours.name([each.input for each in crops], [each.name for each in crops])
        for each, colour in zip(crops, named, strict=True):
            each.answers.append(colour)
        crops.clear()


def _box(found: Detections, place: int) -> list[float]:
    return [*found.boxes[place].tolist(), float(found.scores[place])]


def _asked(target: Json) -> tuple[set[str], set[str]]:
    """Return the classes that a prompt's clauses name, and those of them whose colour it asks for."""
    include, exclude = target.get("include", []), target.get("exclude", [])
    asked = {clause["class"] for clause in [*include, *exclude]}
    return asked, {clause["class"] for clause in include if clause.get("color")}


def _check_packages(names: Sequence[str]) -> None:
    """Raise EnvironmentProblem for a package that is not installed, before any picture is drawn."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            extra = {"open_clip": "clip", "mmdet": "mmdet"}.get(name, "geneval")
            raise EnvironmentProblem(f"geneval-detector needs the package {name}: {pip_line(extra)}")


def load_clip(name: str, backend: str, device: str, offline: bool) -> ImageText:
    """Return the CLIP model behind an option value: official, toy or a folder."""
    if name == "toy":
        return TransformersClip(packaged("clip"), device)
    if backend == "open_clip":
        return OpenClip(None if name == "official" else Path(name), device)
    return TransformersClip(data.fetch(_CLIP_ASSET, offline=offline) if name == "official" else Path(name), device)
