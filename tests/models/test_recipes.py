"""Recipes of pipelines that draw: the model cards' knobs, on tiny pipelines of each real class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.models.systems import drawers, systems
from support.drawings import JOBS, adapter, draw, hold_own_seed_and_prompt
from support.tiny_drawers import save_drawer

RECIPES = {short: each.recipe for short, each in drawers().items() if each.recipe}
PLAIN = {recipe.pipeline: short for short, recipe in RECIPES.items() if not recipe.needs}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("drawers")
    for kind in PLAIN:
        save_drawer(kind, made / kind)
    return {kind: made / kind for kind in PLAIN}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_picture_depends_on_its_own_seed_and_prompt_alone(folders: dict[str, Path], kind: str) -> None:
    hold_own_seed_and_prompt(adapter(PLAIN[kind], kind, folders[kind]))


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
