"""The detector: pictures to boxes, scores, labels and masks, through transformers or mmdet itself."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ....evals.errors import EnvironmentProblem, OutOfMemory, UsageError
from ..prompts import CLASSES
from .architecture import Naming
from .checkpoint import read
from .convert import converted
from .folder import RENAMED, check_classes, check_files, load, settings_of
from .instances import Detections, encode, instances
from .pixels import Bgr, Geometry, Pipeline, Settings, network_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


DTYPES = ("float32", "float64", "bfloat16", "float16")
_CPU_PIXELS = 1.2e6
_CUDA_PIXELS = 16 * 800 * 1344.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture ready for the network: its input (or itself, for mmdet) and its sizes on the way."""

    input: NDArray[Any]
    geometry: Geometry


class Detector(Protocol):
    """Finds objects in pictures; `prepare` may run on another thread than `detect`.

    `detect` takes pictures of one network input size and returns their detections above `floor`,
    in order, one picture's masks at a time. `batch(geometry)` is how many to give at once.
    """

    def prepare(self, pixels: Bgr) -> Prepared: ...
    def batch(self, geometry: Geometry) -> int: ...
    def detect(self, pictures: Sequence[Prepared], floor: float) -> Iterator[Detections]: ...


def pick_device(device: str) -> str:
    """Return the device's name, `auto` being cuda where there is one. Raises UsageError for one that is not here."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {device!r}: torch sees no CUDA device here; give cpu or auto")
    return device


@contextmanager
def exact_math(device: str) -> Generator[None]:
    """Compute in true float32 (TF32 off) and turn a full device into OutOfMemory."""
    import torch

    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory(f"the detector's batch does not fit on {device}") from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise OutOfMemory(f"the detector's batch does not fit on {device}") from error
        raise
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


class TransformersDetector:
    """Mask2Former through transformers with mmdet's own steps before and after it."""

    def __init__(self, folder: Path, *, device: str, dtype: str = "float32", pipeline: Pipeline = "mmdet2") -> None:
        import torch

        if dtype not in DTYPES:
            raise UsageError(f"the detector's dtype {dtype!r} is none of {', '.join(DTYPES)}")
        check_files(folder)
        self.settings: Settings = settings_of(folder)
        self.model: Any = load(str(folder)).to(device, getattr(torch, dtype))
        self.device = device
        self.dtype = dtype
        self.pipeline: Pipeline = pipeline

    def prepare(self, pixels: Bgr) -> Prepared:
        geometry = Geometry.of((pixels.shape[0], pixels.shape[1]), self.settings)
        return Prepared(network_input(pixels, geometry, self.settings, self.pipeline), geometry)

    def batch(self, geometry: Geometry) -> int:
        room = _CUDA_PIXELS if self.device.startswith("cuda") else _CPU_PIXELS
        return int(min(64, max(1, room // (geometry.padded[0] * geometry.padded[1]))))

    def logits(self, pictures: Sequence[Prepared]) -> tuple[Any, Any]:
        """Return class logits (n, queries, classes + 1) and mask logits (n, queries, height/4, width/4)."""
        import numpy as np
        import torch

        batch = torch.from_numpy(np.stack([each.input for each in pictures]))
        with torch.inference_mode():
            output = self.model(pixel_values=batch.to(self.device, getattr(torch, self.dtype)))
        return output.class_queries_logits, output.masks_queries_logits

    def detect(self, pictures: Sequence[Prepared], floor: float) -> Iterator[Detections]:
        import torch

        with exact_math(self.device):
            classes, masks = self.logits(pictures)
            for index, picture in enumerate(pictures):
                with torch.inference_mode():
                    top = self.settings.max_per_image
                    yield instances(classes[index], masks[index], picture.geometry, top, floor)


class MmdetDetector:
    """mmdet itself (2.28 or 3.x), where it is installed, with its own checkpoint and configuration."""

    _CONFIGS = (
        "mask2former/mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco.py",
        "mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco.py",
    )

    def __init__(self, checkpoint: Path, *, device: str, config: Path | None = None) -> None:
        import mmdet
        from mmdet.apis import init_detector

        self.major = int(mmdet.__version__.partition(".")[0])
        settings = str(config or self._config(Path(str(mmdet.__file__))))
        with tempfile.TemporaryDirectory() as folder:
            clean = _clean(checkpoint, "mmdet 2.x" if self.major < 3 else "mmdet 3.x", Path(folder))
            self.model: Any = init_detector(settings, str(clean), device=device)
        names = self.model.CLASSES if self.major < 3 else self.model.dataset_meta["classes"]
        check_classes(names, f"mmdet's {checkpoint}")

    @classmethod
    def _config(cls, package: Path) -> Path:
        roots = (package.parent / ".mim" / "configs", package.parent.parent / "configs")
        found = next((root / name for root in roots for name in cls._CONFIGS if (root / name).is_file()), None)
        if found is None:
            raise EnvironmentProblem(f"mmdet at {package.parent} ships no {cls._CONFIGS[0]}: install its wheel")
        return found

    def prepare(self, pixels: Bgr) -> Prepared:
        size = (pixels.shape[0], pixels.shape[1])
        return Prepared(pixels, Geometry(size, size, size))

    def batch(self, geometry: Geometry) -> int:
        return 1  # as the official script drives it

    def detect(self, pictures: Sequence[Prepared], floor: float) -> Iterator[Detections]:
        import numpy as np
        from mmdet.apis import inference_detector

        for picture in pictures:
            result = inference_detector(self.model, picture.input)
            boxes, scores, labels, masks = _from_2x(result) if self.major < 3 else _from_3x(result)
            order = np.argsort(-scores, kind="stable")
            order = order[scores[order] > floor]
            yield Detections(boxes[order], scores[order], labels[order], tuple(encode(masks[order])))


def _clean(checkpoint: Path, wanted: Naming, folder: Path) -> Path:
    """Return a copy of a checkpoint that mmdet can load without unpickling anything else.

    mmdet loads what fits and leaves the rest random; so the names are checked here, as strictly as
    for transformers. Raises UsageError for names of the other version.
    """
    import torch

    found = read(checkpoint)
    _, which, _ = converted(found)
    if which != wanted:
        raise UsageError(f"{checkpoint} holds {which} names, the mmdet installed here needs {wanted}: give that file")
    names = [{new: old for old, new in RENAMED.items()}.get(name, name) for name in CLASSES]
    meta = {"CLASSES": tuple(names)} if wanted == "mmdet 2.x" else {"dataset_meta": {"classes": tuple(names)}}
    torch.save({"meta": meta, "state_dict": dict(found.tensors)}, folder / "clean.pth")
    return folder / "clean.pth"


_Arrays = tuple["NDArray[np.float32]", "NDArray[np.float32]", "NDArray[np.int64]", "NDArray[np.bool_]"]


def _from_2x(result: Any) -> _Arrays:
    """Read mmdet 2.x's pair of lists by class: boxes (n, 5) and masks."""
    import numpy as np

    rows, segments = result
    labels = np.concatenate([np.full(len(each), index, np.int64) for index, each in enumerate(rows)])
    table = np.concatenate(list(rows)).astype(np.float32)
    masks = [np.asarray(mask, np.bool_) for each in segments for mask in each]
    return table[:, :4], table[:, 4], labels, np.stack(masks) if masks else np.zeros((0, 1, 1), np.bool_)


def _from_3x(result: Any) -> _Arrays:
    """Read mmdet 3.x's DetDataSample."""
    found = result.pred_instances
    arrays = (found.bboxes.float(), found.scores.float(), found.labels.long(), found.masks.bool())
    boxes, scores, labels, masks = (each.cpu().numpy() for each in arrays)
    return boxes, scores, labels, masks


def by_class(found: Detections) -> dict[str, list[int]]:
    """Return the positions of each class's detections, best first, by GenEval's class name."""
    places: dict[str, list[int]] = {}
    for place, label in enumerate(found.labels.tolist()):
        places.setdefault(CLASSES[label], []).append(place)
    return places
