"""JanusFlow over a tiny checkpoint in the public format: pictures, answers, strict folders, whole runs."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from janus_eval.evals import registry
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from janus_eval.evals.types import Answer, Job, Kind, Picture, Sample, job_seed
from janus_eval.models.janus.noise import normals
from janus_eval.models.janusflow.adapter import JanusFlow
from janus_eval.models.janusflow.checkpoint import Checkpoint, Vae
from janus_eval.models.janusflow.network import FlowNetwork, draw
from PIL import Image
from safetensors.torch import load_file, save_file
from support.flow_folders import save_flow

CPU: Any = {"device": torch.device("cpu"), "dtype": torch.float32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("flow")
    save_flow(made)
    return made


def model(folder: Path, **options: Any) -> JanusFlow:
    given = {"path": str(folder / "model"), "vae": str(folder / "vae"), "steps": "3", "max_new_tokens": "4"}
    return registry.create("models", "janusflow-1.3b", device="cpu", **(given | options))


def job(text: str, kind: Kind = "image", index: int = 0, **more: Any) -> Job:
    sample = Sample(id=text, prompt=text, **more)
    return Job(sample, kind, index, job_seed(0, sample.id, index))


def picture(colour: tuple[int, int, int]) -> Picture:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 33), colour).save(buffer, "PNG")
    return Picture("plain.png", buffer.getvalue)


RED, BLUE = picture((255, 0, 0)), picture((0, 0, 255))


@pytest.fixture(scope="module")
def flow(folder: Path) -> JanusFlow:
    return model(folder)


def bytes_of(outputs: Sequence[Any]) -> list[bytes]:
    return [each().tobytes() for each in outputs]


class Plain:
    """The description of the README in float64: one picture at a time, transformers' own forward, no cache."""

    def __init__(self, folder: Path) -> None:
        network = FlowNetwork(
            Checkpoint(folder / "model").network(**CPU), Vae(folder / "vae").network(**CPU), pack=False
        )
        self.network, self.model = network, network.model.double()

    def run(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        llama: Any = self.model.model
        return llama.language_model(inputs_embeds=x, attention_mask=mask, use_cache=False).last_hidden_state

    @torch.no_grad()
    def latents(self, prompt: Sequence[int], z: torch.Tensor, *, guidance: float, steps: int) -> torch.Tensor:
        model, grid = self.model, self.network.grid
        llama: Any = self.model.model
        before = llama.language_model.embed_tokens(torch.tensor(prompt))
        z = z.double()[None]
        for step in range(steps):
            maps, time = model.vision_gen_enc_model(z, torch.tensor([step / steps * 1000.0]))
            places = model.vision_gen_enc_aligner(maps.flatten(2).transpose(1, 2))
            x = torch.cat((before[None], time[:, None], places), 1).repeat(2, 1, 1)
            mask = torch.ones(x.shape[:2])
            mask[1, 1 : len(prompt)] = 0
            hidden = self.run(x, mask)[:, -(grid**2) :]
            hidden = model.vision_gen_dec_aligner(model.vision_gen_dec_aligner_norm(hidden))
            hidden = hidden.reshape(2, grid, grid, -1).permute(0, 3, 1, 2)
            twice = [each.repeat(2, *[1] * (each.dim() - 1)) for each in (maps, time)]
            one, two = model.vision_gen_dec_model(hidden, *twice)
            z = z + (two + guidance * (one - two)) / steps
        return z[0]


def test_drawing_is_the_description_run_slowly(folder: Path, flow: JanusFlow) -> None:
    jobs = [job("a red apple"), job("a photo of two green books and a long train"), job("")]
    prompts = [flow._prompt(each) for each in jobs]
    network = flow._loaded.network
    noise = torch.from_numpy(np.stack([normals(each.seed, 1024).reshape(4, 16, 16) for each in jobs]))
    mine = draw(network, prompts, noise, guidance=2.0, steps=4)
    plain = Plain(folder)
    for prompt, start, found in zip(prompts, noise, mine, strict=True):
        wanted = plain.latents(prompt, start, guidance=2.0, steps=4)
        assert float((found - wanted).abs().max()) < 2e-5 * float(wanted.abs().max())


def test_a_picture_has_the_towers_size_and_depends_on_prompt_and_seed(flow: JanusFlow) -> None:
    pictures = flow.predict([job("a red apple"), job("a red apple", index=1), job("a blue dog")])
    assert len(set(bytes_of(pictures))) == 3
    first = pictures[0]
    assert callable(first)
    assert first().size == (32, 32) and first().mode == "RGB"


def test_a_pictures_bytes_depend_on_its_seed_alone(flow: JanusFlow) -> None:
    jobs = [job(text, index=index) for text in ("a cat", "a photo of two green books") for index in range(3)]
    whole = bytes_of(flow.predict(jobs))
    assert len(set(whole)) == 6
    assert bytes_of(flow.predict(jobs[::-1])) == whole[::-1]
    assert [bytes_of(flow.predict([each]))[0] for each in jobs] == whole


def test_guidance_one_is_the_conditional_half_alone(folder: Path, flow: JanusFlow) -> None:
    seen: list[int] = []
    prompt, z = flow._prompt(job("a cat")), torch.from_numpy(normals(1, 1024)).reshape(1, 4, 16, 16)
    for guidance in (1.0, 1.0 + 1e-7):
        two: list[torch.Tensor | None] = []
        found = draw(
            flow._loaded.network,
            [prompt],
            z,
            guidance=guidance,
            steps=2,
            watch=lambda _, __, each, two=two: two.append(each),
        )
        seen.append(sum(each is not None for each in two))
        assert torch.isfinite(found).all()
    assert seen == [0, 2]
    assert bytes_of(model(folder, guidance="1").predict([job("a cat")])) != bytes_of(flow.predict([job("a cat")]))


def test_a_question_is_answered_alike_alone_and_in_a_batch(flow: JanusFlow) -> None:
    jobs = [
        job("what is it?", "text", images=(RED,)),
        job("is it a red apple or a blue dog?", "text", images=(BLUE,)),
        job("how many?", "text", images=(RED, BLUE)),
        job("what?", "text"),
    ]
    together = flow.predict(jobs)
    assert all(isinstance(each, Answer) for each in together)
    assert [flow.predict([each])[0] for each in jobs] == together
    weighed = [job(each.sample.id, "likelihood", images=each.sample.images, options=("yes", "no")) for each in jobs]
    chances = flow.predict(weighed)
    assert [flow.predict([each])[0] for each in weighed] == chances and len({*chances}) == 4


def test_a_picture_in_a_question_is_the_beginning_embedding_and_the_tower(folder: Path, flow: JanusFlow) -> None:
    loaded, plain = flow._loaded, Plain(folder)
    (question,) = loaded._questions([job("what is it?", "text", images=(RED,))])
    assert question.pictures is not None and question.pictures.shape == (1, 17, 64)
    assert torch.equal(question.pictures[0, 0], loaded.network.model.beg_of_und_embed[0])
    assert list(question.ids).count(loaded.tokens.image) == 17 and loaded.tokens.begin_image not in question.ids
    ids = torch.tensor(question.ids)
    llama: Any = plain.model.model
    with torch.no_grad():
        x = llama.language_model.embed_tokens(ids)
        x[ids == loaded.tokens.image] = question.pictures[0].double()
        logits = plain.model.lm_head(plain.run(x[None], torch.ones(1, len(ids))))[0, -1]
    chances = flow.predict([job("what is it?", "likelihood", images=(RED,), options=("yes", "no"))])[0]
    (yes, *_), (no, *_) = loaded._continuation("yes"), loaded._continuation("no")
    assert isinstance(chances, tuple) and len(loaded._continuation("yes")) == len(loaded._continuation("no")) == 1
    assert chances[0] - chances[1] == pytest.approx(float(logits[yes] - logits[no]), abs=1e-4)


def test_one_call_serves_jobs_of_every_kind_in_order(flow: JanusFlow) -> None:
    kinds = [
        job("what is it?", "text", images=(RED,)),
        job("a cat"),
        job("is it red?", "likelihood", images=(RED,), options=("yes", "no")),
    ]
    answer, drawn, chances = flow.predict(kinds)
    assert isinstance(answer, Answer) and callable(drawn) and isinstance(chances, tuple)
    assert flow.predict([]) == []


def test_the_card_tells_every_knob(folder: Path, flow: JanusFlow) -> None:
    card = flow.card
    assert card["guidance"] == 2.0 and card["steps"] == 3 and card["roles"] == "User,Assistant"
    assert card["weights"].startswith("model#") and card["vae"].startswith("vae#") and card["vae_scaling"] == 0.13025
    for change in ({"guidance": "3"}, {"steps": "4"}, {"roles": "A,B"}, {"dtype": "bfloat16"}, {"max_new_tokens": "5"}):
        assert model(folder, **change).card != card
    plain = registry.create("models", "janusflow-1.3b", path=str(folder / "model"), vae=str(folder / "vae"))
    assert plain.card["steps"] == 30 and plain.card["max_new_tokens"] == 512


def test_narrow_types_draw_too(folder: Path) -> None:
    for dtype in ("bfloat16", "float16"):
        made = model(folder, dtype=dtype)
        assert len({*bytes_of(made.predict([job("a cat", index=index) for index in range(9)]))}) == 9
    assert made._loaded.network._vae.dtype == torch.float32


def test_what_does_not_fit_the_context_names_its_sample(flow: JanusFlow) -> None:
    for kind in ("image", "text", "likelihood"):
        with pytest.raises(JanusEvalError, match=r"sample 'q{3,}.*the model's context holds 512"):
            flow.predict([job("q" * 3000, kind)])
    assert flow.batch_size([job("a cat"), job("what?", "text", images=(RED,))]) >= 1


def test_memory_foreseen_is_the_weights(folder: Path) -> None:
    made = model(folder)
    files = [folder / "model" / "model.safetensors", folder / "vae" / "diffusion_pytorch_model.safetensors"]
    assert made.weights_bytes() == 4 * sum(each.numel() for file in files for each in load_file(file).values())
    made.predict([job("a cat")])
    assert made.weights_bytes() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance": "-1"}, "guidance=-1.0: expected a finite number"),
        ({"guidance": "nan"}, "guidance=nan"),
        ({"steps": "0"}, "steps=0: expected a whole number from 1 up"),
        ({"roles": "User"}, "expected two names"),
        ({"recipe": "paper"}, "expected one of readme"),
    ],
)
def test_an_option_out_of_range_is_a_usage_error(folder: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model(folder, **options)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "flow")
    return tmp_path / "flow"


