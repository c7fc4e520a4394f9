"""GenEval 2: right answers' words, Soft-TIFA by hand, its data's faults, and VQA models that are really asked."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from random import Random
from typing import Any

import pytest
from janus_eval.benchmarks.geneval2 import soft_tifa
from janus_eval.benchmarks.geneval2.benchmark import GenEval2
from janus_eval.benchmarks.geneval2.observer import SoftTifa
from janus_eval.benchmarks.toy.data import table
from janus_eval.benchmarks.toy.further import geneval2 as toy_rows
from janus_eval.benchmarks.toy.world import Scene, Thing, draw
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from PIL import Image
from support.chat_server import Fault, Service, serving
from support.tiny_models import save_vision_language_model

ROW: dict[str, Any] = {
    "prompt": "two red cats",
    "atom_count": 3,
    "vqa_list": [["How many cats are in the image?", "two"], ["Are the cats red?", "Yes"], ["Is there a cat?", "Yes"]],
    "skills": ["count", "attribute", "object"],
}


def suite(folder: Path, *rows: dict[str, Any], **options: Any) -> GenEval2:
    path = folder / "geneval2.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or (ROW,)))
    return GenEval2(str(path), **options)


def drawn(folder: Path, sample: Sample, picture: Image.Image | None = None) -> Prediction:
    path = folder / f"{sample.id}.png"
    (picture or Image.new("RGB", (32, 32), "red")).save(path)
    return Prediction(sample.id, kind="image", image=path)


def test_a_number_is_right_in_six_writings_and_all_else_is_a_yes() -> None:
    assert soft_tifa.words("How many cats are there?", "two") == ("two", "Two", " two", " Two", "2", " 2")
    assert soft_tifa.words("Are the cats red?", "Yes") == ("Yes", "yes", " yes", " Yes")
    assert soft_tifa.is_right("Two", soft_tifa.words("How many", "two"))
    assert not soft_tifa.is_right("three", soft_tifa.words("How many", "two"))


def test_means_by_hand() -> None:
    assert soft_tifa.gm([1.0, 0.25]) == 0.5
    assert soft_tifa.am([1.0, 0.25]) == 0.625
    assert soft_tifa.gm([1.0, 0.0, 1.0]) == 0.0


def test_metrics_by_hand(tmp_path: Path) -> None:
    bench = suite(tmp_path, ROW, {**ROW, "prompt": "two cats", "atom_count": 4})
    scores = []
    for sample, chances in zip(bench.samples(), ([1.0, 0.25, 0.5], [0.0, 1.0, 1.0]), strict=True):
        seen = Evidence(sample.id, data={"chances": chances, "said": ["Two", "No", "yes"]})
        scores += bench.score(sample, Prediction(sample.id, kind="image"), seen)
    found = {name: each.value for name, each in bench.aggregate(scores).items()}
    assert found["official/soft_tifa_gm"] == pytest.approx(25.0)
    assert found["official/soft_tifa_am"] == pytest.approx(100 * (1.75 / 3 + 2 / 3) / 2)
    assert found["official/tifa"] == pytest.approx(200 / 3)
    assert found["official/count"] == 50.0
    assert found["official/attribute"] == 62.5
    assert (found["official/atoms_3"], found["official/atoms_4"]) == (pytest.approx(50.0), 0.0)
    assert "official/verb" not in found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"atom_count": 0}, "atom_count"),
        ({"vqa_list": [["Is there a cat?"]]}, "vqa_list"),
        ({"vqa_list": []}, "vqa_list"),
        ({"skills": ["count"]}, "skills"),
        ({"skills": ["count", "colour", "object"]}, "skills"),
        ({"prompt": 3}, "prompt"),
    ],
)
def test_a_row_of_another_form_is_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=f"line 2.*{told}"):
        suite(tmp_path, ROW, {**ROW, "prompt": "another", **change}).samples()


def test_a_prompt_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prompts 1 and 2 are equal"):
        suite(tmp_path, ROW, ROW).samples()


def test_the_toy_scorer_tells_pictures_that_fulfil_their_prompt_from_those_that_do_not(tmp_path: Path) -> None:
    bench = suite(tmp_path)
    (sample,) = bench.samples()
    cats = draw(Scene((Thing("cat", "red", 0, 0), Thing("cat", "red", 4, 4))))
    dogless = draw(Scene((Thing("boat", "blue", 0, 0),)))
    observer = SoftTifa(world="toy")
    values = []
    for picture in (cats, dogless):
        prediction = drawn(tmp_path, sample, picture)
        (seen,) = observer.observe([(sample, prediction)])
        (score,) = bench.score(sample, prediction, seen)
        values.append(score.value)
    assert values[0] is not None and values[0] > 0.9
    assert values[1] is not None and values[1] < 0.1


def test_a_local_model_s_probability_is_that_of_the_words_first_tokens(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    save_vision_language_model(tmp_path / "vlm")
    bench = suite(tmp_path)
    (sample,) = bench.samples()
    prediction = drawn(tmp_path, sample)
    observer = SoftTifa(f"hf:{tmp_path / 'vlm'}", device="cpu")
    (seen,) = observer.observe([(sample, prediction)])
    processor: Any = AutoProcessor.from_pretrained(tmp_path / "vlm")
    model: Any = AutoModelForImageTextToText.from_pretrained(tmp_path / "vlm").eval()
    for (question, answer), chance in zip(ROW["vqa_list"], seen.data["chances"], strict=True):
        text = f"USER: <image>\n{question} Answer in one word. ASSISTANT:"
        inputs = processor(text=text, images=Image.open(prediction.image), return_tensors="pt")
        with torch.inference_mode():
            chances = model(**inputs).logits[0, -1].softmax(-1)
        ids = [processor.tokenizer.encode(each)[0] for each in soft_tifa.words(question, answer)]
        assert chance == pytest.approx(sum(chances[each].item() for each in ids), rel=1e-4)
    assert seen.data["scorer"] == observer.card["vqa"] == "hf:vlm"
    assert str(tmp_path) not in json.dumps(observer.card)


def test_an_endpoint_s_probabilities_are_those_of_its_listed_tokens(tmp_path: Path) -> None:
    top = [("Yes", 0.5), (" yes", 0.25), ("two", 0.125), ("2", 0.0625)]
    row = {"token": "Yes", "logprob": -0.7, "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in top]}

    def reply(body: dict[str, Any]) -> Any:
        message = {"role": "assistant", "content": "Yes"}
        return {"choices": [{"message": message, "finish_reason": "length", "logprobs": {"content": [row]}}]}

    bench = suite(tmp_path, vqa="openai:vlm")
    (sample,) = bench.samples()
    with serving(Service(reply=reply)) as service:
        observer = SoftTifa("openai:vlm", vqa_base_url=service.url)
        (seen,) = observer.observe([(sample, drawn(tmp_path, sample))])
    assert seen.data["chances"] == pytest.approx([0.1875, 0.75, 0.75])
    assert seen.data["models"] == ["served-model-2026-01-01"]
    (body, *_) = service.asked
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)
    assert [each["type"] for each in body["messages"][0]["content"]] == ["image_url", "text"]
    assert bench.headline == "official@openai:vlm/soft_tifa_gm"


def test_a_service_without_token_probabilities_is_no_verdict_and_never_a_zero(tmp_path: Path) -> None:
    bench = suite(tmp_path, vqa="openai:vlm")
    (sample,) = bench.samples()
    prediction = drawn(tmp_path, sample)
    with serving(Service(reply=lambda body: "Yes")) as service:
        (seen,) = SoftTifa("openai:vlm", vqa_base_url=service.url).observe([(sample, prediction)])
    assert seen.error is not None and "no token probabilities" in seen.error
    (score,) = bench.score(sample, prediction, seen)
    assert (score.value, score.reason[:9]) == (None, "unscored:")
    assert bench.aggregate([score])[bench.headline].value is None


def listed(*top: tuple[str, float]) -> dict[str, Any]:
    """Return a reply whose first token's likeliest texts are these."""
    row = {"token": top[0][0], "logprob": -0.1, "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in top]}
    message = {"role": "assistant", "content": "Yes"}
    return {"choices": [{"message": message, "finish_reason": "length", "logprobs": {"content": [row]}}]}


def test_a_model_that_reasons_first_gives_no_verdict_and_never_a_zero(tmp_path: Path) -> None:
    (sample,) = suite(tmp_path).samples()
    with serving(Service(reply=lambda body: listed(("<think>", 0.99), ("Yes", 0.01)))) as service:
        (seen,) = SoftTifa("openai:vlm", vqa_base_url=service.url).observe([(sample, drawn(tmp_path, sample))])
    assert seen.error is not None and "reasons before it answers" in seen.error


def test_pictures_that_two_models_looked_at_are_another_judge_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(tmp_path)
    models = itertools.cycle(("vlm", "small"))
    with serving(Service(reply=lambda body: {**listed(("Yes", 0.9)), "model": next(models)})) as service:
        asked = ["run", "-m", "blank-image", "-b", "geneval2", "--data", str(tmp_path / "geneval2.jsonl")]
        at = ["--vqa", "openai:vlm", "--vqa-base-url", service.url, "-o", str(tmp_path / "runs")]
        assert main([*asked, *at]) == 0
    assert "other_judge=1" in (said := capsys.readouterr().out) and "ANOTHER JUDGE" in said


def test_a_service_that_refuses_the_parameter_says_what_to_type(tmp_path: Path) -> None:
    (sample,) = suite(tmp_path).samples()
    fault = Fault(400, json.dumps({"error": {"message": "Unsupported parameter: 'logprobs' is not supported"}}))
    with serving(Service(faults=[fault] * 9)) as service, pytest.raises(UsageError, match="--vqa hf:ORG/NAME"):
        SoftTifa("openai:vlm", vqa_base_url=service.url).observe([(sample, drawn(tmp_path, sample))])


def test_a_picture_that_is_none_is_counted_as_such(tmp_path: Path) -> None:
    bench = suite(tmp_path)
    (sample,) = bench.samples()
    (tmp_path / "0000.png").write_bytes(b"no picture")
    prediction = Prediction(sample.id, kind="image", image=tmp_path / "0000.png")
    (seen,) = SoftTifa(world="toy").observe([(sample, prediction)])
    (score,) = bench.score(sample, prediction, seen)
    assert score.value is None
    assert score.reason.startswith("invalid image")


def test_evidence_of_another_suite_is_refused(tmp_path: Path) -> None:
    bench = suite(tmp_path)
    (sample,) = bench.samples()
    for data in ({}, {"chances": [1.0], "said": ["yes"]}, {"chances": [3.0] * 3, "said": ["yes"] * 3}):
        with pytest.raises(UsageError, match="evidence of 0000/0"):
            bench.score(sample, Prediction(sample.id, kind="image"), Evidence(sample.id, data=data))


def test_an_unknown_scorer_is_refused_when_it_is_named() -> None:
    with pytest.raises(UsageError, match="expected official, toy, hf:"):
        GenEval2(vqa="qwen")


def test_toy_rows_are_of_the_makers_form_and_differ(tmp_path: Path) -> None:
    rows = toy_rows()
    (tmp_path / "toy.jsonl").write_bytes(table("toy.jsonl", rows))
    assert len(GenEval2(str(tmp_path / "toy.jsonl")).items) == len(rows) == 40
    assert rows == toy_rows()
    assert Random(0).choice(rows)["vqa_list"][0][0].startswith("How many ")
