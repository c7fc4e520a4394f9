"""Network output to detections, as mmdet's instance branch does it.

A port of behaviour: mmdet 2.28.2, models/seg_heads/panoptic_fusion_heads/maskformer_fusion_head.py
and dense_heads/maskformer_head.py (3.3.0 computes the same).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .pixels import Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Rle: TypeAlias = "dict[str, Any]"
"""A COCO run-length mask: {"size": [height, width], "counts": str}."""

_PIXELS_AT_ONCE = 6 * 1024 * 1024
"""Mask pixels that are resized together: bounds the memory, does not move a value."""


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector found in one picture, best score first.

    `boxes` (n, 4) x1, y1, x2, y2 in pixels of the picture, right and lower edge exclusive; `scores`
    (n,); `labels` (n,) index the class list; `masks` one for each box.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: tuple[Rle, ...]


def instances(class_logits: Tensor, mask_logits: Tensor, geometry: Geometry, top: int, floor: float) -> Detections:
    """Return the detections of one picture that score above `floor` (below zero: all `top` of them).

    `class_logits` (queries, classes + 1), the last class being none; `mask_logits` (queries, height,
    width) of the last head. The `top` best of query x class are taken, so that a query can stand
    under several classes; a score is the class's probability times the mean confidence inside the mask.
    """
    import numpy as np
    import torch

    probability = class_logits.float().softmax(-1)[:, :-1]
    classes = probability.shape[1]
    flat = probability.flatten()
    best, index = flat.topk(min(top, flat.numel()), sorted=True)
    # A mask's mean confidence is below 1, so what is not above the floor here cannot rise above it.
    kept = best > floor
    best, index = best[kept], index[kept]
    query = index // classes
    unique, position = torch.unique(query, return_inverse=True)
    boxes, confidence, masks = _masks(mask_logits[unique].float(), geometry)
    scores = (best * confidence[position]).cpu().numpy()
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > floor]
    place = position.cpu().numpy()[order]
    return Detections(
        boxes=boxes[place],
        scores=scores[order],
        labels=(index % classes).cpu().numpy()[order],
        masks=tuple(masks[each] for each in place),
    )


def _masks(logits: Tensor, geometry: Geometry) -> tuple[NDArray[np.float32], Tensor, list[Rle]]:
    """Return box, mean confidence and mask of every query, resized a few at a time."""
    import numpy as np
    import torch

    count = len(logits)
    boxes = np.zeros((count, 4), np.float32)
    confidence = torch.zeros(count, device=logits.device)
    masks: list[Rle] = []
    largest = max(_area(geometry.padded), _area(geometry.original))
    step = max(1, _PIXELS_AT_ONCE // largest)
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        full = _resized(logits[part], geometry)
        inside = full > 0
        weight = inside.float()
        confidence[part] = (full.sigmoid() * weight).flatten(1).sum(1) / (weight.flatten(1).sum(1) + 1e-6)
        binary = inside.cpu().numpy()
        boxes[part] = _boxes(binary)
        masks += encode(binary)
    return boxes, confidence, masks


def _resized(logits: Tensor, geometry: Geometry) -> Tensor:
    """Return mask logits at the picture's size: to the padded input, cropped, to the picture; two resizes."""
    from torch.nn.functional import interpolate

    height, width = geometry.resized
    padded = interpolate(logits[None], size=geometry.padded, mode="bilinear", align_corners=False)
    cropped = padded[..., :height, :width]
    return interpolate(cropped, size=geometry.original, mode="bilinear", align_corners=False)[0]


def _boxes(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the boxes around masks (n, height, width), 0, 0, 0, 0 for an empty one."""
    import numpy as np

    columns, rows = np.any(masks, axis=1), np.any(masks, axis=2)
    width, height = columns.shape[1], rows.shape[1]
    edges = [
        columns.argmax(1),
        rows.argmax(1),
        width - columns[:, ::-1].argmax(1),
        height - rows[:, ::-1].argmax(1),
    ]
    boxes = np.stack(edges, axis=1).astype(np.float32)
    boxes[~np.any(columns, axis=1)] = 0
    return boxes


def encode(masks: NDArray[np.bool_]) -> list[Rle]:
    """Return masks (n, height, width) as COCO run lengths."""
    import numpy as np
    from pycocotools import mask as coco

    planes = (np.asfortranarray(each.view(np.uint8)) for each in masks)
    found: list[Any] = [coco.encode(each) for each in planes]
    return [{"size": [int(v) for v in each["size"]], "counts": each["counts"].decode("ascii")} for each in found]


def decode(mask: Rle) -> NDArray[np.bool_]:
    """Return a mask (height, width) from COCO run lengths."""
    import numpy as np
    from pycocotools import mask as coco

    row: Any = {"size": mask["size"], "counts": mask["counts"].encode("ascii")}
    return coco.decode(row).astype(np.bool_)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