def edit(file: Path, change: Any) -> None:
    weights = load_file(file)
    change(weights)
    save_file(weights, file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("beg_of_und_embed"), r"1 of \d+ tensors are missing, the first is 'beg_of_und_embed'"),
        (lambda w: w.pop("language_model.lm_head.weight"), "the first is 'lm_head.weight'"),
        (lambda w: w.update(extra=torch.zeros(1)), "unknown tensor 'extra'"),
        (
            lambda w: w.update(beg_of_und_embed=torch.zeros(2, 64)),
            r"'beg_of_und_embed' is \(2, 64\).*asks for \(1, 64\)",
        ),
        (lambda w: w.update(beg_of_und_embed=torch.zeros(1, 64, dtype=torch.int64)), "is .* torch.int64"),
    ],
)
def test_loading_is_strict(copied: Path, change: Any, message: str) -> None:
    edit(copied / "model" / "model.safetensors", change)
    with pytest.raises(EnvironmentProblem, match=message):
        model(copied).predict([job("a cat")])


def test_the_vae_is_loaded_as_strictly_and_under_its_old_names(copied: Path, flow: JanusFlow) -> None:
    def old(weights: dict[str, torch.Tensor]) -> None:
        for name in [*weights]:
            new = name.replace("to_q", "query").replace("to_k", "key").replace("to_v", "value")
            weights[new.replace("to_out.0", "proj_attn")] = weights.pop(name)

    file = copied / "vae" / "diffusion_pytorch_model.safetensors"
    edit(file, old)
    assert any("query" in name for name in load_file(file))
    assert bytes_of(model(copied).predict([job("a cat")])) == bytes_of(flow.predict([job("a cat")]))
    edit(file, lambda weights: weights.pop("decoder.conv_out.bias"))
    with pytest.raises(EnvironmentProblem, match=r"the first is 'decoder\.conv_out\.bias'"):
        model(copied).predict([job("a cat")])
    file.unlink()
    with pytest.raises(UsageError, match="no VAE at"):
        _ = model(copied).card


