"""Optional members are declared in one place, checked when a plugin is made, and filled in where they lack."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from janus_eval.evals import evaluate, members, registry
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from support import echo
from support.site import install, visible
from support.worlds import Eye, Painter, Redness

NEEDED = {
    ("models", "images"): {"folder": "."},
    ("models", "hf"): {"name": "o/n"},
    ("models", "openai"): {"name": "m"},
    ("models", "worker"): {"adapter": str(Path(echo.__file__))},
    ("models", "diffusers"): {"name": "o/n"},
    ("models", "tokenflow-xl"): {"python": sys.executable, "source": "/nowhere", "device": "cpu"},
    ("models", "harmon"): {"python": sys.executable, "source": "/nowhere", "device": "cpu"},
    ("models", "show-o2"): {"python": sys.executable, "source": "/nowhere", "device": "cpu"},
    ("observers", "judge"): {"task": "mm_vet"},
}
"""The options that a plugin cannot be made without."""


def plain(**more: Any) -> Any:
    """Return a minimal model with further class members."""
    base: dict[str, Any] = {"kinds": frozenset(["text"]), "card": {}, "predict": lambda self, jobs: ["" for _ in jobs]}
    return type("Mine", (), {**base, **more})()


def test_defaults_stand_in_for_what_a_plugin_lacks() -> None:
    model, suite, eyes = members.model(plain()), members.benchmark(Redness()), members.observer(Eye())
    assert (model.world, model.independent, model.batch_size([]), list(model.needs())) == ("official", False, 16, [])
    assert (suite.worlds, suite.estimates([])) == ((), None)
    assert suite.image_path(3, suite.samples()[0], 1) == "00003-000/1.png"
    assert (eyes.batch_size, eyes.independent) == (8, False)


def test_own_members_win_and_are_computed_only_when_asked_for() -> None:
    class Lazy(Painter):
        world = "toy"

        @cached_property
        def card(self) -> Any:
            raise AssertionError("nothing is computed by looking")

        def batch_size(self, jobs: Any) -> int:
            return 3

    model = members.model(Lazy())
    assert (model.world, model.batch_size([])) == ("toy", 3)
    with pytest.raises(AssertionError):
        _ = model.card


def test_a_plugin_is_checked_once() -> None:
    whole = members.model(plain())
    assert members.model(whole) is whole


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"kinds": frozenset(["video"])}, "member 'kinds' names 'video'; the kinds are image, edit, text, likelihood"),
        ({"kinds": "text"}, "member 'kinds' is 'text'"),
        ({"kinds": ()}, "member 'kinds'"),
        ({"predict": lambda self: []}, r"member 'predict' is called with \(jobs\)"),
        ({"predict": 3}, "member 'predict' is 3, a method is expected"),
        ({"batch_size": 8}, "member 'batch_size' is 8, a method is expected"),
        ({"batch_size": lambda self: 8}, r"member 'batch_size' is called with \(jobs\)"),
        ({"independent": lambda self: True}, "member 'independent' is a method, a value is expected"),
        ({"close": property(lambda self: None)}, "member 'close' is a property, a method is expected"),
        ({"batchsize": lambda self, jobs: 8}, "member 'batchsize' is nothing that is read; did you mean 'batch_size'"),
        ({"independant": True}, "did you mean 'independent'"),
        ({"image_sise": 64}, "did you mean 'image_size'"),
    ],
)
def test_a_wrong_member_is_one_line_before_anything_is_predicted(
    tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        evaluate(plain(**more), "pope", data="toy", output=tmp_path)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["kinds", "card", "predict"])
def test_a_missing_member_is_named(name: str) -> None:
    base: dict[str, Any] = {"kinds": ["text"], "card": {}, "predict": lambda jobs: []}
    base.pop(name)
    with pytest.raises(UsageError, match=f"the member '{name}' is missing"):
        members.model(SimpleNamespace(**base))


def test_a_proxy_is_taken_for_what_it_hands_on_to(tmp_path: Path) -> None:
    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return getattr(behind, name)

    behind = plain(predict=lambda self, jobs: ["Yes"] * len(jobs))
    assert members.problems("models", Proxy()) == {}
    assert evaluate(Proxy(), "pope", data="toy", limit=2, step=1, output=tmp_path).counts["predicted"] == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (ZeroDivisionError("by nothing"), ZeroDivisionError, "by nothing"),
        (SystemExit(3), RuntimeError, r"ended the process: SystemExit\(3\)"),
    ],
)
def test_an_error_that_is_not_ours_keeps_its_type(
    tmp_path: Path, raised: BaseException, kind: type[Exception], words: str
) -> None:
    def breaks(self: object, jobs: object) -> int:
        raise raised

    with pytest.raises(kind, match=words):
        evaluate(plain(batch_size=breaks), "pope", data="toy", step=1, output=tmp_path)


def test_members_of_ones_own_are_left_alone() -> None:
    assert members.problems("models", plain(batch=3, kind="text", size=4, world_map={}, close_to=1, needsx=2)) == {}


def test_a_card_that_is_no_json_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Mine: its card is no JSON object"):
        evaluate(plain(card={"path": Path()}), "pope", data="toy", output=tmp_path)


@pytest.mark.parametrize("group", ["models", "benchmarks", "observers"])
def test_every_declared_member_says_what_it_is_for(group: str) -> None:
    found = members.members(group)
    assert len({each.name for each in found}) == len(found)
    assert all(len(each.text) > 10 for each in found)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    code = "class Net:\n    kinds = ['text']\n    card = {}\n    def predict(self): pass\n    worlds = 1\n"
    visible(install(tmp_path / "site", "broken", code, models={"broken": "Net", "pope": "Net"}), monkeypatch)
    yield
    registry.forget()


def test_validate_lists_members_and_exits_2_where_one_is_wrong(
    broken: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "broken"]) == 2
    told = capsys.readouterr()
    assert "predict" in told.out and "WRONG" in told.out and "image_size" in told.out
    assert told.err.count("\n") == 1 and "the member 'predict'" in told.err


def test_validate_asks_for_the_group_of_a_name_that_is_in_two(broken: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "pope"]) == 2
    assert "give --group models or benchmarks" in capsys.readouterr().err
    assert main(["validate", "pope", "--group", "benchmarks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == {}


@pytest.mark.parametrize("group", ["models", "benchmarks", "observers"])
def test_every_plugin_of_ours_is_as_it_should_be(group: registry.Group) -> None:
    for name in registry.names(group):
        plugin = registry.create(group, name, **NEEDED.get((group, name), {}))
        assert members.problems(group, plugin) == {}, name
        _leave(plugin)


@pytest.mark.claim("R12")
def test_every_option_of_our_plugins_enters_the_key_or_is_called_inert() -> None:
    # What is inert is named on purpose: a new option that nobody thought of enters the key by itself.
    groups: tuple[registry.Group, ...] = ("models", "benchmarks", "observers")
    for group in groups:
        for name in registry.names(group):
            plugin = registry.create(group, name, **NEEDED.get((group, name), {}))
            known = registry.parameters(group, name)
            inert = {*members._whole(group, plugin, name).inert}
            moving = {*known} - inert - {"offline"}
            moved = {"options", "dtype"} if name == "worker" else {"variant", "task", "name", "per_prompt"}
            assert moving <= moved, (name, moving)
            _leave(plugin)


def _leave(plugin: Any) -> None:
    """End what a plugin has started."""
    if hasattr(type(plugin), "close"):
        plugin.close()


def test_what_is_fetched_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A bundle carries what `assets` names: what a plugin fetches without naming it would be missing elsewhere.
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    fetched: list[str] = []
    for name in registry.names("benchmarks"):
        suite = members.benchmark(registry.create("benchmarks", name, **offline("benchmarks", name)), name)
        try:
            suite.samples()
        except EnvironmentProblem:
            fetched.append(name)
            assert suite.assets(), name
        except UsageError:  # of the user's own data
            continue
    assert {"pope", "geneval2", "geneval_long", "wise", "gedit_bench", "imgedit_bench"} <= {*fetched}
    asked = [
        ("soft-tifa", {}),
        ("vqascore", {}),
        ("judge", {"task": "wise", "judge": "hf:o/n"}),
        ("dpg-vqa", {}),
        ("geneval-detector", {}),
    ]
    for name, options in asked:
        eyes = members.observer(registry.create("observers", name, **options), name)
        assert eyes.needs() and {*eyes.needs()} <= {*eyes.assets()}, name
    for name in ("emu3-gen", "hf", "diffusers", "sd3-medium", "janus-pro-7b", "janusflow-1.3b", "d-dit"):
        options = NEEDED.get(("models", name), {})
        assert members.model(registry.create("models", name, **options), name).assets(), name


def offline(group: registry.Group, name: str) -> dict[str, bool]:
    return {"offline": True} if "offline" in registry.parameters(group, name) else {}
