"""D-DiT: a tiny pipeline in the public one's files, drawn and asked through the registered name."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from janus_eval.evals.types import Job, Picture, Sample
from PIL import Image
from support.dual_folders import save_dual

QUICK = {"device": "cpu", "steps": "2", "answer_steps": "6", "size": "32", "length": "40"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dual") / "pipeline"
    save_dual(made)
    return made


def picture() -> Picture:
    data = io.BytesIO()
    levels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(levels).save(data, "PNG")
    return Picture("p", data.getvalue)


def drawing(prompt: str, seed: int) -> Job:
    return Job(Sample(f"d{seed}", prompt), "image", 0, seed)


def question(text: str, seed: int, pictures: int = 1) -> Job:
    return Job(Sample(f"q{seed}", text, (picture(),) * pictures), "text", 0, seed)


JOBS = [
    drawing("a red cat", 3),
    drawing("a dog on the moon", 2**62 + 5),
    question("is there a cat", 7),
    question("what", 9),
]


def outputs(folder: Path, jobs: list[Job], **options: str) -> list[Any]:
    adapter = registry.create("models", "d-dit", path=str(folder), **{**QUICK, **options})
    return [np.asarray(each).astype(int) if isinstance(each, Image.Image) else each for each in adapter.predict(jobs)]


def test_an_output_depends_on_its_own_seed_and_prompt_alone(folder: Path) -> None:
    together = outputs(folder, JOBS)
    alone = [outputs(folder, [job])[0] for job in JOBS]
    assert together[0].shape == (32, 32, 3)
    assert all(abs(one - other).max() <= 1 for one, other in zip(together[:2], alone[:2], strict=True))
    assert together[2:] == alone[2:]
    assert abs(together[0] - outputs(folder, [drawing("a red cat", 4)])[0]).max() > 5
    assert together[2] != outputs(folder, [question("is there a cat", 8)])[0]


def test_the_pipeline_s_way_keeps_the_end_token_and_has_a_card_of_its_own(folder: Path) -> None:
    cards = [
        registry.create("models", "d-dit", path=str(folder), device="cpu", protocol=each).card
        for each in ("script", "pipeline")
    ]
    assert [card["answer_steps"] for card in cards] == [32, 64]
    assert cards[0]["protocol"] == "script"
    from janus_eval.models.dual_diffusion.texts import Texts

    texts = Texts(folder / "tokenizer")
    asked = [texts.asked("is there", way, 40).ids for way in ("script", "pipeline")]
    assert asked[1] == (*asked[0], texts.end)
    first = texts.asked("is", "script", 40)
    assert texts.answer(first, [*first.ids, *texts._ids("red"), texts.end, texts.mask]).text == "red"


@pytest.mark.parametrize("fault", ["missing", "unexpected", "shape", "cut"])
def test_a_folder_that_is_not_whole_is_one_line(folder: Path, tmp_path: Path, fault: str) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / "transformer" / "diffusion_pytorch_model.safetensors"
    table = load_file(path)
    if fault == "missing":
        table.pop("text_proj_out.bias")
    elif fault == "unexpected":
        table["proj_out.bias"] = table["text_proj_out.bias"].clone()
    else:
        table["text_proj_out.bias"] = table["text_proj_out.bias"][:-1].clone()
    save_file(table, path)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EnvironmentProblem) as caught:
        outputs(copy, JOBS)
    assert "\n" not in str(caught.value)


def test_questions_that_cannot_be_asked_are_refused(folder: Path, tmp_path: Path) -> None:
    for jobs in ([question("is", 1, pictures=2)], [question("is " * 60, 1)]):
        with pytest.raises(JanusEvalError, match="sample 'q1'"):
            outputs(folder, jobs)
    with pytest.raises(UsageError, match="multiples of 4"):
        outputs(folder, JOBS, size="31")
    with pytest.raises(UsageError, match="no pipeline at"):
        outputs(tmp_path, JOBS)


def test_the_mask_s_embedding_and_the_posterior_move_answers_and_card(folder: Path, tmp_path: Path) -> None:
    import torch
    from janus_eval.models.dual_diffusion.texts import Texts
    from safetensors.torch import load_file

    path = tmp_path / "mask.pth"
    own = load_file(folder / "text_encoder" / "model.safetensors")["shared.weight"][Texts(folder / "tokenizer").mask]
    torch.save(own.flip(0) * 5, path)
    plain = outputs(folder, JOBS[2:])
    for knob in ({"mask_embedding": str(path)}, {"posterior": "mean"}):
        assert outputs(folder, JOBS[2:], **knob) != plain
        cards = [registry.create("models", "d-dit", path=str(folder), device="cpu", **each).card for each in ({}, knob)]
        assert [key for key in cards[0] if cards[0][key] != cards[1][key]] == list(knob)
    torch.save(own.clone(), path)
    with pytest.raises(UsageError, match="already: leave mask_embedding out"):
        outputs(folder, JOBS, mask_embedding=str(path))
    path.write_bytes(b"no tensor")
    with pytest.raises(EnvironmentProblem) as caught:
        outputs(folder, JOBS, mask_embedding=str(path))
    assert "\n" not in str(caught.value)


def run_of(folder: Path, out: Path, *given: str) -> tuple[Path, dict[str, int]]:
    """Return the folder and the counts of a limited run of a toy suite."""
    options = [x for k, v in {**QUICK, "length": "128", "path": folder}.items() for x in ("-a", f"{k}={v}")]
    assert main(["run", "-m", "d-dit", *given, "--data", "toy", "--limit", "2", "-o", str(out), *options]) == 0
    (run,) = out.glob("d-dit--*")
    return run, json.loads((run / "record.json").read_text())["counts"]


def test_a_run_of_questions(folder: Path, tmp_path: Path) -> None:
    run, counts = run_of(folder, tmp_path, "-b", "pope")
    assert (counts["predicted"], counts["scored"], counts["errors"]) == (2, 2, 0)
    rows = [json.loads(row) for row in (run / "predictions" / "0.jsonl").read_text().splitlines()]
    assert len({row["text"] for row in rows}) == 2
    assert {row["finish"] for row in rows} <= {"stop", "length"}


def test_a_run_of_drawings(folder: Path, tmp_path: Path) -> None:
    run, counts = run_of(folder, tmp_path, "-b", "geneval", "--detector", "toy", "--clip", "toy")
    assert (counts["predicted"], counts["scored"], counts["errors"]) == (8, 8, 0)
    pictures = [path.read_bytes() for path in (run / "images").glob("*/samples/*.png")]
    assert [Image.open(io.BytesIO(each)).size for each in pictures] == [(32, 32)] * 8
    assert len(set(pictures)) == 8