@pytest.mark.parametrize(
    ("part", "params", "message"),
    [
        ("vision_gen_enc_config", {"hidden_size": 32}, "another hidden_size"),
        ("vision_gen_dec_config", {"upsamples": 10**9}, "more layers than any JanusFlow"),
        ("vision_gen_enc_config", {"kernel_size": "two"}, "describes no network"),
        ("vision_und_enc_config", {"pixel_mean": [0.5]}, "pixel_mean"),
    ],
)
def test_a_configuration_that_makes_no_network_is_one_line(
    copied: Path, part: str, params: dict[str, Any], message: str
) -> None:
    file = copied / "model" / "config.json"
    table = json.loads(file.read_text())
    table[part]["params"] |= params
    file.write_text(json.dumps(table))
    with pytest.raises(EnvironmentProblem, match=message) as caught:
        model(copied).predict([job("a cat")])
    assert "\n" not in str(caught.value)


def test_another_models_folder_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(UsageError, match="describes a 'janus' model without the parts of a JanusFlow"):
        _ = model(folder, path=str(folder / "toy")).card
    janus = registry.create("models", "janus-1.3b", path=str(folder / "model"), device="cpu")
    with pytest.raises(JanusEvalError, match=r"no vision_config\.params: it is no Janus configuration"):
        janus.predict([job("a cat")])


