"""T2I-CompBench: phrases, BLIP's network from a checkpoint in its makers' form, products and means."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from janus_eval.benchmarks.t2i_compbench import phrases
from janus_eval.benchmarks.t2i_compbench.benchmark import T2ICompBench, product
from janus_eval.benchmarks.t2i_compbench.blip import VOCABULARY, WEIGHTS, Blip, cleaned
from janus_eval.benchmarks.t2i_compbench.observer import BlipVqa
from janus_eval.benchmarks.toy.world import Scene, Thing, draw
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from PIL import Image

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "cat", "blue", "car", "?", "no", "the", "##s", "yes")
WIDTH, INNER, PLACES = 64, 96, 40


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the tensors of BLIP's VQA checkpoint as its makers name them, of one layer each and 32 by 32 pixels."""
    found: dict[str, tuple[int, ...]] = {
        "visual_encoder.cls_token": (1, 1, WIDTH),
        "visual_encoder.pos_embed": (1, 5, WIDTH),
        "visual_encoder.patch_embed.proj.weight": (WIDTH, 3, 16, 16),
        "visual_encoder.patch_embed.proj.bias": (WIDTH,),
    }

    def linear(name: str, out: int, into: int = WIDTH) -> None:
        found.update({f"{name}.weight": (out, into), f"{name}.bias": (out,)})

    def norm(name: str) -> None:
        found.update({f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)})

    block = "visual_encoder.blocks.0"
    norm("visual_encoder.norm")
    norm(f"{block}.norm1")
    norm(f"{block}.norm2")
    linear(f"{block}.attn.qkv", 3 * WIDTH)
    linear(f"{block}.attn.proj", WIDTH)
    linear(f"{block}.mlp.fc1", INNER)
    linear(f"{block}.mlp.fc2", WIDTH, INNER)
    for side in ("text_encoder", "text_decoder.bert"):
        found[f"{side}.embeddings.word_embeddings.weight"] = (len(WORDS) + 2, WIDTH)
        found[f"{side}.embeddings.position_embeddings.weight"] = (PLACES, WIDTH)
        norm(f"{side}.embeddings.LayerNorm")
        layer = f"{side}.encoder.layer.0"
        for attention in ("attention", "crossattention"):
            for each in ("query", "key", "value"):
                linear(f"{layer}.{attention}.self.{each}", WIDTH)
            linear(f"{layer}.{attention}.output.dense", WIDTH)
            norm(f"{layer}.{attention}.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", INNER)
        linear(f"{layer}.output.dense", WIDTH, INNER)
        norm(f"{layer}.output.LayerNorm")
    linear("text_decoder.cls.predictions.transform.dense", WIDTH)
    norm("text_decoder.cls.predictions.transform.LayerNorm")
    found["text_decoder.cls.predictions.bias"] = (len(WORDS) + 2,)
    return found


def weights() -> dict[str, torch.Tensor]:
    """Return weights that anyone can make again: a sine over all numbers, another start for each tensor."""
    state: dict[str, torch.Tensor] = {}
    for place, (name, shape) in enumerate(sorted(shapes().items())):
        wave = torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 0.7 + place)
        scale, lift = (0.3, 1.0) if "orm" in name and name.endswith("weight") else (0.3, 0.0)
        state[name] = (wave * scale + lift).reshape(shape).float()
    head = "text_decoder.cls.predictions"
    state[f"{head}.decoder.weight"] = state["text_decoder.bert.embeddings.word_embeddings.weight"].clone()
    state[f"{head}.decoder.bias"] = state[f"{head}.bias"].clone()
    for side in ("text_encoder", "text_decoder.bert"):
        state[f"{side}.embeddings.position_ids"] = torch.arange(PLACES)[None]
    return state


def folder(path: Path, state: Any = None) -> Path:
    path.mkdir(exist_ok=True)
    torch.save({"model": weights() if state is None else state}, path / WEIGHTS)
    (path / VOCABULARY).write_text("\n".join(WORDS) + "\n")
    return path


def picture() -> Image.Image:
    y, x = np.mgrid[:48, :60]
    return Image.fromarray(np.stack([x * 4, y * 5, (x * y) % 256], axis=-1).astype(np.uint8))


QUESTIONS = ("a red cat?", "the Blue cars?", "a red (cat): a blue car!?", "unheard?")
THEIRS = (0.5523648858070374, 0.5493951439857483, 0.5497007966041565, 0.5543153285980225)
"""What the makers' class says, T2I-CompBench 1b70949 with these weights, its three token numbers those of WORDS."""


