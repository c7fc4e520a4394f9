"""A model is tried alone, again and beside others: what works, what depends on its batch, what is broken."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from janus_eval.evals import members
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.smoke import smoke
from janus_eval.evals.types import Job
from PIL import Image
from support.chat_server import Service, serving
from support.site import install, visible


class Answering:
    """Answers with what `say` makes of a job and of how many were asked together."""

    card: dict[str, Any] = {}

    def __init__(self, say: Callable[[Job, int], Any], kind: str = "text", **more: Any) -> None:
        self.kinds = frozenset([kind])
        self._say = say
        vars(self).update(more)

    def predict(self, jobs: Sequence[Job]) -> list[Any]:
        return [self._say(job, len(jobs)) for job in jobs]


def found(say: Callable[[Job, int], Any], kind: str = "text", limit: float = 60, **more: Any) -> list[tuple[str, str]]:
    model = members.model(Answering(say, kind, **more))
    return [(each.what, each.state) for each in smoke(model, limit)]


def square(color: int, width: int = 8) -> Image.Image:
    picture = Image.new("L", (width, 8), 255 - color)
    picture.putpixel((1, 1), color)
    return picture


def broken(job: Job, count: int) -> str:
    raise RuntimeError("no such kernel")


def test_a_model_that_repeats_and_does_not_look_beside_it_is_right() -> None:
    assert found(lambda job, count: job.sample.prompt) == [("answer", "ok"), ("answer in a batch", "ok")]
    assert found(lambda job, count: square(job.seed % 100), "image") == [
        ("picture", "ok"),
        ("picture in a batch", "ok"),
    ]
    same = [("likelihoods", "ok"), ("likelihoods in a batch", "ok")]
    assert found(lambda job, count: (-1.5, -2.5), "likelihood") == same


@pytest.mark.parametrize(
    ("kind", "say"),
    [
        ("text", lambda job, count: f"{count} together"),
        ("likelihood", lambda job, count: (-1.0 * count, -2.0)),
        ("image", lambda job, count: square(count)),
        ("image", lambda job, count: square(9, width=7 + count)),
    ],
)
def test_a_model_that_depends_on_its_batch_is_warned_of(kind: str, say: Callable[[Job, int], Any]) -> None:
    assert found(say, kind)[1][1] == "warning"


def test_how_far_pictures_lie_apart_is_told() -> None:
    model = members.model(Answering(lambda job, count: square(count), "image"))
    assert [each.detail for each in smoke(model)][1] == (
        "depends on the batch: 100.00% of the pixels, by 2 of 255 at most; alone it repeats"
    )


def test_a_model_that_never_repeats_fails_unless_it_is_an_endpoint() -> None:
    count = itertools.count()
    assert found(lambda job, _: str(next(count)))[1] == ("answer again", "failed")
    assert found(lambda job, _: str(next(count)), independent=True)[1] == ("answer again", "warning")


@pytest.mark.parametrize(
    ("kind", "say", "state"),
    [
        ("text", broken, "failed"),
        ("text", lambda job, count: 7, "failed"),
        ("text", lambda job, count: " ", "warning"),
        ("likelihood", lambda job, count: (float("nan"), 0.0), "failed"),
        ("image", lambda job, count: Path("/nowhere.png"), "failed"),
        ("image", lambda job, count: Image.new("RGB", (8, 8)), "warning"),
        ("image", lambda job, count: lambda: broken(job, count), "failed"),
    ],
)
def test_what_is_no_output_is_told(kind: str, say: Callable[[Job, int], Any], state: str) -> None:
    assert found(say, kind)[0][1] == state


def test_one_that_fails_only_beside_others_is_told() -> None:
    def say(job: Job, count: int) -> str:
        if count > 1 or (job.sample.id.endswith("0") and say.calls):  # the harness halves a batch that fails
            raise RuntimeError("too many")
        say.calls += 1
        return "yes"

    say.calls = 0
    assert found(say) == [("answer", "ok"), ("answer in a batch", "failed")]


def test_only_what_is_named_is_tried() -> None:
    both = Answering(lambda job, count: "yes")
    both.kinds = frozenset(["text", "likelihood"])
    model = members.model(both)
    assert [each.what for each in smoke(model, kinds=["text"])] == ["answer", "answer in a batch"]


def test_drawings_that_cost_money_are_not_asked_for() -> None:
    asked: list[Job] = []

    def refuse(pictures: int) -> str:
        raise UsageError("what a picture costs is not known")

    for cost in (lambda pictures: "about 0.16 US$", refuse):
        assert found(lambda job, count: asked.append(job), "image", cost=cost) == [("picture", "not tried")]
    assert asked == []


def test_what_would_take_too_long_is_not_begun() -> None:
    def say(job: Job, count: int) -> str:
        time.sleep(0.05)
        return "yes"

    assert found(say, limit=0.06) == [("answer", "ok"), ("answer in a batch", "not tried")]
    assert found(say, limit=-1) == [("answer", "not tried")]


# -- the command --------------------------------------------------------------------------------------


def test_the_command_says_what_a_report_of_a_bug_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "always-yes", "-a", "answer=Certainly not"]) == 0
    out = capsys.readouterr().out
    assert "'Certainly not'" in out and "janus-eval check always-yes -a 'answer=Certainly not'" in out
    assert "check|always-yes|seed:0|limit:all|m.answer:Certainly not|" in out and "python 3." in out
    assert cli.main(["check", "noise-image", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["state"] == "ok" and row["memory"]["process"] > 1e6
    assert [each["what"] for each in row["findings"]] == ["picture", "picture in a batch"]


def test_the_random_toy_model_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "janus-toy", "-a", "weights=random", "-a", "max_new_tokens=2", "--seconds", "600"]) == 0
    out = capsys.readouterr().out
    assert [line.split("  ")[1].strip() for line in out.splitlines()[:6]] == ["ok"] * 6
    assert "64 x 64" in out and "picture in a batch" in out


def test_an_endpoint_is_asked_for_answers_and_for_no_drawing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(Service()) as service:
        secret = service.url.replace("http://", "http://user:hunter2@")
        assert cli.main(["check", "openai:tiny", "--base-url", secret]) == 0
    out = capsys.readouterr().out
    assert {*service.paths} == {"/v1/chat/completions"} and len(service.asked) == 4  # one alone, three together
    assert "not tried: an endpoint may only answer" in out and "'yes'" in out and "hunter2" not in out


def test_exit_codes_tell_a_broken_model_from_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "class M:\n  kinds = ['text']\n  card = {}\n  def predict(self, jobs): raise RuntimeError('no kernel')\n"
    visible(install(tmp_path / "site", "broken", code, models={"broken": "M"}), monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert cli.main(["check", "broken"]) == 3 and "RuntimeError: no kernel" in capsys.readouterr().out
    assert cli.main(["check", "janus-pro-7b", "--offline"]) == 6
    assert cli.main(["check", "always-yes", "-a", "anser=x"]) == 2
    assert cli.main(["check", "alwas-yes"]) == 2
    assert cli.main(["check", "always-yes", "--kinds", "image"]) == 2
    assert cli.main(["check", "always-yes", "--device", "cuda:0,cuda:1"]) == 0  # of several the first is tried
