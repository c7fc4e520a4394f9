"""The engine against a naive float64 reference, and each output's independence of its batch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from janus_eval.evals.errors import JanusEvalError
from janus_eval.models.janus import engine
from janus_eval.models.janus import noise as noise_module
from janus_eval.models.janus.engine import Sampler, answer, draw, room_for, weigh
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.noise import DeviceNoise, PictureNoise, noise_for, philox_words
from janus_eval.models.janus.prompts import PLAIN_ROLES, PRO_ROLES, DrawPrompt, Tokens, Turn, draw_prompt, read_prompt
from janus_eval.models.janus.reading import Question
from janus_eval.models.janus.toy import random_weights
from safetensors.torch import save_file
from support.janus_folders import load
from support.janus_reference import Reference

STEPS = 6
TEXTS = (
    "a photo of a red apple",
    "cat",
    "a photo of two green books and a very long purple chair to the left of four yellow cups",
    "",
    "красный куб, 柴犬 🦊",
)


@pytest.fixture(scope="module")
def reference(native: Path, tokens: Tokens) -> Reference:
    return Reference(load(native, tokens, pack=False))


@pytest.fixture(scope="module")
def prompts(tokens: Tokens) -> list[DrawPrompt]:
    return [draw_prompt(tokens, Turn(PRO_ROLES), text) for text in TEXTS]


def drawn(
    network: Network, prompts: list[DrawPrompt], seeds: list[int], guidance: float = 5, temperature: float = 1
) -> list[list[int]]:
    sampler = Sampler(guidance, temperature, noise_for(seeds, network.codes, network.device))
    return draw(network, prompts, sampler, guided=guidance != 1, steps=STEPS).tolist()


@pytest.mark.parametrize(("guidance", "temperature"), [(5.0, 1.0), (1.0, 0.7), (3.0, 0.0), (0.0, 1.0)])
def test_drawn_codes_are_the_references(
    network: Network,
    reference: Reference,
    tokens: Tokens,
    prompts: list[DrawPrompt],
    guidance: float,
    temperature: float,
) -> None:
    seeds = [11, 22, 33, 44, 55]
    for prompt, seed, mine in zip(prompts, seeds, drawn(network, prompts, seeds, guidance, temperature), strict=True):
        noise = PictureNoise([seed], network.codes, network.device)
        wanted = reference.draw(
            prompt.conditional,
            tokens.pad,
            steps=STEPS,
            guidance=guidance,
            temperature=temperature,
            noise=lambda step, noise=noise: noise(step)[0],
        )
        assert mine == wanted


def test_a_picture_does_not_depend_on_its_batch(network: Network, prompts: list[DrawPrompt]) -> None:
    asked = [prompt for prompt in prompts for _ in range(4)]
    seeds = list(range(100, 100 + len(asked)))
    whole = drawn(network, asked, seeds)
    assert len({tuple(row) for row in whole}) == len(whole)
    order = torch.randperm(len(asked), generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = drawn(network, [asked[i] for i in order], [seeds[i] for i in order])
    assert shuffled == [whole[i] for i in order]
    assert drawn(network, asked[3:10], seeds[3:10]) == whole[3:10]
    for place in (0, 5, 9, 13, 19):
        assert drawn(network, asked[place : place + 1], seeds[place : place + 1]) == whole[place : place + 1]


def test_heads_that_share_keys_are_the_references(native: Path, tokens: Tokens, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    shutil.copytree(native, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config, 1), folder / "model.safetensors")
    prompt = draw_prompt(tokens, Turn(PRO_ROLES), "a photo of a cat")
    noise = PictureNoise([9], 512, torch.device("cpu"))
    wanted = Reference(load(folder, tokens, pack=False)).draw(
        prompt.conditional, tokens.pad, steps=STEPS, guidance=5, temperature=1, noise=lambda step: noise(step)[0]
    )
    assert drawn(load(folder, tokens), [prompt], [9]) == [wanted]


def test_guidance_one_runs_the_conditional_half_alone(network: Network, prompts: list[DrawPrompt]) -> None:
    halves: list[bool] = []

    def choose(step: int, conditional: torch.Tensor, unconditional: torch.Tensor | None) -> torch.Tensor:
        halves.append(unconditional is None)
        return conditional.argmax(-1)

    alone = draw(network, prompts, choose, guided=False, steps=3)
    assert halves == [True] * 3
    assert alone.tolist() == [row[:3] for row in drawn(network, prompts, [1] * 5, guidance=1, temperature=0)]


def test_no_pictures_are_no_pictures(network: Network) -> None:
    assert draw(network, [], lambda *_: torch.empty(0), guided=True, steps=4).shape == (0, 4)
    assert answer(network, [], image=0, eos=0, limit=4) == []
    assert weigh(network, [], [], image=0) == []


def test_the_noise_is_numpys_philox_by_seed_step_and_code() -> None:
    noise = noise_for([7, 8], 5, torch.device("cpu"))
    first, second = noise(0), noise(1)
    words = np.random.Philox(key=7).random_raw(6)
    halves = [number for word in words.tolist() for number in (word & 0xFFFFFFFF, word >> 32)]
    wanted = [-np.log1p(-(number + 0.5) / 2**32) for number in halves]
    assert first[0].tolist() == pytest.approx(wanted[:5], rel=1e-6)
    assert second[0].tolist() == pytest.approx(wanted[6:11], rel=1e-6)
    assert first[1].tolist() == pytest.approx(noise_for([8], 5, torch.device("cpu"))(0)[0].tolist())


def test_a_device_makes_the_noise_that_the_host_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds, cpu = [0, 5, 2**63 - 1], torch.device("cpu")
    words = philox_words(torch.tensor(seeds), 7, 30)
    for seed, row in zip(seeds, words.tolist(), strict=True):
        assert [word % 2**64 for word in row] == np.random.Philox(key=seed).random_raw(37)[7:].tolist()
    # An odd number of codes, and spans of two steps.
    monkeypatch.setattr(noise_module, "_ELEMENTS", 2 * 3 * 4)
    host, device = PictureNoise(seeds, 7, cpu), DeviceNoise(seeds, 7, cpu)
    for step in range(5):
        assert torch.equal(host(step), device(step))


def test_drawing_follows_the_softmax() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    count = 4000
    sampler = Sampler(1, 2.0, noise_for(list(range(count)), 4, torch.device("cpu")))
    codes = sampler(0, logits.expand(count, 4), None)
    shares = torch.bincount(codes, minlength=4) / count
    wanted = torch.softmax(logits[0] / 2.0, -1)
    # Four standard errors of a share near 0.45 at n = 4000.
    assert (shares - wanted).abs().max() < 4 * (0.25 / count) ** 0.5


def questions(network: Network, tokens: Tokens) -> list[tuple[Question, torch.Tensor | None]]:
    generator = torch.Generator().manual_seed(3)
    made: list[tuple[Question, torch.Tensor | None]] = []
    for text, pictures in (("\nis there a cat?", 1), ("what color is the book", 0), ("\nhow many?", 2)):
        ids = read_prompt(tokens, Turn(PLAIN_ROLES), text, images=pictures, image_tokens=network.image_tokens)
        size = network.image_size
        pixels = torch.rand((pictures, 3, size, size), generator=generator) * 2 - 1 if pictures else None
        with torch.inference_mode():
            made.append((Question(ids, None if pixels is None else network.see(pixels)), pixels))
    return made


def test_answers_are_the_references_alone_and_together(network: Network, reference: Reference, tokens: Tokens) -> None:
    asked = questions(network, tokens)
    free = [reference.answer(question.ids, tokens.image, -1, 8, pixels) for question, pixels in asked]
    # An end token that the second answer reaches, so that rows end at different steps.
    eos = free[1][2]
    wanted = [row[: row.index(eos)] if eos in row else row for row in free]
    together = answer(network, [question for question, _ in asked], image=tokens.image, eos=eos, limit=8)
    assert together == wanted
    for (question, _), row in zip(asked, wanted, strict=True):
        assert answer(network, [question], image=tokens.image, eos=eos, limit=8) == [row]


def test_an_answer_ends_where_the_context_is_full(network: Network, tokens: Tokens) -> None:
    ids = tuple([tokens.bos] + [300] * (network.context - 4))
    (said,) = answer(network, [Question(ids)], image=tokens.image, eos=-1, limit=50)
    assert len(said) == room_for(network, Question(ids), 50) == 3
    assert room_for(network, Question(ids), 2) == 2


def test_a_row_whose_room_ends_before_its_neighbours_is_as_long_as_its_room(network: Network, tokens: Tokens) -> None:
    asked = [Question(tuple([tokens.bos] + [300] * (network.context - left))) for left in (3, 9)]
    said = answer(network, asked, image=tokens.image, eos=network.vocabulary - 1, limit=5)
    assert [len(row) for row in said] == [room_for(network, each, 5) for each in asked] == [2, 5]


def test_a_number_that_is_none_in_a_row_that_has_ended_is_nobody_s_fault() -> None:
    finite = engine._Finite(cast(Network, SimpleNamespace(device="cpu")))
    logits = torch.tensor([[0.0, 1.0], [float("nan"), 0.0]])
    finite.see(logits, torch.tensor([True, False]))
    finite.check()
    finite.see(logits, torch.tensor([True, True]))
    with pytest.raises(JanusEvalError):
        finite.check()


def test_likelihoods_are_the_references(network: Network, reference: Reference, tokens: Tokens) -> None:
    asked = questions(network, tokens)
    options = [[tokens.ids([text]) for text in texts] for texts in ((" yes", " no"), (" red", " a very dark cat"), ())]
    found = weigh(network, [question for question, _ in asked], options, image=tokens.image)
    assert [len(row) for row in found] == [2, 2, 0]
    for (question, pixels), ways, row in zip(asked, options, found, strict=True):
        for ids, value in zip(ways, row, strict=True):
            logits = reference.logits([*question.ids, *ids], tokens.image, pixels).log_softmax(-1)
            start = len(question.ids) - 1
            wanted = sum(float(logits[start + place, word]) for place, word in enumerate(ids))
            assert value == pytest.approx(wanted, abs=1e-4)


def test_the_same_codes_under_every_supported_transformers(network: Network, prompts: list[DrawPrompt]) -> None:
    # Written down once; each environment of tox compares its own transformers with it.
    assert drawn(network, prompts[:3], [1, 2, 3]) == GOLDEN


GOLDEN = [[270, 239, 277, 19, 377, 135], [110, 142, 453, 131, 277, 390], [63, 251, 265, 445, 142, 331]]
