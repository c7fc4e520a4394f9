"""The detector's attention on a CPU against transformers' own, and against a table by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from janus_eval.benchmarks.geneval.detector import attention, small
from janus_eval.benchmarks.geneval.detector.attention import sample
from janus_eval.benchmarks.geneval.detector.folder import load
from torch.nn.functional import grid_sample

SHAPES = [(3, 5), (6, 10), (1, 1)]


def by_grids(values: torch.Tensor, cells: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the samples by grid_sample, level by level."""
    batch, queries, heads = weights.shape[:3]
    summed = values.new_zeros(batch, queries, heads, values.shape[-1])
    levels = values.split([height * width for height, width in SHAPES], dim=1)
    for place, (level, (height, width)) in enumerate(zip(levels, SHAPES, strict=True)):
        for head in range(heads):
            plane = level[:, :, head].transpose(1, 2).reshape(batch, -1, height, width)
            grid = 2 * (cells[:, :, head, place] + 0.5) / torch.tensor([width, height], dtype=values.dtype) - 1
            seen = grid_sample(plane, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
            summed[:, :, head] += (seen * weights[:, :, head, place][:, None]).sum(-1).transpose(1, 2)
    return summed.flatten(2)


def test_a_bag_of_corners_is_the_sum_of_sampled_grids_inside_and_outside() -> None:
    generator = torch.Generator().manual_seed(0)
    total = sum(height * width for height, width in SHAPES)
    values = torch.randn(2, total, 3, 4, generator=generator, dtype=torch.float64)
    cells = torch.rand(2, 50, 3, 3, 4, 2, generator=generator, dtype=torch.float64) * 16 - 4
    cells[:, :8] = cells[:, :8].round()  # on the middles and on the frame
    weights = torch.rand(2, 50, 3, 3, 4, generator=generator, dtype=torch.float64)
    assert torch.allclose(sample(values, SHAPES, cells, weights), by_grids(values, cells, weights), atol=1e-12)


def test_corners_by_hand() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    places = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (-0.5, 0.0), (1.0, 1.0), (9.0, -9.0), (float("nan"), 0.0)]
    cells = torch.tensor(places).view(1, 7, 1, 1, 1, 2)
    seen = sample(values, [(2, 2)], cells, torch.ones(1, 7, 1, 1, 1))
    assert seen.flatten().tolist() == [1.0, 1.5, 2.5, 0.5, 4.0, 0.0, 0.0]


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_the_network_gives_what_transformers_own_attention_gives(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Mask2FormerForUniversalSegmentation

    small.write_detector(tmp_path)
    ours = load(str(tmp_path))
    theirs = Mask2FormerForUniversalSegmentation.from_pretrained(tmp_path).eval()
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    run: list[torch.Size] = []

    def watched(values: torch.Tensor, *given: Any) -> torch.Tensor:
        run.append(values.shape)
        return sample(values, *given)

    monkeypatch.setattr(attention, "sample", watched)
    with torch.inference_mode():
        mine, wanted = ours(pixel_values=pixels), theirs(pixel_values=pixels)
    assert len(run) == ours.config.encoder_layers
    assert torch.allclose(mine.masks_queries_logits, wanted.masks_queries_logits, atol=1e-4)
    assert torch.allclose(mine.class_queries_logits, wanted.class_queries_logits, atol=1e-5)