def test_weights_that_are_no_numbers_draw_no_picture(copied: Path) -> None:
    file = copied / "model" / "model.safetensors"
    edit(file, lambda weights: weights["vision_gen_dec_model.out_convs.0.unpatch_conv.bias"].fill_(torch.nan))
    with pytest.raises(JanusEvalError, match="the network's latents are not finite"):
        model(copied).predict([job("a cat")])


def test_noise_is_normal_and_of_its_seed_alone() -> None:
    many = normals(7, 200_000)
    assert abs(float(many.mean())) < 0.01 and abs(float(many.std()) - 1) < 0.01
    assert np.array_equal(normals(7, 11), many[:11]) and not np.array_equal(normals(8, 11), many[:11])
    word = int(np.random.Philox(key=7).random_raw())
    low, high = (((word >> shift) % 2**32 + 0.5) / 2**32 for shift in (0, 32))
    radius = math.sqrt(-2 * math.log(low))
    wanted = [radius * math.cos(2 * math.pi * high), radius * math.sin(2 * math.pi * high)]
    assert many[:2].tolist() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("suite", "outputs"), [("geneval", 8), ("pope", 2)])
def test_a_whole_run_of_either_half(folder: Path, tmp_path: Path, suite: str, outputs: int) -> None:
    given = [f"path={folder / 'model'}", f"vae={folder / 'vae'}", "steps=2", "max_new_tokens=3", "device=cpu"]
    options = [word for each in given for word in ("-a", each)]
    command = ["run", "-m", "janusflow-1.3b", "-b", suite, "--data", "toy", "-l", "2", "-o", str(tmp_path), *options]
    command += ["--detector", "toy", "--clip", "toy"] if suite == "geneval" else []
    assert main(command) == 0
    (record,) = tmp_path.rglob("record.json")
    told = json.loads(record.read_text())
    assert told["counts"]["scored"] == told["counts"]["expected"] == outputs
    before = record.read_bytes()
    assert main(command) == 0
    assert record.read_bytes() == before
