"""What a service refuses to give: an outcome of its own, kept with its reason, asked for once, never a zero."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.commands import cli
from janus_eval.evals.stored import Stored
from janus_eval.evals.types import Drawn, Job, Refusal, RunRecord
from janus_eval.reports import standing
from PIL import Image


class Prudish:
    """Draws red squares, but not the first sample's first picture as long as it `refuses`."""

    kinds = frozenset(("image",))
    card = {"weights": "prudish"}
    independent = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.refuses = True

    def predict(self, jobs: Sequence[Job]) -> Sequence[Any]:
        self.asked += [(job.sample.id, job.index) for job in jobs]
        no = Refusal("moderation_blocked", "a red thing")
        red = Image.new("RGB", (8, 8), "red")
        return [no if self.refuses and job.sample.prompt.endswith("gold") and job.index == 0 else red for job in jobs]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.tsv"
    path.write_text("id\tprompt\na\ta cup of gold\nb\ta dog\n")
    return path


def drawn(model: Prudish, prompts: Path, **options: Any) -> RunRecord:
    return evaluate(model, "prompts", data=prompts, output=prompts.parent / "runs", **options)


@pytest.mark.claim("R8")
def test_a_refusal_is_no_verdict_of_its_own_kind(prompts: Path) -> None:
    record = drawn(Prudish(), prompts, max_errors=0)
    assert {name: record.counts[name] for name in ("expected", "predicted", "refused", "unscored", "errors")} == {
        "expected": 2,
        "predicted": 2,
        "refused": 1,
        "unscored": 1,
        "errors": 0,
    }
    assert not record.complete and record.missing == ()
    whole, part = record.metrics["drawn/pictures"], record.metrics["drawn/pictures (part)"]
    assert (whole.value, whole.absent, part.value) == (None, ("1 refused",), 1)
    assert standing.marks(record)[-1] == "1 refused"


def test_a_refusal_is_asked_for_once_and_again_where_that_is_asked_for(prompts: Path) -> None:
    model = Prudish()
    for _ in range(3):
        drawn(model, prompts)
    assert model.asked == [("b", 0), ("a", 0)]
    assert drawn(model, prompts, ask_refused=True).counts["refused"] == 1
    assert model.asked[2:] == [("a", 0)]
    model.refuses = False
    assert drawn(model, prompts, ask_refused=True).complete
    model.asked.clear()
    assert drawn(model, prompts).complete and model.asked == []


def test_the_number_beside_refusals_is_kept_where_that_is_asked_for(
    prompts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = drawn(Prudish(), prompts, allow_unscored=True)
    assert record.metrics["drawn/pictures"].value == 1 and record.metrics["drawn/pictures"].absent == ("1 refused",)
    (folder,) = (prompts.parent / "runs").iterdir()
    cli.main(["show", str(folder)])
    told = capsys.readouterr().out
    assert "1 refused by the service; drawn/pictures is over the rest; --ask-refused asks for them again" in told
    assert "refused: moderation_blocked: a red thing" in told
    assert cli.main(["show", str(folder), "--id", "a"]) == 0
    assert "moderation_blocked: a red thing" in capsys.readouterr().out


def test_a_refusal_lies_on_disk_with_its_reason(prompts: Path) -> None:
    drawn(Prudish(), prompts)
    (folder,) = (prompts.parent / "runs").iterdir()
    kept = {each.sample_id: each for each in Stored(folder).predictions().values()}
    assert (kept["a"].refused, kept["a"].image) == ("moderation_blocked: a red thing", None)
    assert kept["b"].refused == "" and kept["b"].image is not None


class Named(Prudish):
    """As `Prudish`, behind a service that says which model drew."""

    def predict(self, jobs: Sequence[Job]) -> Sequence[Any]:
        return [each if isinstance(each, Refusal) else Drawn(each, served="m") for each in super().predict(jobs)]


def test_a_refusal_names_no_model_and_is_of_no_other(prompts: Path) -> None:
    record = drawn(Named(), prompts)
    assert (record.counts["refused"], record.served) == (1, {"model": ("m",)})
    assert "other_model" not in record.counts
