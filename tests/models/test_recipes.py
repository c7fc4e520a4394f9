"""Recipes of pipelines that draw: the model cards' knobs, on tiny pipelines of each real class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from janus_eval.models.editing import kinds_of, size
from janus_eval.models.systems import drawers, systems
from PIL import Image
from support.drawings import JOBS, adapter, draw, edit, hold_own_seed_and_prompt, hold_own_source_and_prompt
from support.tiny_drawers import save_drawer

RECIPES = {short: each.recipe for short, each in drawers().items() if each.recipe}
PLAIN = {recipe.pipeline: short for short, recipe in RECIPES.items() if not recipe.needs}
DRAWERS = [kind for kind in PLAIN if "image" in kinds_of(kind)]
EDITORS = [kind for kind in PLAIN if "edit" in kinds_of(kind)]
SMALL = {"FluxKontextPipeline": '{"_auto_resize": false}'}
"""What a tiny pipeline needs so that it does not resize its source to a megapixel."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("drawers")
    for kind in PLAIN:
        save_drawer(kind, made / kind)
    return {kind: made / kind for kind in PLAIN}


@pytest.mark.parametrize("kind", DRAWERS)
def test_a_picture_depends_on_its_own_seed_and_prompt_alone(folders: dict[str, Path], kind: str) -> None:
    hold_own_seed_and_prompt(adapter(PLAIN[kind], kind, folders[kind]))


@pytest.mark.parametrize("kind", EDITORS)
def test_an_edit_depends_on_its_own_source_instruction_and_seed_alone(folders: dict[str, Path], kind: str) -> None:
    hold_own_source_and_prompt(adapter(PLAIN[kind], kind, folders[kind], extra=SMALL.get(kind, "{}")))


def test_sources_that_an_editor_does_not_take_are_their_samples_error(folders: dict[str, Path]) -> None:
    model = adapter("flux.1-kontext-dev", "", folders["FluxKontextPipeline"], extra=SMALL["FluxKontextPipeline"])
    for count, told in ((0, "has 0 pictures"), (2, "has 2 pictures to edit: a FluxKontextPipeline takes 1$")):
        with pytest.raises(JanusEvalError, match=told):
            model.predict([edit("red", count=count)])


def test_what_a_class_gives_is_known_before_anything_is_loaded(folders: dict[str, Path]) -> None:
    given = {
        "flux.1-kontext-dev": {"edit"},
        "omnigen": {"image", "edit"},
        "qwen-image-edit": {"edit"},
        "flux.2-klein-4b": {"image", "edit"},
        "sd3.5-large": {"image"},
        "ORG/NAME": {"image"},
        str(folders["FluxKontextPipeline"]): {"edit"},
    }
    assert {name: {*registry.create("models", f"diffusers:{name}").kinds} for name in given} == given


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [((1000, 1000), 1024, (1024, 1024)), ((1920, 1080), 1024, (1376, 768)), ((10, 3000), 64, (32, 1120))],
)
def test_an_edit_has_its_source_s_shape(shape: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert size(Image.new("RGB", shape), side) == expected


def test_a_recipe_is_the_card_s_under_its_short_name_and_its_repository(folders: dict[str, Path]) -> None:
    folder = str(folders["QwenImagePipeline"])
    cards = [
        registry.create("models", f"diffusers:{name}", path=folder, device="cpu").card
        for name in ("qwen-image", "Qwen/Qwen-Image")
    ]
    assert cards[0] == cards[1]
    told = {key: cards[0][key] for key in ("steps", "size", "negative_prompt", "extra")}
    assert told == {"steps": 50, "size": 1328, "negative_prompt": " ", "extra": {"true_cfg_scale": 4.0}}
    own = registry.create("models", "diffusers:qwen-image", path=folder, device="cpu", recipe="pipeline").card
    assert (own["steps"], own["size"], "extra" in own) == ("pipeline", "pipeline", False)


def test_what_is_given_wins_and_moves_the_picture(folders: dict[str, Path]) -> None:
    kind = "QwenImagePipeline"
    plain = draw(adapter("qwen-image", kind, folders[kind]), JOBS[:1])[0]
    given = adapter("qwen-image", kind, folders[kind], extra='{"true_cfg_scale": 9}')
    assert given.card["extra"] == {"true_cfg_scale": 9}
    assert abs(draw(given, JOBS[:1])[0] - plain).max() > 0


def test_every_recipe_names_a_class_of_the_library_and_arguments_that_it_takes() -> None:
    import inspect

    import diffusers

    for short, recipe in RECIPES.items():
        taken = inspect.signature(getattr(diffusers, recipe.pipeline).__call__).parameters
        asked = {*recipe.extra, "num_inference_steps", "height", "generator"}
        asked |= {"guidance_scale"} if recipe.guidance is not None else set()
        asked |= {"negative_prompt"} if recipe.negative_prompt is not None else set()
        assert asked <= taken.keys(), short
    assert all(each.origin for each in systems() if each.recipe)


def test_a_folder_of_another_class_and_an_unknown_argument_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=r"recipe is for a QwenImagePipeline.*recipe=pipeline"):
        draw(adapter("qwen-image", "", folders["FluxPipeline"]), JOBS[:1])
    with pytest.raises(UsageError, match="has no guidence"):
        draw(adapter("flux.1-dev", "", folders["FluxPipeline"], extra='{"guidence": 1}'), JOBS[:1])
    for wrong in ("{", "[1]"):
        with pytest.raises(UsageError, match="extra="):
            adapter("flux.1-dev", "", folders["FluxPipeline"], extra=wrong)


def test_a_name_without_a_recipe_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'qwen-image'"):
        registry.create("models", "diffusers:qwen-imge")
    with pytest.raises(UsageError, match=r"no recipe; known: .*sd3\.5-large"):
        registry.create("models", "diffusers:zzzzz")


def test_a_pipeline_that_needs_torchvision_says_so_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from janus_eval.models import packages

    monkeypatch.setattr(packages, "installed", {"torch": "2.13.0+cpu"}.get)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "OmniGenPipeline"}))
    told = r'no torchvision: uv pip install --torch-backend=cpu "torchvision==0\.28\.\*"$'
    with pytest.raises(EnvironmentProblem, match=told):
        _ = adapter("omnigen", "", tmp_path).card