def test_a_checkpoint_in_the_makers_form_gives_the_makers_probabilities(tmp_path: Path) -> None:
    chances = Blip(folder(tmp_path), "cpu").chances(picture(), QUESTIONS)
    assert chances == pytest.approx(THEIRS, abs=2e-6)
    assert max(chances) - min(chances) > 1e-3


def spoilt(state: dict[str, torch.Tensor], case: str) -> Any:
    if case == "lacking":
        del state["visual_encoder.norm.bias"]
    elif case == "foreign":
        state["text_encoder.pooler.weight"] = torch.zeros(2)
    elif case == "misshapen":
        state["visual_encoder.norm.bias"] = torch.zeros(3)
    elif case == "words":
        for name in [each for each in state if state[each].shape[:1] == (len(WORDS) + 2,)]:
            state[name] = state[name][:-1]
    return {"lists": [1, 2]} if case == "no tensors" else {} if case == "empty" else state


@pytest.mark.parametrize("case", ["lacking", "foreign", "misshapen", "words", "no tensors", "empty"])
def test_a_checkpoint_of_another_form_is_refused(tmp_path: Path, case: str) -> None:
    with pytest.raises(EnvironmentProblem, match=WEIGHTS):
        Blip(folder(tmp_path, spoilt(weights(), case)), "cpu")


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Blip(tmp_path / "none", "cpu")
    with pytest.raises(EnvironmentProblem, match=f"no {WEIGHTS}"):
        Blip(tmp_path, "cpu")
    (folder(tmp_path) / WEIGHTS).write_bytes(b"import os")
    with pytest.raises(EnvironmentProblem, match="plain tensors"):
        Blip(tmp_path, "cpu")


def test_a_question_is_cleaned_as_the_makers_loader_does() -> None:
    assert cleaned('A "red" (cat): #1 *~; OK.!? ') == "a red cat 1  ok?"
    assert cleaned(" ".join(map(str, range(60)))).endswith(" 49")


def test_a_score_rounds_where_the_makers_round() -> None:
    """Three phrases of 0.90004, 0.5 and 0.33336: 0.9000 * 0.5000 * 0.3334 = 0.15003, which is 0.1500."""
    assert product([0.90004, 0.5, 0.33336]) == 0.15
    assert product([0.00004, 1.0]) == 0.0
    assert product([]) == 1.0


def makers(path: Path) -> Path:
    for name, lines in (("color", "a red cat\r\na blue car"), ("shape", "a round cat\ttold"), ("texture", "a cat\n\n")):
        (path / f"{name}_val.txt").write_bytes(lines.encode())
    return path


def seen(*chances: Any) -> Evidence:
    return Evidence("", data={"chances": list(chances), "phrases": ["a thing"] * len(chances)})


def test_the_makers_files_are_read_and_the_mean_is_that_of_the_categories(tmp_path: Path) -> None:
    """Colour has prompts of 0.2 and 0.4, shape one of 0.9, texture one of 0.6: the mean is that of 0.3, 0.9 and 0.6."""
    bench = T2ICompBench(str(makers(tmp_path)))
    prompts = [each.prompt for each in bench.samples()]
    assert prompts == ["a red cat", "a blue car", "a round cat", "a cat"]
    assert bench.image_path(1, bench.samples()[1], 3) == "color/samples/a blue car_000013.png"
    scores = [
        score
        for sample, chance in zip(bench.samples(), (0.2, 0.4, 0.9, 0.6), strict=True)
        for index in range(10)
        for score in bench.score(sample, Prediction(sample.id, index, "image"), seen(chance))
    ]
    metrics = {key: each.value for key, each in bench.aggregate(scores).items()}
    assert metrics == pytest.approx(
        {"blip-vqa/mean": 0.6, "blip-vqa/color": 0.3, "blip-vqa/shape": 0.9, "blip-vqa/texture": 0.6}
    )
    assert not bench.aggregate(scores)["blip-vqa/mean"].absent
    part = bench.aggregate([each for each in scores if each.details["category"] != "shape"])
    assert part["blip-vqa/mean"].value is None
    assert part["blip-vqa/mean (part)"].value == pytest.approx(0.45)
    assert list(part["blip-vqa/mean"].absent) == ["shape"]
    assert T2ICompBench("toy", phrases="spacy").headline == "blip-vqa@spacy/mean"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "a cat", "category": "taste"}, "color, shape, texture"),
        ({"prompt": "a cat/a dog", "category": "color"}, "cannot name a file"),
        ({"prompt": "a " * 150, "category": "color"}, "cannot name a file"),
        ({"prompt": "a cat", "category": "color", "phrases": "a cat"}, "a list of texts"),
        ({"prompt": "a cat", "category": "color", "phrases": [" "]}, "a list of texts"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, row: Any, why: str) -> None:
    (tmp_path / "own.jsonl").write_text(json.dumps(row))
    with pytest.raises(UsageError, match=why):
        T2ICompBench(str(tmp_path / "own.jsonl")).samples()


