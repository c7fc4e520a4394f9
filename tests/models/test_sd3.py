"""Diffusers pipelines: a tiny SD3 on disk in the real layout, drawn through the registered names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.evals.types import Job, Sample
from support.tiny_models import save_sd3

QUICK: dict[str, Any] = {"device": "cpu", "steps": "2", "size": "32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sd3") / "pipeline"
    save_sd3(made)
    return made


def job(prompt: str, seed: int) -> Job:
    return Job(Sample(f"s{seed}", prompt), "image", 0, seed)


JOBS = [job("a red cat", 3), job("a photo of a very blue dog on the moon", 2**62 + 5), job("", 7)]


def draw(folder: Path, jobs: list[Job], name: str = "sd3-medium", **options: Any) -> list[np.ndarray]:
    adapter = registry.create("models", name, path=str(folder), **{**QUICK, **options})
    return [np.asarray(picture).astype(int) for picture in adapter.predict(jobs)]


def test_a_picture_depends_on_its_own_seed_and_prompt_alone(folder: Path) -> None:
    together = draw(folder, JOBS)
    assert together[0].shape == (32, 32, 3)
    alone = [draw(folder, [each])[0] for each in JOBS]
    backwards = draw(folder, JOBS[::-1])[::-1]
    for one, other, third in zip(together, alone, backwards, strict=True):
        assert abs(one - other).max() <= 1  # float32 rounding may cross one of 256 steps
        assert abs(one - third).max() <= 1
    assert abs(together[0] - draw(folder, [job("a red cat", 4)])[0]).max() > 5
    assert abs(together[0] - draw(folder, [job("a blue dog", 3)])[0]).max() >= 1


def test_the_same_batch_gives_the_same_bytes(folder: Path) -> None:
    first, second = draw(folder, JOBS), draw(folder, JOBS)
    assert all((one == other).all() for one, other in zip(first, second, strict=True))


def test_the_picture_is_the_pipeline_s_own_for_that_seed(folder: Path) -> None:
    import torch
    from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline

    pipeline = StableDiffusion3Pipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        "a red cat",
        num_inference_steps=2,
        guidance_scale=7.0,
        height=32,
        width=32,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    assert abs(draw(folder, JOBS[:1])[0] - np.asarray(expected)).max() <= 1


def test_guidance_steps_and_t5_move_the_picture_and_the_card(folder: Path) -> None:
    base = draw(folder, JOBS[:1])[0]
    cards = [registry.create("models", "sd3-medium", path=str(folder), device="cpu").card]
    assert cards[0]["steps"] == 28
    assert cards[0]["guidance"] == 7.0
    assert cards[0]["size"] == 1024
    assert cards[0]["dtype"] == "float32"
    assert cards[0]["pipeline"] == "StableDiffusion3Pipeline"
    for change in ({"guidance": "1"}, {"steps": "3"}, {"negative_prompt": "dog"}):
        assert abs(draw(folder, JOBS[:1], **change)[0] - base).max() >= 1
        cards.append(registry.create("models", "sd3-medium", path=str(folder), device="cpu", **change).card)
    cards.append(registry.create("models", "sd3-medium", path=str(folder), device="cpu", t5="false").card)
    assert cards[-1]["without"] == "text_encoder_3,tokenizer_3"
    assert len({json.dumps(each, sort_keys=True) for each in cards}) == len(cards)


def test_without_t5_its_files_are_not_needed(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("text_encoder_3", "tokenizer_3"))
    assert draw(copy, JOBS[:1], t5="false")[0].shape == (32, 32, 3)
    with pytest.raises(EnvironmentProblem, match="cannot be loaded"):
        draw(copy, JOBS[:1])


def test_any_pipeline_folder_draws_by_its_own_defaults(folder: Path) -> None:
    adapter = registry.create("models", f"diffusers:{folder}", device="cpu")
    assert adapter.card["steps"] == "pipeline"
    chosen = draw(folder, JOBS[:1], name="diffusers:some/name", guidance="7.0")
    assert abs(chosen[0] - draw(folder, JOBS[:1])[0]).max() <= 1


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pipeline at"):
        draw(tmp_path, JOBS)


def test_cut_weights_are_an_error_in_one_line(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = copy / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(EnvironmentProblem, match="cannot be loaded") as caught:
        draw(copy, JOBS)
    assert "\n" not in str(caught.value)


def test_a_damaged_index_is_an_error(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model_index.json").write_text("{")
    with pytest.raises(EnvironmentProblem, match=r"model_index.json is damaged"):
        draw(copy, JOBS)


@pytest.mark.parametrize("value", [["subprocess", "Popen"], ["my_code", "Net"]])
def test_a_component_from_elsewhere_is_never_imported(folder: Path, tmp_path: Path, value: list[str]) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps({**index, "vae": value}))
    with pytest.raises(UsageError, match="never run here"):
        draw(copy, JOBS)


def test_a_pipeline_of_its_own_code_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "pipeline.py").write_text("raise SystemExit('code was run')")
    (copy / "model_index.json").write_text(json.dumps({**index, "_class_name": ["pipeline", "Mine"]}))
    with pytest.raises(UsageError, match="never run here"):
        draw(copy, JOBS)


def test_a_pipeline_that_needs_a_picture_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    index = json.loads((copy / "model_index.json").read_text())
    named = {**index, "_class_name": "StableDiffusion3ControlNetPipeline", "controlnet": [None, None]}
    (copy / "model_index.json").write_text(json.dumps(named))
    with pytest.raises((UsageError, EnvironmentProblem)):
        draw(copy, JOBS)


@pytest.mark.parametrize("options", [{"steps": "0"}, {"guidance": "nan"}, {"size": "-8"}, {"device": "quantum"}])
def test_options_out_of_range_are_refused(folder: Path, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        draw(folder, JOBS, **options)


def test_a_gated_repository_that_is_not_here_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    adapter = registry.create("models", "sd3-medium", offline=True, device="cpu")
    with pytest.raises(EnvironmentProblem, match="janus-eval data fetch hub:stabilityai"):
        _ = adapter.card


def test_a_prompt_is_encoded_once_for_its_pictures_and_across_batches(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = registry.create("models", "sd3-medium", path=str(folder), **QUICK)
    encoded, _ = adapter._pipeline
    rows: list[list[str]] = []
    encode = encoded._encoder.encode_prompt

    def watched(**given: Any) -> Any:
        rows.append(given["prompt"])
        return encode(**given)

    monkeypatch.setattr(encoded._encoder, "encode_prompt", watched)
    four = [job("a red cat", seed) for seed in range(4)]
    adapter.predict([*four[:3], job("a dog", 9)])
    adapter.predict([four[3], job("a dog", 10)])
    adapter.predict([job("a bird", 11)])
    assert rows == [["", "a red cat", "a dog"], ["a bird"]]  # the empty one is the unconditional half, once a run


@pytest.mark.parametrize(("guidance", "negative"), [("7.0", None), ("1.0", None), ("4.0", "grey")])
def test_four_pictures_of_a_prompt_are_the_pipeline_s_own(folder: Path, guidance: str, negative: str | None) -> None:
    import torch
    from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline

    pipeline = StableDiffusion3Pipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    seeds = [3, 4, 5, 6]
    expected = pipeline(
        ["a red cat"] * 4,
        negative_prompt=None if negative is None else [negative] * 4,
        num_inference_steps=2,
        guidance_scale=float(guidance),
        height=32,
        width=32,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
    ).images
    options = {"guidance": guidance} | ({} if negative is None else {"negative_prompt": negative})
    mine = draw(folder, [job("a red cat", seed) for seed in seeds], **options)
    for picture, wanted in zip(mine, expected, strict=True):
        assert abs(picture - np.asarray(wanted)).max() <= 1


def test_halves_that_take_turns_draw_the_same(folder: Path) -> None:
    adapter = registry.create("models", "sd3-medium", path=str(folder), **QUICK)
    adapter._pipeline[0].turns = True
    turned = [np.asarray(picture).astype(int) for picture in adapter.predict(JOBS)]
    assert all((one == other).all() for one, other in zip(turned, draw(folder, JOBS), strict=True))
