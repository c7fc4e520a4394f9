"""The observer: mPLUG from a folder, hub models and endpoints, each under its own name."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from janus_eval.benchmarks.dpg_bench.benchmark import DpgBench
from janus_eval.benchmarks.dpg_bench.vqa.observer import DpgVqa, out_of_memory
from janus_eval.benchmarks.dpg_bench.vqa.other_scorers import first_word
from janus_eval.benchmarks.toy.weights import DIGESTS
from janus_eval.evals.endpoint.replies import RequestFailed
from janus_eval.evals.errors import EnvironmentProblem, OutOfMemory, UsageError
from janus_eval.evals.types import Prediction, Sample
from PIL import Image
from support.chat_server import Service, serving
from support.mplug_folder import WORDS, sizes, write_folder
from support.tiny_models import save_vision_language_model


def pairs(folder: Path, items: int = 2, outputs: int = 2) -> list[tuple[Sample, Prediction]]:
    found: list[tuple[Sample, Prediction]] = []
    for number, sample in enumerate(DpgBench("example").samples()[-items:]):
        for index in range(outputs):
            file = folder / f"{number}-{index}.png"
            Image.new("RGB", (20, 20), (90 * number, 120 * index, 200)).save(file)
            found.append((sample, Prediction(sample.id, index, "image", image=file)))
    return found


def test_an_mplug_folder_answers_and_its_card_names_the_weights(tmp_path: Path) -> None:
    write_folder(tmp_path / "mplug", sizes())
    observer = DpgVqa(str(tmp_path / "mplug"), device="cpu")
    evidence = observer.observe(pairs(tmp_path))
    assert [each.data["scorer"] for each in evidence] == ["mplug"] * 4
    assert [list(each.data["answers"]) for each in evidence] == [[str(n) for n in range(1, 11)]] * 4
    assert [each.data["cut"] for each in evidence] == [[], [], [10], [10]]
    assert observer.card["vqa"].startswith("mplug:")
    assert str(tmp_path) not in str(observer.card)
    assert observer.card["dtype"] == "float32"


def test_batches_of_any_size_give_equal_evidence(tmp_path: Path) -> None:
    asked = pairs(tmp_path)
    observer = DpgVqa("toy", device="cpu")
    assert observer.observe(asked) == [each for pair in asked for each in observer.observe([pair])]


def test_the_toy_scorers_card_names_its_weights() -> None:
    assert DpgVqa("toy").card["vqa"] == DpgVqa(world="toy").card["vqa"] == f"toy-{DIGESTS['vqa'][:12]}"


def test_the_evidence_scores_under_both_protocols(tmp_path: Path) -> None:
    asked = pairs(tmp_path)
    suite = DpgBench("example", world="toy")
    observer = DpgVqa(world="toy", device="cpu")
    scores = [
        score
        for (sample, prediction), seen in zip(asked, observer.observe(asked), strict=True)
        for score in suite.score(sample, prediction, seen)
    ]
    assert {each.protocol for each in scores} == {"official", "fixed"}
    assert suite.aggregate(scores)["questions/cut"].value == 100 / 20
    assert suite.headline in suite.aggregate(scores)


@pytest.mark.claim("R7")
def test_a_broken_picture_is_an_error_of_its_own_and_unscored(tmp_path: Path) -> None:
    asked = pairs(tmp_path)
    broken = asked[1][1].image
    assert broken is not None
    broken.write_bytes(b"no picture")
    evidence = DpgVqa("toy", device="cpu").observe(asked)
    assert [each.error is None for each in evidence] == [True, False, True, True]
    first, second = DpgBench("example").score(asked[1][0], asked[1][1], evidence[1])
    assert first.value is second.value is None
    assert first.reason == "invalid image 0-1.png: cannot be decoded: its format cannot be identified"


def test_half_precision_is_recorded(tmp_path: Path) -> None:
    observer = DpgVqa("toy", device="cpu", dtype="bfloat16")
    assert observer.card["dtype"] == "bfloat16"
    assert len(observer.observe(pairs(tmp_path, 1, 1))[0].data["answers"]) == 10
    with pytest.raises(UsageError, match="dtype 'int4'"):
        DpgVqa("toy", dtype="int4")


def test_a_full_device_is_the_cores_own_error() -> None:
    with pytest.raises(OutOfMemory), out_of_memory():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    with pytest.raises(RuntimeError, match="shapes"), out_of_memory():
        raise RuntimeError("shapes do not fit")


def test_the_official_weights_are_needed_and_not_fetched_offline(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path))
    observer = DpgVqa(offline=True, device="cpu")
    assert list(observer.needs()) == ["mplug"]
    assert not DpgVqa("toy").needs()
    assert observer.card["vqa"] == "damo/mplug_visual-question-answering_coco_large_en"
    with pytest.raises(EnvironmentProblem, match="mplug"):
        observer.observe(pairs(tmp_path, 1, 1))


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("  **No**, there is none", "no"),
        ("No\n", "no"),
        ("not at all", "not at all"),
        ("There is", "There is"),
        ("", ""),
    ],
)
def test_a_chat_models_reply_is_read_by_its_first_word(reply: str, word: str) -> None:
    assert first_word(reply) == word


def test_an_endpoint_is_asked_with_the_picture_and_named_in_the_result(tmp_path: Path) -> None:
    def reply(body: dict[str, Any]) -> str:
        return "Yes." if "yellow" in body["messages"][0]["content"][1]["text"] else "No, none."

    asked = pairs(tmp_path, 1, 1)
    with serving(Service(reply)) as service:
        observer = DpgVqa("openai:some-vlm", vqa_base_url=service.url)
        (evidence,) = observer.observe(asked)
        assert observer.card["url"] == service.url
    assert evidence.data["scorer"] == "openai:some-vlm"
    assert sorted(set(evidence.data["answers"].values())) == ["no", "yes"]
    assert evidence.data["answers"]["7"] == "yes"
    body = service.asked[0]
    assert (body["model"], body["temperature"]) == ("some-vlm", 0)
    picture = body["messages"][0]["content"][0]["image_url"]["url"].partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (20, 20)
    suite = DpgBench("example", vqa="openai:some-vlm")
    metrics = suite.aggregate(suite.score(*asked[0], evidence))
    assert suite.headline == "official@openai:some-vlm/overall"
    assert suite.headline in metrics
    assert "official/overall" not in metrics


@pytest.mark.parametrize(
    ("message", "finish", "why"),
    [
        ({"content": ""}, "stop", "the answer is empty"),
        ({"content": None, "reasoning_content": "Yes"}, "length", "3 characters stand in reasoning_content"),
        ({"content": "yes"}, "content_filter", "withheld"),
        ({"content": None, "refusal": "I will not."}, "stop", "refused to answer: I will not."),
    ],
)
def test_a_reply_that_is_none_is_no_no(tmp_path: Path, message: dict[str, Any], finish: str, why: str) -> None:
    def reply(body: dict[str, Any]) -> Any:
        failing = "yellow" in body["messages"][0]["content"][1]["text"]
        return {"choices": [{"message": message, "finish_reason": finish}]} if failing else "yes"

    asked = pairs(tmp_path, 2, 1)  # one of the second item's ten questions is about something yellow
    with serving(Service(reply)) as service:
        observer = DpgVqa("openai:some-vlm", vqa_base_url=service.url)
        with pytest.raises(RequestFailed, match=why):
            observer.observe(asked)
        first = len(service.asked)
        found = [each for pair in asked for each in alone(observer, pair)]
        assert 0 < len(found) < 2
        assert first < len(service.asked) <= first + 2


def alone(observer: DpgVqa, pair: tuple[Sample, Prediction]) -> list[Any]:
    try:
        return list(observer.observe([pair]))
    except RequestFailed:
        return []


def test_an_image_text_model_of_the_hub_answers(tmp_path: Path) -> None:
    save_vision_language_model(tmp_path / "vlm")
    observer = DpgVqa(f"hf:{tmp_path / 'vlm'}", device="cpu")
    (evidence,) = observer.observe(pairs(tmp_path, 1, 1))
    assert len(evidence.data["answers"]) == 10
    assert evidence.data["scorer"] == observer.card["vqa"] == "hf:vlm"
    assert str(tmp_path) not in str(observer.card)


@pytest.mark.parametrize("kind", ["blip", "vilt"])
def test_a_vqa_model_of_the_hub_answers(tmp_path: Path, kind: str) -> None:
    save_vqa_model(tmp_path / "vqa", kind)
    (evidence,) = DpgVqa(f"hf:{tmp_path / 'vqa'}", device="cpu").observe(pairs(tmp_path, 1, 1))
    answers = list(evidence.data["answers"].values())
    assert len(answers) == 10
    if kind == "vilt":
        assert set(answers) <= {"yes", "no", "maybe"}


def test_a_model_that_sees_nothing_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig

    BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match="answers no questions about pictures"):
        DpgVqa(f"hf:{tmp_path / 'bert'}", device="cpu").observe(pairs(tmp_path, 1, 1))


def save_vqa_model(folder: Path, kind: str) -> None:
    """Save a tiny BLIP or ViLT in the hub's format."""
    import transformers as t

    (folder.parent / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    tokenizer = t.BertTokenizer(str(folder.parent / "vocab.txt"))
    if kind == "blip":
        text = {
            "vocab_size": len(WORDS),
            "hidden_size": 16,
            "encoder_hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "bos_token_id": 101,
            "eos_token_id": 102,
            "sep_token_id": 102,
            "pad_token_id": 0,
        }
        vision = {
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 16,
        }
        config = t.BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
        t.BlipForQuestionAnswering(config).save_pretrained(folder)
        images = t.BlipImageProcessor(size={"height": 32, "width": 32})
        t.BlipProcessor(images, tokenizer).save_pretrained(folder)
        return
    config = t.ViltConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        id2label={0: "yes", 1: "no", 2: "maybe"},
        label2id={"yes": 0, "no": 1, "maybe": 2},
    )
    t.ViltForQuestionAnswering(config).save_pretrained(folder)
    images = t.ViltImageProcessor(size={"shortest_edge": 32}, size_divisor=16)
    t.ViltProcessor(images, tokenizer).save_pretrained(folder)
