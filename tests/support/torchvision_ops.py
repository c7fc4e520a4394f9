"""torchvision beside a torch that it was not built for: its Python half works once its operators have names."""

from __future__ import annotations

from typing import Any

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_NAMES = ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
_KEEP: list[Any] = []


def import_torchvision() -> Any:
    """Return torchvision, its compiled operators declared but absent where they do not load."""
    try:
        import torchvision
    except RuntimeError:
        import torch

        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(name + _BOXES)
        for name in _NAMES:
            library.define(f"{name}(Tensor input) -> Tensor")
            library.define(f"_{name}_backward(Tensor input) -> Tensor")
        _KEEP.append(library)
        import torchvision
    return torchvision
