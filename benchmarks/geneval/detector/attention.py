"""The detector's deformable attention on a CPU: a bag of weighted corners instead of sampled grids.

Bilinear sampling takes four corners of each of a query's points; what a head gives is their sum, weighted by
attention times nearness. `embedding_bag` gathers and sums them in one pass over the values, where transformers
samples each level into a grid, stacks the grids and sums them. The numbers differ by the order of a sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_CLASS = "MultiscaleDeformableAttention"


def quicken(model: Any) -> int:
    """Give each deformable attention of a model on a CPU this forward; return how many there are."""
    found = [each for each in model.modules() if type(each).__name__.endswith(_CLASS)]
    for module in found:
        module.forward = partial(_forward, module, module.forward)
    return len(found)


def _forward(module: Any, own: Any, hidden_states: Tensor, attention_mask: Any = None, **given: Any) -> Any:
    """Return what the module's `own` forward returns; its own is called for what this one does not know."""
    import torch

    places, shapes = given.get("reference_points"), given.get("spatial_shapes_list")
    known = hidden_states.device.type == "cpu" and hidden_states.dtype in (torch.float32, torch.float64)
    if not known or places is None or shapes is None or places.shape[-1] != 2:
        return own(hidden_states, attention_mask=attention_mask, **given)
    values, position = given["encoder_hidden_states"], given.get("position_embeddings")
    queries = hidden_states if position is None else hidden_states + position
    batch, count, _ = queries.shape
    form = (batch, count, module.n_heads, module.n_levels, module.n_points)
    weights = module.attention_weights(queries).view(*form[:3], -1).softmax(-1).view(form)
    sizes = torch.tensor([[width, height] for height, width in shapes], dtype=queries.dtype)[:, None]
    # A place of 0 to 1 plus an offset in cells, in cells of its level: half a cell is the middle of the first.
    offsets = module.sampling_offsets(queries).view(*form, 2)
    cells = offsets + (places[:, :, None, :, None] * sizes - 0.5)
    table = module.value_proj(values)
    if attention_mask is not None:
        table = table.masked_fill(attention_mask[..., None], 0.0)
    seen = sample(table.view(batch, -1, module.n_heads, table.shape[-1] // module.n_heads), shapes, cells, weights)
    return module.output_proj(seen), weights


def sample(values: Tensor, shapes: Sequence[tuple[int, int]], cells: Tensor, weights: Tensor) -> Tensor:
    """Return bilinear samples, weighted and summed: (B, Q, heads * width).

    `values` (B, S, heads, width) are the cells of all levels, row by row, of (height, width) `shapes`; `cells`
    (B, Q, heads, levels, points, 2) x and y in cells of the level, the first's middle being nought; `weights`
    (B, Q, heads, levels, points). What lies outside of a level is nought.
    """
    import torch
    from torch.nn.functional import embedding_bag

    batch, count, heads = weights.shape[:3]
    table, starts = _framed(values, shapes)
    high, wide = (torch.tensor(each, dtype=cells.dtype)[:, None] for each in zip(*shapes, strict=True))
    # A place outside is moved onto the frame, where every cell is nought.
    x, y = cells.nan_to_num(-1.0).clamp_(-1.0).unbind(-1)  # a place that is no number must lead nowhere else
    x, y = x.minimum(wide), y.minimum(high)
    left, top = x.floor(), y.floor()
    right, low = x - left, y - top
    across = wide + 2
    first = ((top + 1) * across + (left + 1) + starts).to(torch.int32) * heads
    first += torch.arange(heads, dtype=torch.int32)[:, None, None]
    first += (torch.arange(batch, dtype=torch.int32) * (len(table) // batch))[:, None, None, None, None]
    steps = torch.stack([across * 0, across * 0 + 1, across, across + 1]).to(torch.int32) * heads
    places = first[:, :, :, None] + steps
    below, above = weights * low, weights * (1 - low)
    shares = torch.stack([above * (1 - right), above * right, below * (1 - right), below * right], dim=3)
    bags = batch * count * heads
    summed = embedding_bag(places.view(bags, -1), table, mode="sum", per_sample_weights=shares.view(bags, -1))
    return summed.view(batch, count, -1)


def _framed(values: Tensor, shapes: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Return the values as rows of a table, each level in a frame of noughts, and where each level begins."""
    import torch
    from torch.nn.functional import pad

    batch, _, heads, width = values.shape
    levels = values.split([height * wide for height, wide in shapes], dim=1)
    framed: list[Tensor] = []
    for level, (height, wide) in zip(levels, shapes, strict=True):
        cells = level.view(batch, height, wide, heads, width)
        framed.append(pad(cells, (0, 0, 0, 0, 1, 1, 1, 1)).flatten(1, 2))
    starts = [sum(each.shape[1] for each in framed[:level]) for level in range(len(framed))]
    framed.append(values.new_zeros(batch, max(wide for _, wide in shapes) + 3, heads, width))  # past the last corner
    table = torch.cat(framed, dim=1).view(-1, width)
    return table, torch.tensor(starts, dtype=values.dtype)[:, None]
