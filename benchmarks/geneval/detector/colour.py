"""CLIP names the colour of a detected object, as GenEval's script asks it.

A port of behaviour: djghosh13/geneval af4902f, evaluation/evaluate_images.py (crops, templates) with
clip_benchmark's zero-shot classifier and open_clip's image transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ....evals.errors import EnvironmentProblem, UsageError
from ....evals.extras import pip_line
from ..prompts import COLORS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

ColourDtype = Literal["float32", "fp16-autocast"]

TEMPLATES = ("a photo of a {colour} {name}", "a photo of a {colour}-colored {name}", "a photo of a {colour} object")
GREY = 0x99
"""The background around an object's mask: #999."""
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_BATCH = 64


class ImageText(Protocol):
    """What a CLIP backend gives: image and text features, not normalised, (n, width)."""

    @property
    def image_size(self) -> int: ...
    def images(self, pixels: Tensor) -> Tensor: ...
    def texts(self, texts: Sequence[str]) -> Tensor: ...


def crop(picture: Image, mask: NDArray[np.bool_], box: Sequence[float]) -> Image:
    """Return the object inside its box, everything outside its mask grey.

    Raises ValueError where the mask's size is not the picture's.
    """
    import numpy as np
    from PIL import Image

    width, height = picture.size
    if mask.shape != (height, width):
        raise ValueError(f"a mask of {mask.shape[1]}x{mask.shape[0]} for a picture of {width}x{height}")
    x1, y1, x2, y2 = (round(float(edge)) for edge in box[:4])
    inside = mask[y1:y2, x1:x2, None]
    pixels = np.asarray(picture.crop((x1, y1, x2, y2)))
    return Image.fromarray(np.where(inside, pixels, np.uint8(GREY)))


def pixels(picture: Image, size: int) -> NDArray[np.float32]:
    """Return CLIP's input (3, size, size): short side to `size` bicubic, centre crop, CLIP's mean and std.

    The rounding is torchvision's (Resize, CenterCrop), which open_clip's transform uses.
    """
    import numpy as np
    from PIL import Image

    width, height = picture.size
    short, long = min(width, height), max(width, height)
    scaled = int(size * long / short)
    target = (size, scaled) if width <= height else (scaled, size)
    resized = picture if picture.size == target else picture.resize(target, Image.Resampling.BICUBIC)
    left, top = (round((edge - size) / 2.0) for edge in target)
    cut = resized.crop((left, top, left + size, top + size))
    values = np.asarray(cut, np.float32) / np.float32(255)
    mean, std = (np.asarray(each, np.float32) for each in (_MEAN, _STD))
    return ((values - mean) / std).transpose(2, 0, 1)


@dataclass
class ColourNames:
    """Names colours with one CLIP model; the text side is computed once for each class."""

    model: ImageText
    device: str
    dtype: ColourDtype = "float32"
    _classifiers: dict[str, Tensor] = field(default_factory=dict[str, Any])
    """The text side of each class, (width, colours): normalised mean of three normalised texts a colour."""
    _known: dict[str, Tensor] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.dtype == "fp16-autocast" and not self.device.startswith("cuda"):
            raise UsageError(
                f"colour-dtype fp16-autocast is the official behaviour on CUDA; on {self.device} use float32"
            )

    def prepare(self, crops: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Return the network inputs of crops."""
        return [pixels(each, self.model.image_size) for each in crops]

    def name(self, inputs: Sequence[NDArray[np.float32]], classes: Sequence[str]) -> list[str]:
        """Return the colour of each prepared crop, whose object is of the class beside it."""
        import numpy as np
        import torch

        named: list[str] = []
        with torch.inference_mode():
            for start in range(0, len(inputs), _BATCH):
                part = slice(start, start + _BATCH)
                batch = torch.from_numpy(np.stack(list(inputs[part]))).to(self.device)
                with self._autocast():
                    features = torch.nn.functional.normalize(self.model.images(batch), dim=-1)
                    self._learn(classes[part])
                    heads = torch.stack([self._classifiers[each] for each in classes[part]])
                    logits = 100.0 * torch.bmm(features[:, None], heads)[:, 0]
                named += [COLORS[index] for index in logits.float().argmax(1).tolist()]
        return named

    def _learn(self, classes: Sequence[str]) -> None:
        """Compute the text side of classes that are new, all of their texts together; what they share once."""
        import torch

        new = [each for each in dict.fromkeys(classes) if each not in self._classifiers]
        texts = dict.fromkeys(text for name in new for colour in COLORS for text in _texts(colour, name))
        lacking = [each for each in texts if each not in self._known]
        for start in range(0, len(lacking), _BATCH):
            part = lacking[start : start + _BATCH]
            self._known |= zip(part, torch.nn.functional.normalize(self.model.texts(part), dim=-1), strict=True)
        for name in new:
            means = torch.stack([torch.stack([self._known[t] for t in _texts(c, name)]).mean(0) for c in COLORS], 1)
            self._classifiers[name] = means / means.norm(dim=0)

    def _autocast(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast("cuda", torch.float16) if self.dtype == "fp16-autocast" else nullcontext()


def _texts(colour: str, name: str) -> list[str]:
    return [each.format(colour=colour, name=name) for each in TEMPLATES]


class TransformersClip:
    """CLIP through transformers, from a local folder with its tokenizer. Sizes come from the folder."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoTokenizer, CLIPModel

        from .folder import quiet_load

        model, found = quiet_load(CLIPModel, str(folder), "CLIP")
        for what in ("missing", "unexpected", "mismatched"):
            keys = [str(each if isinstance(each, str) else each[0]) for each in found[f"{what}_keys"]]
            wrong = sorted(key for key in keys if not key.endswith("position_ids"))
            if wrong:
                raise UsageError(f"CLIP {folder}: {what} tensors: {', '.join(wrong[:8])}; {len(wrong)} in all")
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split())[:200]
            raise EnvironmentProblem(f"CLIP {folder}: its tokenizer cannot be loaded: {text}") from error
        self._model: Any = model.eval().float().to(device)
        self._device = device
        self.image_size = int(model.config.vision_config.image_size)

    def images(self, pixels: Tensor) -> Tensor:
        return self._model.visual_projection(self._model.vision_model(pixel_values=pixels).pooler_output)

    def texts(self, texts: Sequence[str]) -> Tensor:
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(self._device)
        found = self._model.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return self._model.text_projection(found.pooler_output)


class OpenClip:
    """CLIP through open_clip: the official route, or the folder of an open_clip model."""

    def __init__(self, folder: Path | None, device: str) -> None:
        name, weights = ("ViT-L-14", "openai") if folder is None else (f"local-dir:{folder}", None)
        try:
            import open_clip

            model, _, _ = open_clip.create_model_and_transforms(name, pretrained=weights, device=device)
            self._tokenizer: Any = open_clip.get_tokenizer(name)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            # A torchvision that does not belong to this torch fails as RuntimeError at import.
            text = " ".join(str(error).split())[:300]
            raise EnvironmentProblem(f"open_clip cannot load {name}: {text}. {pip_line('clip')}") from error
        self._model: Any = model.eval()
        self._device = device
        size = model.visual.image_size
        self.image_size = int(size[0] if isinstance(size, (tuple, list)) else size)

    def images(self, pixels: Tensor) -> Tensor:
        return self._model.encode_image(pixels)

    def texts(self, texts: Sequence[str]) -> Tensor:
        return self._model.encode_text(self._tokenizer(list(texts)).to(self._device))
