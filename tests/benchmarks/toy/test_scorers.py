"""The packaged scorers: whole, and right about scenes that they were not trained on."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from janus_eval.benchmarks.dpg_bench.vqa.observer import DpgVqa
from janus_eval.benchmarks.geneval.observer import GenEvalObserver
from janus_eval.benchmarks.toy import weights
from janus_eval.benchmarks.toy.questions import scene
from janus_eval.benchmarks.toy.world import COLOR_NAMES, NAMES, draw, with_article
from janus_eval.evals import evaluate
from janus_eval.evals.errors import EnvironmentProblem
from janus_eval.evals.types import Prediction, Sample


def test_the_detector_names_counts_and_colours_new_scenes(tmp_path: Path) -> None:
    pairs, drawn = [], []
    for number in range(40):
        seen = scene(Random(f"test-scorers/{number}"))
        draw(seen).save(tmp_path / f"{number}.png")
        asked = [{"class": name, "count": 1, "color": "red"} for name in sorted({each.name for each in seen.things})]
        sample = Sample(str(number), "", target={"tag": "color_attr", "include": asked, "prompt": ""})
        pairs.append((sample, Prediction(str(number), 0, "image", image=tmp_path / f"{number}.png")))
        drawn.append(sorted((thing.name, thing.color) for thing in seen.things))
    right = 0
    for things, evidence in zip(drawn, GenEvalObserver(world="toy", device="cpu").observe(pairs), strict=True):
        boxes, colors = evidence.data["boxes"], evidence.data["colors"]
        sure = {name: sum(box[4] > 0.3 for box in rows) for name, rows in boxes.items()}
        right += sorted((name, each) for name, count in sure.items() for each in colors.get(name, [])[:count]) == things
    assert right >= 37


def test_the_vqa_model_answers_about_new_scenes() -> None:
    scenes = [scene(Random(f"test-scorers/{number}")) for number in range(20)]
    asked: list[list[tuple[str, str]]] = []
    for seen in scenes:
        thing = seen.things[0]
        absent = next(name for name in NAMES if not seen.count(name))
        other = next(color for color in COLOR_NAMES if all(color != each.color for each in seen.things))
        asked.append([(f"Is there {with_article(thing.name)}?", "yes"), (f"Is there {with_article(absent)}?", "no")])
        if seen.count(thing.name) == 1:
            asked[-1] += [(f"Is the {thing.name} {thing.color}?", "yes"), (f"Is the {thing.name} {other}?", "no")]
    said = DpgVqa("toy", device="cpu").ask(
        [draw(seen) for seen in scenes], [[text for text, _ in row] for row in asked]
    )
    right = [
        reply == wanted
        for row, replies in zip(asked, said, strict=True)
        for (_, wanted), (reply, _) in zip(row, replies, strict=True)
    ]
    assert sum(right) / len(right) >= 0.95


@pytest.mark.parametrize("name", weights.DIGESTS)
def test_packaged_weights_are_those_that_were_trained(name: str) -> None:
    assert (weights.packaged(name) / "model.safetensors").stat().st_size < 10_000_000


@pytest.mark.parametrize("name", weights.DIGESTS)
def test_a_damaged_or_missing_file_is_named_with_the_digest_that_was_expected(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the weights only: without its settings or with another vocabulary a scorer gives other scores."""
    for number, file in enumerate(sorted(each.name for each in (weights.ROOT / name).iterdir())):
        place = shutil.copytree(weights.ROOT / name, tmp_path / str(number) / name) / file
        content = place.read_bytes()
        with monkeypatch.context() as patched:
            patched.setattr(weights, "ROOT", tmp_path / str(number))
            place.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            with pytest.raises(
                EnvironmentProblem, match=rf"/{file} is damaged.*expected SHA-256 \w{{64}}, found \w{{64}};"
            ):
                weights.packaged(name)
            place.unlink()
            with pytest.raises(EnvironmentProblem, match=rf"/{file} is damaged.*found no such file.*install"):
                weights.packaged(name)
            place.write_bytes(content)
            assert weights.packaged(name) == place.parent


@pytest.mark.parametrize("suite, name", [("geneval", "detector"), ("geneval", "clip"), ("dpg_bench", "vqa")])
@pytest.mark.claim("R15")
def test_a_damaged_scorer_stops_a_run_before_its_first_picture(
    suite: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(weights.ROOT, tmp_path / "weights")
    (tmp_path / "weights" / name / "model.safetensors").write_bytes(b"cut short")
    monkeypatch.setattr(weights, "ROOT", tmp_path / "weights")
    with pytest.raises(EnvironmentProblem, match="is damaged or missing"):
        evaluate("janus-toy", suite, output=tmp_path / "runs", limit="1")
    assert not list((tmp_path / "runs").rglob("*.png"))
