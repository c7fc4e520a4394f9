"""D-DiT against a second statement of its formulas: the network in float64 from its tensors, both samplers plainly."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from janus_eval.models.dual_diffusion.answering import uncover
from janus_eval.models.dual_diffusion.drawing import Prompts, draw
from janus_eval.models.dual_diffusion.parts import Parts, load
from support.dual_folders import NETWORK, save_dual
from torch import Tensor
from torch.nn import functional

HEADS, WIDTH, LAYERS = 4, 32, 2
Table = dict[str, Tensor]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("dual") / "pipeline"
    save_dual(folder)
    return load(folder, torch.device("cpu"), torch.float32, None)


def line(table: Table, name: str, values: Tensor) -> Tensor:
    return values @ table[f"{name}.weight"].T + table[f"{name}.bias"]


def even(values: Tensor) -> Tensor:
    """Return values of mean 0 and variance 1 over their last axis."""
    spread = values - values.mean(-1, keepdim=True)
    return spread / (spread.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def waves(at: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return sines and cosines (N, count) of positions (N,), of frequencies 1 down to nearly 1/10000."""
    angles = at[:, None] * 10000.0 ** (-torch.arange(count, dtype=torch.float64) / count)
    return angles.sin(), angles.cos()


def places(side: int) -> Tensor:
    """Return what is added to side x side patches: those in the middle of 16 x 16, half a unit apart; columns first."""
    at = (torch.arange(side, dtype=torch.float64) + (16 - side) // 2) / 2
    codes = torch.cat(waves(at, WIDTH // 4), dim=1)
    return torch.stack([torch.cat([codes[x], codes[y]]) for y in range(side) for x in range(side)])


def attention(table: Table, block: str, streams: list[Tensor]) -> list[Tensor]:
    """Return what both streams take from both, each with its own maps."""
    maps = (("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj"))
    parted = [
        torch.cat([line(table, f"{block}.attn.{names[i]}", x) for names, x in zip(maps, streams, strict=True)], dim=1)
        for i in range(3)
    ]
    query, key, value = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in parted)
    mixed = (query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)).softmax(-1) @ value
    picture, words = mixed.transpose(1, 2).flatten(2).split([x.shape[1] for x in streams], dim=1)
    return [line(table, f"{block}.attn.to_out.0", picture), line(table, f"{block}.attn.to_add_out", words)]


def restated(parts: Parts, latents: Tensor, time: float, text: Tensor) -> tuple[Tensor, Tensor]:
    """Return velocity and logits: two streams that attend to each other, steered by the time, in every block."""
    table: Table = {name: each.double() for name, each in parts.network.state_dict().items()}
    latents, text = latents.double(), text.double()
    side = latents.shape[-1] // 2
    patches = functional.unfold(latents, 2, stride=2).transpose(1, 2)
    weight = table["pos_embed.proj.weight"].flatten(1)
    streams = [patches @ weight.T + table["pos_embed.proj.bias"] + places(side), line(table, "context_embedder", text)]
    sines, cosines = waves(torch.tensor([time], dtype=torch.float64), 128)
    moment = line(table, "time_text_embed.timestep_embedder.linear_1", torch.cat([cosines, sines], dim=1))
    moment = line(table, "time_text_embed.timestep_embedder.linear_2", moment * moment.sigmoid())
    steer = moment * moment.sigmoid()
    for number in range(LAYERS):
        block = f"transformer_blocks.{number}"
        knobs = [line(table, f"{block}.{n}.linear", steer).chunk(6, -1) for n in ("norm1", "norm1_context")]
        heard = attention(table, block, [even(x) * (1 + k[1]) + k[0] for x, k in zip(streams, knobs, strict=True)])
        streams = [x + k[2] * y for x, k, y in zip(streams, knobs, heard, strict=True)]
        for i, name in enumerate(("ff", "ff_context")):
            inner = line(table, f"{block}.{name}.net.0.proj", even(streams[i]) * (1 + knobs[i][4]) + knobs[i][3])
            bent = inner / 2 * (1 + (math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)).tanh())
            streams[i] = streams[i] + knobs[i][5] * line(table, f"{block}.{name}.net.2", bent)
    scale, shift = line(table, "image_norm_out.linear", steer).chunk(2, -1)
    out = line(table, "image_proj_out", even(streams[0]) * (1 + scale) + shift)
    flow = torch.zeros_like(latents)
    for at in range(side * side):
        y, x = 2 * (at // side), 2 * (at % side)
        flow[:, :, y : y + 2, x : x + 2] = out[:, at].view(-1, 2, 2, latents.shape[1]).permute(0, 3, 1, 2)
    return flow, line(table, "text_proj_out", even(streams[1]))


@pytest.mark.parametrize("side", [16, 8])
def test_velocity_and_logits_are_the_formulas(parts: Parts, side: int) -> None:
    assert (NETWORK["num_layers"], NETWORK["caption_projection_dim"]) == (LAYERS, WIDTH)
    latents = torch.randn(2, 4, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        text = parts.embedded(torch.randint(0, 300, (2, 9), generator=torch.Generator().manual_seed(2)))
        flow = parts.network.velocity(latents, torch.full((2,), 731.5), text)
        logits = parts.network.logits(latents, text)
        expected, _ = restated(parts, latents, 731.5, text)
        _, words = restated(parts, latents, 0.0, text)
    assert min(expected.std(), words.std()) > 0.5
    torch.testing.assert_close(flow.double(), expected, rtol=0, atol=2e-3 * float(expected.std()))
    torch.testing.assert_close(logits.double(), words, rtol=0, atol=2e-3 * float(words.std()))


@pytest.mark.parametrize("guidance", [3.0, 1.0])
def test_a_drawing_is_guided_euler_steps_over_shifted_times(parts: Parts, guidance: float) -> None:
    seeds, steps = [3, 2**62 + 5], 3
    prompts = Prompts(parts)
    with torch.inference_mode():
        texts, away = prompts(["a red cat", "the moon"]), prompts(["", ""])
        both = torch.cat([away, texts]) if guidance > 1 else texts
        drawn = draw(parts, both, seeds, size=32, steps=steps, guidance=guidance)

        def shifted(share: float) -> float:
            return 3 * share / (1 + 2 * share)

        last = shifted(1 / 1000)
        times = [shifted(1 + (last - 1) * step / (steps - 1)) for step in range(steps)] + [0.0]
        for row, seed in enumerate(seeds):
            x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(seed)).double()
            for now, then in pairwise(times):
                flow, _ = restated(parts, x, 1000 * now, texts[row : row + 1])
                if guidance > 1:
                    free, _ = restated(parts, x, 1000 * now, away[row : row + 1])
                    flow = guidance * flow - (guidance - 1) * free
                x = x + (then - now) * flow
            pixels = parts.vae.decode((x / 1.5035 + 0.0609).float(), return_dict=False)[0][0]
            levels = (pixels * 127.5 + 127.5).clamp(0, 255).round().permute(1, 2, 0).numpy()
            assert levels.std() > 10
            assert abs(np.asarray(drawn[row]).astype(int) - levels).max() <= 1


MASK, WORDS, LENGTH = 3, 11, 9


def chances(row: list[int]) -> list[float]:
    """Return made-up chances of words at a place, which every word of the row moves; never the mask's."""
    moved = sum((at + 1) * (each + 2) for at, each in enumerate(row))
    values = [math.exp(math.sin(1.7 * word + moved)) for word in range(WORDS)]
    values[MASK] = 0.0
    return [value / sum(values) for value in values]


def plainly(row: list[int], steps: int, race: Callable[[int], list[list[float]]]) -> list[int]:
    """Uncover one row, asking for its chances at every step."""
    row = list(row)
    for step in range(steps):
        now, then = (1 - (1 - 1e-5) * at / steps for at in (step, step + 1))
        words, before = chances(row), list(row)
        for place in (at for at, each in enumerate(before) if each == MASK):
            weights = [then if v == MASK else words[v] * (now - then) for v in range(WORDS)]
            row[place] = max(range(WORDS), key=lambda v: weights[v] / race(step)[place][v])
    words = chances(row)
    return [max(range(WORDS), key=words.__getitem__) if each == MASK else each for each in row]


@pytest.mark.parametrize("steps", [1, 2, 6, 40])
def test_an_answer_is_uncovered_as_stated_whatever_stands_beside_it(steps: int) -> None:
    rows = [[1] * 2 + [MASK] * 7, [5, 6, 7] + [MASK] * 6, [0] * 8 + [MASK], [2] * LENGTH, [MASK] * LENGTH]
    asked: list[int] = []

    def words(where: Tensor, ids: Tensor) -> Tensor:
        asked.append(len(where))
        known = torch.tensor([chances(row) for row in ids.tolist()], dtype=torch.float64)
        known[:, MASK] = 7.0  # a network may like the mask best: it is never its word
        return known.log().float()[:, None].repeat(1, LENGTH, 1)

    for seed in range(10):
        made = torch.empty(steps, len(rows), LENGTH, WORDS)
        made.exponential_(generator=torch.Generator().manual_seed(seed))
        got = uncover(words, torch.tensor(rows), MASK, steps=steps, race=made.__getitem__).tolist()
        values = made.tolist()
        expected = [plainly(row, steps, lambda t, at=at: values[t][at]) for at, row in enumerate(rows)]  # noqa: B023
        assert got == expected
        assert MASK not in {each for row in got for each in row}
    assert sum(asked) <= 10 * sum(row.count(MASK) + 1 for row in rows)