def test_a_prompt_twice_and_a_folder_without_a_file_are_refused(tmp_path: Path) -> None:
    (makers(tmp_path) / "shape_val.txt").write_text("a red cat")
    with pytest.raises(UsageError, match="stands twice"):
        T2ICompBench(str(tmp_path)).samples()
    (tmp_path / "shape_val.txt").unlink()
    with pytest.raises(UsageError, match=r"no shape_val\.txt"):
        T2ICompBench(str(tmp_path)).samples()


@pytest.mark.parametrize("data", [{}, {"chances": [0.5], "phrases": []}, {"chances": [1.5], "phrases": ["a"]}])
def test_what_blip_did_not_say_is_refused_and_no_verdict_is_no_zero(tmp_path: Path, data: Any) -> None:
    bench = T2ICompBench(str(makers(tmp_path)))
    sample = bench.samples()[0]
    with pytest.raises(UsageError, match="a red cat"):
        bench.score(sample, Prediction(sample.id, kind="image"), Evidence(sample.id, data=data))
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), None)
    assert score.value is None


def test_the_kept_phrases_are_those_of_a_makers_prompt_and_no_other() -> None:
    assert phrases.kept("a green bench and a blue bowl") == ["a green bench", "a blue bowl"]
    with pytest.raises(UsageError, match="column phrases, or say --phrases spacy"):
        phrases.kept("a green bench and a blue bowl.")


def test_without_spacy_its_phrases_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(EnvironmentProblem, match=r"no en_core_web_sm here .*: pip install spacy") as caught:
        phrases.by_spacy()
    assert "\n" not in str(caught.value)


def drawn(path: Path, sample: Sample, shown: Image.Image | None = None) -> Prediction:
    (shown or picture()).save(path / f"{sample.id}.png")
    return Prediction(sample.id, kind="image", image=path / f"{sample.id}.png")


def test_eight_phrases_are_asked_about_and_a_table_s_own_go_first(tmp_path: Path) -> None:
    eyes = BlipVqa(str(folder(tmp_path / "blip")), device="cpu")
    many = Sample("m", "a green bench and a blue bowl", target={"category": "color", "phrases": ["a red cat"] * 9})
    (evidence,) = eyes.observe([(many, drawn(tmp_path, many))])
    assert len(evidence.data["chances"]) == 8 and evidence.data["by"] == "given"
    few = Sample("f", "a green bench and a blue bowl", target={"category": "color"})
    (evidence,) = eyes.observe([(few, drawn(tmp_path, few))])
    assert evidence.data["phrases"] == ["a green bench", "a blue bowl"] and evidence.data["by"] == phrases.KEPT
    (tmp_path / "f.png").write_bytes(b"no picture")
    broken = Prediction("f", kind="image", image=tmp_path / "f.png")
    (evidence, missing) = eyes.observe([(few, broken), (few, Prediction("f", kind="image"))])
    assert (evidence.error or "").startswith("invalid image") and missing.error == "invalid image: there is none"


def test_the_toy_model_tells_right_pictures_from_wrong_ones(tmp_path: Path) -> None:
    sample = Sample("0", "a red cat", target={"category": "color", "phrases": ["a red cat"]})
    right, wrong = (draw(Scene((Thing(thing, color, 2, 2),))) for thing, color in (("cat", "red"), ("car", "blue")))
    eyes = BlipVqa(world="toy")
    chances = [eyes.observe([(sample, drawn(tmp_path, sample, each))])[0].data["chances"][0] for each in (right, wrong)]
    assert chances[0] > 0.5 > chances[1]


def test_a_folder_in_the_makers_naming_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "drawn").mkdir()
    bench = T2ICompBench("toy")
    for position, sample in enumerate(bench.samples()):
        for index in range(2):
            picture().save(tmp_path / "drawn" / Path(bench.image_path(position, sample, index)).name)
    asked = ["score", "-b", "t2i_compbench", "--images", str(tmp_path / "drawn"), "--data", "toy", "--vqa", "toy"]
    cli.main([*asked, "-o", str(tmp_path / "runs"), "--json"])
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert 0 <= metrics["blip-vqa/mean (part)"]["value"] < 0.5


def test_an_endpoint_is_no_blip() -> None:
    with pytest.raises(UsageError, match="expected official, toy or a folder"):
        BlipVqa("openai:gpt-4o")
