"""Products laid out for a CPU give what the plain ones do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from janus_eval.evals.memory import computes_bfloat16
from janus_eval.models.janus.linear import can_pack, joined


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_layers_that_read_one_input_are_one_product(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(48, out, dtype=dtype) for out in (16, 32)]
    x = torch.randn((5, 2, 48), dtype=dtype)
    with torch.inference_mode():
        wanted = torch.cat([F.linear(x, each.weight, each.bias) for each in layers], dim=-1)
        for pack in (False, True):  # what is packed gives its weights up: last
            torch.testing.assert_close(joined(layers, pack=pack)(x), wanted, rtol=tolerance, atol=tolerance)


def test_bfloat16_is_laid_out_only_where_the_cpu_computes_it() -> None:
    assert not can_pack(torch.ones((4, 4), dtype=torch.bfloat16)) or computes_bfloat16()
    assert not can_pack(torch.ones((4, 4), dtype=torch.float16))
