"""What a service made otherwise than it was asked: another model in the middle, another prompt, another size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import Incomplete
from janus_eval.evals.records import read_record
from janus_eval.evals.stored import Stored
from janus_eval.evals.types import RunRecord
from janus_eval.reports.compare import served
from support.chat_server import Service, serving
from support.images_server import Studio, painting


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key-0123456789abcdef")


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as running:
        yield running


def pope(service: Service, folder: Path, limit: str = "6") -> RunRecord:
    options = {"retries": "0", "timeout": "5", "concurrency": "1"}
    return evaluate(
        "openai:m", "pope", data="toy", limit=limit, output=folder, base_url=service.url, model_options=options
    )


def shown(capsys: pytest.CaptureFixture[str], *line: str, code: int = 0) -> str:
    capsys.readouterr()
    assert cli.main(list(line)) == code
    out = capsys.readouterr()
    return " ".join((out.out + out.err).split())


def test_a_service_that_changes_its_model_in_the_middle_is_named_and_compares_with_nothing(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def reply(body: dict[str, Any]) -> Any:
        return {
            "model": "m-2026-01-01" if len(service.asked) <= 4 else "m-2026-09-09\x1b[31m",
            "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        }

    service.reply = reply
    record = pope(service, tmp_path)
    assert record.counts["other_model"] == 2
    (folder,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in (folder / "predictions" / "0.jsonl").read_text().splitlines()]
    assert [line["served"] for line in lines].count("m-2026-01-01") == 4
    told = shown(capsys, "show", str(folder))
    assert "ANOTHER MODEL: the service changed it in the middle: m-2026-01-01 (4), m-2026-09-09 [31m (2)" in told
    assert "2 made by another model" in shown(capsys, "report", str(folder))
    assert "2 made by another model" in shown(capsys, "compare", str(folder), str(folder))
    told = shown(capsys, "gate", str(folder), "--baseline", str(tmp_path / "b.json"), "--update", code=5)
    assert "changed its model in the middle" in told


def test_one_model_throughout_is_named_and_is_no_other(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = pope(service, tmp_path)
    assert "other_model" not in record.counts and dict(record.served) == {"model": ("served-model-2026-01-01",)}
    (folder,) = tmp_path.iterdir()
    assert "served as: model served-model-2026-01-01" in shown(capsys, "show", str(folder))


def test_two_runs_of_one_name_that_two_models_served_are_not_comparable(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders: list[str] = []
    for name in ("one", "two"):
        service.model = name
        pope(service, tmp_path / name)
        folders.append(str(next((tmp_path / name).iterdir())))
    assert "served.model one two" in shown(capsys, "explain", *folders)
    assert "served.model" in shown(capsys, "compare", *folders)
    baseline = str(tmp_path / "baseline.json")
    shown(capsys, "gate", folders[0], "--baseline", baseline, "--update")
    shown(capsys, "gate", folders[0], "--baseline", baseline)
    assert "served.model was one, is two" in shown(capsys, "gate", folders[1], "--baseline", baseline, code=5)
    told = read_record(Path(folders[0]))
    assert served(told, replace(told, served={})) == {}  # a record of before tells nothing


def test_a_service_that_names_no_model_for_some_is_said(service: Service, tmp_path: Path) -> None:
    service.reply = lambda body: {
        "model": "" if len(service.asked) % 3 else "b",
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
    }
    record = pope(service, tmp_path)
    assert (record.counts["other_model"], record.served["model"]) == (2, ("unnamed", "b"))


@pytest.mark.parametrize("finish", ["abort", "network_error", "SAFETY", "insufficient_system_resource", "sensitive"])
def test_an_answer_that_the_service_left_off_is_none(finish: str, service: Service, tmp_path: Path) -> None:
    service.reply = lambda body: {"choices": [{"message": {"content": "yes, I"}, "finish_reason": finish}]}
    with pytest.raises(Incomplete):
        pope(service, tmp_path, "12")
    (folder,) = tmp_path.iterdir()
    assert not Stored(folder).predictions()


def test_a_grade_that_the_limit_cut_in_the_middle_is_none(service: Service, tmp_path: Path) -> None:
    service.reply = lambda body: {
        "choices": [{"message": {"content": "0." if len(service.asked) % 2 else "0.5"}, "finish_reason": "length"}]
    }
    options = {"judge": "m", "judge_base_url": service.url, "judge_concurrency": "1", "judge_retries": "0"}
    record = evaluate("always-yes", "mm-vet", data="toy", limit="4", output=tmp_path, observer_options=options)
    assert (record.counts["scored"], record.counts["unscored"]) == (2, 2)


def test_a_run_that_goes_on_with_another_model_says_so(service: Service, tmp_path: Path) -> None:
    pope(service, tmp_path, "4")
    service.model = "served-model-2026-02-02"
    record = evaluate(
        *("openai:m", "pope"),
        data="toy",
        limit="6",
        output=tmp_path / "six",
        base_url=service.url,
        model_options={"retries": "0", "timeout": "5"},
    )
    assert "other_model" not in record.counts  # another run: nothing of the first is in it
    (tmp_path / "six").rename(tmp_path / "old")
    (folder,) = (tmp_path / "old").iterdir()
    stream = folder / "predictions" / "0.jsonl"
    stream.write_text("".join(stream.read_text().splitlines(keepends=True)[:2]))
    service.model = "served-model-2026-03-03"
    record = evaluate(
        *("openai:m", "pope"),
        data="toy",
        limit="6",
        output=tmp_path / "old",
        base_url=service.url,
        model_options={"retries": "0", "timeout": "5"},
    )
    assert (record.counts["predicted"], record.counts["other_model"]) == (6, 2)


def test_a_judge_that_changes_in_the_middle_is_named(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.reply = lambda body: {
        "model": "judge-b" if len(service.asked) > 5 else "judge-a",
        "choices": [{"message": {"content": "0.5"}, "finish_reason": "stop"}],
    }
    record = evaluate(
        "always-yes",
        "mm-vet",
        data="toy",
        limit="8",
        output=tmp_path,
        observer_options={"judge": "m", "judge_base_url": service.url, "judge_concurrency": "1"},
    )
    assert record.counts["other_judge"] == 3
    (folder,) = tmp_path.iterdir()
    told = shown(capsys, "show", str(folder))
    assert "ANOTHER JUDGE: the service changed it in the middle: judge-a (5), judge-b (3)" in told
    assert "3 judged by another model" in shown(capsys, "report", str(folder))


@pytest.fixture
def studio() -> Iterator[Studio]:
    with painting(Studio()) as running:
        yield running


def drawn(studio: Studio, tmp_path: Path, **options: str) -> RunRecord:
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"a photo of {n + 10} cats\n" for n in range(3)))
    return evaluate(
        "openai:painter",
        "prompts",
        data=path,
        output=tmp_path / "runs",
        base_url=studio.url,
        model_options={"size": "8x8", "concurrency": "1", **options},
        canary=False,
    )


def test_rewritten_prompts_and_another_size_are_counted_and_said(
    studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studio.revised, studio.draws_as = "a cat, photorealistic", (16, 8)
    record = drawn(studio, tmp_path)
    count = record.counts["predicted"]
    assert (record.counts["rewritten"], record.counts["resized"]) == (count, count)
    (folder,) = (tmp_path / "runs").iterdir()
    told = shown(capsys, "show", str(folder))
    assert f"REWRITTEN: {count} of {count} pictures" in told and f"RESIZED: {count} of {count} pictures" in told
    told = shown(capsys, "report", str(folder))
    assert f"{count} of {count} prompts rewritten" in told and f"{count} of {count} of another size" in told


def test_a_prompt_that_comes_back_and_the_size_that_was_asked_are_not_noted(studio: Studio, tmp_path: Path) -> None:
    record = drawn(studio, tmp_path)
    assert not {"rewritten", "resized", "other_model"} & set(record.counts)


def test_blank_answers_are_scored_as_they_are_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Silent:
        kinds = frozenset(("text",))
        card = {"weights": "w"}

        def predict(self, jobs: Any) -> Any:
            return [" \n\u3164" if job.sample.id.endswith("1") else "yes" for job in jobs]

    record = evaluate(Silent(), "pope", data="toy", output=tmp_path, tag="t")
    blank = record.counts["blank"]
    assert 0 < blank < record.counts["expected"] == record.counts["scored"]
    (folder,) = tmp_path.iterdir()
    assert f"blank={blank}" in shown(capsys, "show", str(folder))
    assert f"{blank} of {record.counts['expected']} answers blank" in shown(capsys, "report", str(folder))
