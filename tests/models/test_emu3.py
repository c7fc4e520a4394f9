"""Emu3 on a tiny random checkpoint of transformers' class: drawn by emu3-gen, asked through hf."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.evals.types import Job, Picture, Sample
from PIL import Image
from support.tiny_families import save_family


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("emu3") / "model"
    save_family("Emu3", made)
    return made


def job(prompt: str, seed: int) -> Job:
    return Job(Sample(f"s{seed}", prompt), "image", 0, seed)


JOBS = [job("a red cat", 3), job("a photo of the very blue dog ?", 2**62 + 5), job("", 7)]


def model(folder: Path, **options: str) -> Any:
    return registry.create("models", "emu3-gen", path=str(folder), device="cpu", **{"size": "32", **options})


def draw(asked: Any, jobs: list[Job]) -> list[np.ndarray]:
    return [np.asarray(picture).astype(int) for picture in asked.predict(jobs)]


def test_a_picture_depends_on_its_own_seed_and_prompt_alone(folder: Path) -> None:
    asked = model(folder)
    together = draw(asked, JOBS)
    assert together[0].shape == (32, 32, 3)
    for number, each in enumerate(JOBS):
        assert (draw(asked, [each])[0] == together[number]).all()
    others = draw(asked, [job("a red cat", 4), job("two", 3)])
    assert all((other != together[0]).any() for other in others)


def test_the_tokens_are_those_of_transformers_own_guidance(folder: Path) -> None:
    """Greedy (top-k 1): the library's own guidance and allowed tokens, as its page on Emu3 uses them."""
    import torch
    from transformers import AutoProcessor, Emu3ForConditionalGeneration

    processor = AutoProcessor.from_pretrained(folder)
    reference = Emu3ForConditionalGeneration.from_pretrained(folder).eval()
    asked = model(folder, top_k="1")
    (text, negative), knobs = ("a red cat" + asked._knobs.suffix, asked._knobs.negative_prompt), asked._knobs
    given = {"return_tensors": "pt", "return_for_image_generation": True, "ratio": "1:1", "image_area": 32 * 32}
    inputs, free = processor(text=[text], **given), processor(text=[negative], **given)
    words, start = reference.vocabulary_mapping, inputs["input_ids"].shape[1]

    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        return [words.eol_token_id] if (len(ids) - start) % 5 == 4 else words.image_tokens

    ids = reference.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        do_sample=False,
        max_new_tokens=20,
        guidance_scale=knobs.guidance,
        negative_prompt_ids=free["input_ids"],
        negative_prompt_attention_mask=free["attention_mask"],
        prefix_allowed_tokens_fn=allowed,
    )[:, start:]
    pixels = reference.decode_image_tokens(image_tokens=torch.cat([ids, ids[:, :3]], 1), height=4, width=4)
    expected = processor.postprocess(list(pixels.detach().float()), return_tensors="PIL.Image.Image")["pixel_values"][0]
    assert (draw(asked, JOBS[:1])[0] == np.asarray(expected).astype(int)).all()


def test_every_knob_moves_the_card_and_the_picture(folder: Path) -> None:
    plain = model(folder)
    assert {name: plain.card[name] for name in ("guidance", "top_k")} == {"guidance": 3.0, "top_k": 2048}
    assert registry.create("models", "emu3-gen", path=str(folder), device="cpu").card["size"] == 720
    base, cards = draw(plain, JOBS[:1])[0], [plain.card]
    for change in ({"guidance": "9"}, {"top_k": "2"}, {"suffix": ""}, {"negative_prompt": "dog"}):
        other = model(folder, **change)
        assert (draw(other, JOBS[:1])[0] != base).any(), change
        cards.append(other.card)
    assert len({json.dumps(each, sort_keys=True) for each in cards}) == len(cards)


def test_a_batch_gives_the_answers_that_single_questions_give_whatever_its_pictures_sizes(folder: Path) -> None:
    def question(seed: int, size: tuple[int, int]) -> Job:
        data = io.BytesIO()
        levels = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(levels).resize(size).save(data, "PNG")
        return Job(Sample(f"q{seed}", "what ?", (Picture("p", data.getvalue),)), "text", 0, 1)

    asked = registry.create("models", f"hf:{folder}", device="cpu", max_new_tokens="8")
    jobs = [question(1, (40, 30)), question(2, (64, 20)), question(3, (40, 30))]
    assert asked.predict(jobs) == [asked.predict([each])[0] for each in jobs]


def test_both_halves_run(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "prompts.csv"
    table.write_text("prompt\na red cat\n")
    drawn = ["-m", "emu3-gen", "-a", f"path={folder}", "-a", "size=32", "-b", "prompts", "--data", str(table)]
    asked = ["-m", f"hf:{folder}", "-a", "max_new_tokens=4", "-b", "pope", "--data", "toy", "--limit", "3"]
    for line in ([*drawn, "--name", "mine"], asked):
        assert main(["run", *line, "--device", "cpu", "-o", str(tmp_path / "runs")]) == 0


def test_what_is_wrong_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model at"):
        _ = model(tmp_path).card
    for wrong in ({"size": "0"}, {"guidance": "nan"}, {"top_k": "0"}):
        with pytest.raises(UsageError):
            model(folder, **wrong)


def test_a_missing_tensor_is_an_error_not_a_random_one(folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "model")
    tensors = load_file(copy / "model.safetensors")
    del tensors[next(name for name in tensors if "q_proj" in name)]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(EnvironmentProblem, match=r"lacks 1 tensors, .*q_proj"):
        model(copy).predict(JOBS[:1])
