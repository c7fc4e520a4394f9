"""GenAI-Bench: the makers' files, VQAScore's question and probability from models that are really asked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.genai_bench.benchmark import GenAiBench
from janus_eval.benchmarks.genai_bench.observer import VqaScore
from janus_eval.benchmarks.toy.world import Scene, Thing, draw
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from PIL import Image
from support.chat_server import Service, serving
from support.tiny_models import save_vision_language_model

PROMPTS = {f"{n:05d}": {"prompt": f'a "red" {{cat}} {n}', "models": {}} for n in range(4)}
SKILLS = {"basic": [0, 1], "spatial relation": [1], "advanced": [2]}


def makers(folder: Path, prompts: Any = PROMPTS, skills: Any = SKILLS) -> GenAiBench:
    (folder / "genai_image.json").write_text(json.dumps(prompts))
    (folder / "genai_skills.json").write_text(json.dumps(skills))
    return GenAiBench(str(folder))


def drawn(folder: Path, sample: Sample, picture: Image.Image | None = None) -> Prediction:
    path = folder / f"{sample.id}.png"
    (picture or Image.new("RGB", (32, 32), "red")).save(path)
    return Prediction(sample.id, kind="image", image=path)


def seen(chance: Any) -> Evidence:
    return Evidence("", data={"chances": [chance], "said": ["Yes"]})


def test_all_is_over_the_prompts_that_want_a_skill(tmp_path: Path) -> None:
    """Of four chances 0.2, 0.4, 0.9 and 0.5 the last prompt wants no skill: all is their mean without it."""
    bench = makers(tmp_path)
    scores = [
        score
        for sample, chance in zip(bench.samples(), (0.2, 0.4, 0.9, 0.5), strict=True)
        for score in bench.score(sample, Prediction(sample.id, kind="image"), seen(chance))
    ]
    metrics = {key: each.value for key, each in bench.aggregate(scores).items()}
    assert bench.headline == "vqascore@qwen3-vl-8b/all"
    assert metrics == pytest.approx(
        {
            "vqascore@qwen3-vl-8b/all": 0.5,
            "vqascore@qwen3-vl-8b/basic": 0.3,
            "vqascore@qwen3-vl-8b/spatial_relation": 0.4,
            "vqascore@qwen3-vl-8b/advanced": 0.9,
        }
    )


def test_the_protocol_names_the_model_that_answers() -> None:
    assert GenAiBench("toy", vqa="openai:gpt-4o").headline == "vqascore@openai:gpt-4o/all"
    assert GenAiBench("toy", vqa="hf:o/n").headline == "vqascore@hf:o/n/all"
    assert GenAiBench("toy", vqa="toy").headline == GenAiBench("toy", world="toy").headline == "vqascore@toy/all"
    with pytest.raises(UsageError, match="expected official, toy, hf:"):
        GenAiBench("toy", vqa="clip-flant5-xxl")


@pytest.mark.parametrize(
    ("prompts", "skills", "why"),
    [
        ([], SKILLS, "expected an object"),
        ({"00000": "a cat"}, SKILLS, "expected"),
        (PROMPTS, {"basic": [9]}, "names prompt 9"),
        (PROMPTS, {"basic": ["0"]}, "expected a list"),
        (PROMPTS, {"basic": 0}, "expected a list"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, prompts: Any, skills: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        makers(tmp_path, prompts, skills).samples()


def test_a_folder_without_its_skills_is_refused(tmp_path: Path) -> None:
    makers(tmp_path)
    (tmp_path / "genai_skills.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        GenAiBench(str(tmp_path)).samples()
    (tmp_path / "genai_skills.json").unlink()
    with pytest.raises(UsageError, match=r"no genai_skills\.json"):
        GenAiBench(str(tmp_path)).samples()


@pytest.mark.parametrize("chance", [-0.1, 1.5, math.nan, "x", None])
def test_what_is_no_probability_is_refused_and_no_verdict_is_no_zero(tmp_path: Path, chance: Any) -> None:
    bench = makers(tmp_path)
    sample = bench.samples()[0]
    with pytest.raises(UsageError, match="00000"):
        bench.score(sample, Prediction(sample.id, kind="image"), seen(chance))
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), None)
    assert score.value is None
    assert bench.aggregate([score])[bench.headline].value is None


def test_an_endpoint_is_asked_the_makers_question_and_its_probability_of_yes_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    sample = makers(tmp_path).samples()[0]
    tops = [{"token": "Yes", "logprob": math.log(0.7)}, {"token": " yes", "logprob": math.log(0.2)}]
    choice = {
        "message": {"role": "assistant", "content": "Yes"},
        "finish_reason": "length",
        "logprobs": {"content": [{"token": "Yes", "logprob": math.log(0.7), "top_logprobs": tops}]},
    }
    with serving(Service(reply=lambda body: {"choices": [choice]})) as service:
        eyes = VqaScore("openai:vlm", vqa_base_url=service.url)
        (evidence,) = eyes.observe([(sample, drawn(tmp_path, sample))])
        picture, text = service.asked[-1]["messages"][0]["content"]
    assert evidence.data["chances"] == pytest.approx([0.7])
    assert text["text"] == 'Does this figure show "a "red" {cat} 0"? Please answer Yes or No.'
    assert picture["type"] == "image_url" and service.asked[-1]["max_tokens"] == 1


def test_a_local_model_gives_the_probability_of_its_first_token(tmp_path: Path) -> None:
    save_vision_language_model(tmp_path / "vlm")
    sample = makers(tmp_path).samples()[0]
    pair = (sample, drawn(tmp_path, sample))
    (evidence,) = VqaScore(f"hf:{tmp_path / 'vlm'}", device="cpu").observe([pair])
    assert 0 < evidence.data["chances"][0] < 1
    missing = Prediction(sample.id, kind="image")
    (evidence,) = VqaScore(f"hf:{tmp_path / 'vlm'}", device="cpu").observe([(sample, missing)])
    assert evidence.error == "invalid image: there is none"


def test_the_toy_model_tells_right_pictures_from_wrong_ones(tmp_path: Path) -> None:
    sample = Sample("0", "a red cat", target={"skills": ["basic"]})
    right, wrong = (draw(Scene((Thing(thing, color, 2, 2),))) for thing, color in (("cat", "red"), ("car", "blue")))
    eyes = VqaScore(world="toy")
    chances = [eyes.observe([(sample, drawn(tmp_path, sample, each))])[0].data["chances"][0] for each in (right, wrong)]
    assert chances[0] > 0.5 > chances[1]


def test_a_folder_of_pictures_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "drawn").mkdir()
    for sample in GenAiBench("toy").samples():
        drawn(tmp_path / "drawn", sample)
    asked = ["score", "-b", "genai_bench", "--images", str(tmp_path / "drawn"), "--pattern", "{id}.png"]
    assert cli.main([*asked, "--data", "toy", "--vqa", "toy", "-o", str(tmp_path / "runs"), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert 0 <= metrics["vqascore@toy/all"]["value"] < 0.5
