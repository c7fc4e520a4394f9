"""Vision-language families and pipelines whose processors need torchvision: `tox -e vision`.

Each on a tiny random checkpoint of its real class, loaded from a folder through the registered name.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands import doctor
from janus_eval.evals.types import Job, Picture, Sample
from janus_eval.models.editing import kinds_of
from janus_eval.models.packages import lacking
from janus_eval.models.prefixes import FAMILIES, shares
from janus_eval.models.systems import drawers
from PIL import Image
from support.drawings import adapter, hold_own_seed_and_prompt, hold_own_source_and_prompt
from support.tiny_drawers import save_drawer
from support.tiny_families import MAKERS, save_family

NEEDING = {
    each.recipe.pipeline: short
    for short, each in drawers().items()
    if each.recipe and "torchvision" in each.recipe.needs
}


def picture(seed: int, size: tuple[int, int]) -> Picture:
    data = io.BytesIO()
    levels = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC).save(data, "PNG")
    return Picture(f"{seed}.png", data.getvalue)


def job(name: str, prompt: str, *pictures: Picture) -> Job:
    return Job(Sample(name, prompt, images=pictures), "text", 0, 1)


JOBS = [
    job("a", "\nwhat is this ?", picture(1, (40, 30))),
    job("b", "\nis this a photo of the red cat ? yes no one two", picture(2, (64, 20))),
    job("c", "yes", picture(3, (20, 90))),
    job("d", "what is this ? one two", picture(1, (40, 30)), picture(2, (64, 20))),
    job("e", "no picture"),
]


@pytest.fixture(scope="module", params=MAKERS)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("family") / request.param
    save_family(request.param, folder)
    return folder


def model(folder: Path) -> Any:
    return registry.create("models", f"hf:{folder}", device="cpu", max_new_tokens="8")


def test_a_batch_gives_the_answers_that_single_questions_give(family: Path) -> None:
    asked = model(family)
    alone = [asked.predict([each])[0] for each in JOBS]
    assert asked.predict(JOBS) == alone
    assert asked.predict(JOBS[::-1])[::-1] == alone
    assert len({each.text for each in alone}) >= len(alone) - 1


SEEN = picture(1, (40, 30)), picture(2, (64, 20))
ABOUT_ONE = [
    job("1", "what is this ?", SEEN[0]),
    job("2", "is this a photo of the red cat ? yes no one two", SEEN[0]),
    job("3", "yes", SEEN[0]),
    job("4", "what is this ? one two", *SEEN),
    job("5", "no", *SEEN),
    job("6", "is this the dog", SEEN[1]),
]


def test_questions_about_one_picture_read_it_once_where_the_family_allows(family: Path) -> None:
    asked = model(family)
    alone = [asked.predict([each])[0] for each in ABOUT_ONE]
    network = asked._loaded.model
    assert shares(network) == (network.config.model_type in FAMILIES) == (family.name not in ("Gemma 3", "Emu3"))
    read = [len(each.places) for each in asked._read(ABOUT_ONE) if each.rests]
    assert read == ([3, 2] if shares(network) else [])
    assert asked.predict(ABOUT_ONE) == alone
    assert asked.predict(ABOUT_ONE[::-1])[::-1] == alone


def test_the_answer_depends_on_the_picture(family: Path) -> None:
    answers = model(family).predict([job("a", "what ?", picture(seed, (40, 30))) for seed in (1, 2, 3, 4)])
    assert len({each.text for each in answers}) > 1


def test_the_card_names_what_reads_the_pictures(family: Path) -> None:
    assert str(model(family).card["pictures"]).endswith("ImageProcessor")  # torchvision's; PIL's end in Pil


@pytest.mark.parametrize("kind", [kind for kind in NEEDING if "image" in kinds_of(kind)])
def test_a_picture_depends_on_its_own_seed_and_prompt_alone(kind: str, tmp_path: Path) -> None:
    save_drawer(kind, tmp_path / kind)
    hold_own_seed_and_prompt(adapter(NEEDING[kind], kind, tmp_path / kind))


@pytest.mark.parametrize("kind", [kind for kind in NEEDING if "edit" in kinds_of(kind)])
def test_an_edit_depends_on_its_own_source_instruction_and_seed_alone(tmp_path: Path, kind: str) -> None:
    save_drawer(kind, tmp_path / kind)
    hold_own_source_and_prompt(adapter(NEEDING[kind], kind, tmp_path / kind))


def test_nothing_is_lacking_here_and_the_doctor_says_so() -> None:
    assert lacking() == ""
    assert {row["what"]: row["state"] for row in doctor.examine()}["processors"] == "ok"
