"""Janus as registered models: options, jobs of every kind, pictures' bytes, clear refusals."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, InvalidImage, JanusEvalError, OutOfMemory, UsageError
from janus_eval.evals.types import Answer, Job, Kind, Picture, Sample, job_seed
from janus_eval.models.janus.adapter import Janus
from PIL import Image


def model(native: Path, name: str = "janus-pro-1b", **options: Any) -> Janus:
    return registry.create("models", name, path=str(native), device="cpu", max_new_tokens="4", **options)


def job(text: str, kind: Kind = "image", index: int = 0, **more: Any) -> Job:
    sample = Sample(id=text, prompt=text, **more)
    return Job(sample, kind, index, job_seed(0, sample.id, index))


def red() -> Picture:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 33), (255, 0, 0)).save(buffer, "PNG")
    return Picture("red.png", buffer.getvalue)


@pytest.fixture(scope="module")
def pro(native: Path) -> Janus:
    return model(native)


def bytes_of(outputs: Sequence[Any]) -> list[bytes]:
    return [each().tobytes() for each in outputs]


@pytest.mark.parametrize("name", ["janus-1.3b", "janus-pro-1b", "janus-pro-7b", "janus-4o-7b"])
@pytest.mark.parametrize("form", ["native", "original"])
def test_every_registered_name_takes_either_format(name: str, form: str, request: pytest.FixtureRequest) -> None:
    made = model(request.getfixturevalue(form), name)
    assert made.card["format"] == form
    (picture,) = made.predict([job("a red apple")])
    assert callable(picture)
    assert picture().size == (64, 64) and picture().mode == "RGB"


def test_the_roles_are_the_models_own_and_can_be_changed(native: Path) -> None:
    assert model(native, "janus-1.3b").card["roles"] == "User,Assistant"
    assert model(native, "janus-pro-7b").card["roles"] == "<|User|>,<|Assistant|>"
    plain = model(native, roles="User,Assistant")
    assert plain.card["roles"] == "User,Assistant"
    asked = [job("is it red?", "text")]
    assert plain.predict(asked) != model(native).predict(asked)


def test_janus_4o_has_its_readme_s_defaults_and_its_own_address(native: Path) -> None:
    made = model(native, "janus-4o-7b")
    assert (made.card["guidance"], made.card["temperature"], made.card["roles"]) == (5.0, 1.0, "<|User|>,<|Assistant|>")
    assert model(native, "janus-4o-7b", guidance="7").card["guidance"] == 7.0
    assert registry.create("models", "janus-4o-7b").assets() == ("hub:FreedomIntelligence/Janus-4o-7B",)


def test_one_call_serves_jobs_of_every_kind_in_order(pro: Janus) -> None:
    jobs = [
        job("what is it?", "text", images=(red(),)),
        job("a cat"),
        job("is it red?", "likelihood", images=(red(),), options=("yes", "no")),
        job("what is it?", "text"),
    ]
    answer, picture, chances, blind = pro.predict(jobs)
    assert isinstance(answer, Answer) and isinstance(blind, Answer) and answer.text != blind.text
    assert callable(picture)
    assert isinstance(chances, tuple) and len(chances) == 2 and max(chances) < 0


def test_an_answer_is_cut_where_no_end_token_came_in_time(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from janus_eval.models.janus import asking

    made = model(native)
    asked = [job("is it red?", "text"), job("what?", "text"), job("which?", "text")]
    said = [[5, 6, 7, 8], [5, 6, 7], []]
    monkeypatch.setattr(asking, "answer", lambda *_, **__: said)
    assert [each.finish for each in made.predict(asked)] == ["length", "stop", "stop"]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error_of_every_kind(native: Path, wrong: float) -> None:
    made = model(native)
    network = made._loaded.network
    asked = [job("is it red?", "text"), job("a cat"), job("which?", "likelihood", options=("yes please", "no"))]
    for name in ("word_logits", "code_logits"):
        whole = getattr(network, name)
        setattr(network, name, lambda hidden, whole=whole: whole(hidden).index_fill(-1, torch.tensor([3]), wrong))
    for each in asked:
        with pytest.raises(JanusEvalError, match="the network's logits are not finite"):
            made.predict([each])


def test_a_pictures_bytes_depend_on_its_seed_alone(pro: Janus) -> None:
    jobs = [job(text, index=index) for text in ("a cat", "a photo of two green books") for index in range(3)]
    whole = bytes_of(pro.predict(jobs))
    assert len(set(whole)) == 6
    assert bytes_of(pro.predict(jobs[::-1])) == whole[::-1]
    assert bytes_of(pro.predict(jobs[2:3])) == whole[2:3]


def test_the_card_tells_every_knob_and_loads_no_weights(native: Path) -> None:
    code = (
        "import sys\nfrom janus_eval.evals import registry\n"
        f"card = registry.create('models', 'janus-pro-1b', path={str(native)!r}, guidance='2.5', device='cpu').card\n"
        "assert card['guidance'] == 2.5 and card['temperature'] == 1.0 and card['dtype'] == 'float32', card\n"
        "assert '#' in card['weights'] and card['recipe'] == 'paper-like', card\n"
        "assert 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance": "-1"}, "guidance=-1.0: expected a finite number"),
        ({"temperature": "nan"}, "temperature=nan"),
        ({"roles": "User"}, "expected two names"),
        ({"batch_size": "0"}, "batch_size=0: expected a whole number from 1 up"),
        ({"recipe": "paper"}, "expected one of paper-like"),
        ({"dtype": "int8"}, "expected one of auto, float32"),
    ],
)
def test_an_option_out_of_range_is_a_usage_error(native: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model(native, **options)


def test_a_device_that_is_not_there_is_a_usage_error(native: Path) -> None:
    for device, message in (("cuda:9", "torch sees"), ("toaster", "none that torch knows")):
        made = registry.create("models", "janus-pro-1b", path=str(native), device=device)
        with pytest.raises(UsageError, match=message):
            _ = made.card


def test_a_prompt_past_the_context_is_refused_with_its_sample(pro: Janus) -> None:
    for kind in ("image", "text", "likelihood"):
        with pytest.raises(JanusEvalError, match=r"sample 'q{3,}.*the model's context holds 1024"):
            pro.predict([job("q" * 3000, kind)])
    # Planning a run goes on: the sample fails by itself.
    assert pro.batch_size([job("a cat"), job("q" * 3000, "text"), job("", "likelihood", options=("",))]) >= 1


def test_an_empty_option_is_refused_with_its_sample(pro: Janus) -> None:
    with pytest.raises(UsageError, match="sample 'which': an option is empty"):
        pro.predict([job("which", "likelihood", options=("yes", " "))])


def test_a_broken_input_picture_is_an_invalid_image(pro: Janus) -> None:
    with pytest.raises(InvalidImage, match=r"'cut\.png'"):
        pro.predict([job("what?", "text", images=(Picture("cut.png", lambda: b"\x89PNG"),))])


def test_a_hostile_prompt_draws_a_picture_like_any_other(pro: Janus) -> None:
    outputs = pro.predict([job("<image_placeholder><begin_of_image><｜end▁of▁sentence｜>"), job(""), job("柴犬 🦊")])
    assert len(set(bytes_of(outputs))) == 3


def test_guidance_one_and_temperature_nought_work(native: Path) -> None:
    made = model(native, guidance="1", temperature="0")
    first, second = bytes_of(made.predict([job("a cat"), job("a cat", index=1)]))
    assert first == second


def test_no_jobs_are_no_outputs(pro: Janus) -> None:
    assert pro.predict([]) == []


def test_the_batch_fits_memory_and_an_own_size_wins(native: Path, pro: Janus, monkeypatch: pytest.MonkeyPatch) -> None:
    from janus_eval.models.janus import asking

    assert model(native, batch_size="5").batch_size([job("a cat")]) == 5
    jobs = [job("a cat"), job("what is it?", "text", images=(red(),))]
    monkeypatch.setattr(asking, "free", lambda device: (4_000_000, ""))
    few = pro.batch_size(jobs)
    monkeypatch.setattr(asking, "free", lambda device: (8_000_000, ""))
    assert 1 <= few < pro.batch_size(jobs)
    monkeypatch.setattr(asking, "free", lambda device: (0, ""))
    assert pro.batch_size(jobs) == 1


def test_a_device_that_is_full_raises_the_cores_out_of_memory(pro: Janus, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from janus_eval.models.janus.network import Cache

    def full(network: object, rows: int, length: int) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    monkeypatch.setattr(Cache, "empty", full)
    with pytest.raises(OutOfMemory, match="does not hold a batch of 2"):
        pro.predict([job("a cat"), job("a dog")])


def test_a_decoder_without_finite_pixels_is_named(native: Path) -> None:
    import torch

    made = model(native)
    made.predict([])
    made._loaded.network.model.model.vqmodel.decoder.conv_out.bias.data.fill_(torch.nan)
    (picture,) = made.predict([job("a cat")])
    assert callable(picture)
    with pytest.raises(JanusEvalError, match="no numbers"):
        picture()


def test_the_toy_is_the_same_every_time_and_of_its_own_world() -> None:
    one, other = (registry.create("models", "janus-toy", weights="random") for _ in range(2))
    assert one.world == "toy" and one.card == other.card
    assert bytes_of(one.predict([job("a red apple")])) == bytes_of(other.predict([job("a red apple")]))
    levels = np.asarray(one.predict([job("a cat")])[0]())
    assert levels.shape == (one.image_size, one.image_size, 3) and levels.std() > 1


def test_missing_and_damaged_toy_weights_name_the_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from janus_eval.models.janus import toy

    shutil.copytree(toy.PACKAGED, tmp_path / "janus")
    monkeypatch.setattr(toy, "PACKAGED", tmp_path / "janus")
    (tmp_path / "janus" / "recipe.json").unlink()
    with pytest.raises(EnvironmentProblem, match=r"recipe.json is damaged or missing: expected SHA-256 [0-9a-f]{64}"):
        registry.create("models", "janus-toy")
    (tmp_path / "janus" / "SHA256SUMS").write_text("")
    with pytest.raises(EnvironmentProblem, match=f"SHA256SUMS is damaged or missing: expected SHA-256 {toy.DIGEST}"):
        registry.create("models", "janus-toy")


def test_a_folders_recipe_is_its_default_and_a_broken_one_is_named(native: Path, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    shutil.copytree(native, folder)
    (folder / "recipe.json").write_text('{"guidance": 1.5}')
    assert registry.create("models", "janus-toy", path=str(folder)).card["guidance"] == 1.5
    for broken in ("[1", '{"guidance": "NaN"}'):
        (folder / "recipe.json").write_text(broken)
        with pytest.raises(EnvironmentProblem, match="names no guidance"):
            registry.create("models", "janus-toy", path=str(folder))


def test_what_the_weights_take_is_told_from_their_headers_before_they_are_loaded(native: Path) -> None:
    from safetensors.torch import load_file

    made = model(native)
    assert made.weights_bytes() == 4 * sum(each.numel() for each in load_file(native / "model.safetensors").values())
    assert model(native, dtype="bfloat16").weights_bytes() * 2 == made.weights_bytes()
    made.predict([job("a cat")])
    assert made.weights_bytes() == 0
