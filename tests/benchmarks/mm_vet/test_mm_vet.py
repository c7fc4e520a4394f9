"""MM-Vet: capabilities, runs, grades from files and from a judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.mm_vet.benchmark import MmVet
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.files import seal
from support.chat_server import Fault, Service, serving
from support.predictions import lines, part, value, write


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with serving(Service(reply=lambda body: "0.5")) as running:
        yield running


def vet_rows() -> list[dict[str, Any]]:
    return [
        {"id": "v1", "capability": ["rec"], "question": "q", "answer": "a", "response": "x"},
        {"id": "v2", "capability": "ocr,rec", "question": "q", "answer": "b", "response": "y"},
    ]


def test_mm_vet_by_capability_with_std_over_runs(tmp_path: Path) -> None:
    rows = [{**row, "grades": grades} for row, grades in zip(vet_rows(), ([1.0, 0.8], [0.2, 0.0]), strict=True)]
    scored = MmVet().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert part(scored, "official/total") == pytest.approx(50)  # runs: 60 and 40
    assert part(scored, "official/std") == pytest.approx(10)
    assert value(scored, "official/ocr") == pytest.approx(10)
    assert value(scored, "official/set_ocr_rec") == pytest.approx(10)
    assert lines(scored)[1]["correct"]["official"] == pytest.approx(0.1)


def test_mm_vet_reads_the_official_tools_files(tmp_path: Path) -> None:
    (tmp_path / "mm-vet.json").write_text(json.dumps({r["id"]: {**r, "imagename": "a.png"} for r in vet_rows()}))
    (tmp_path / "answers.json").write_text(json.dumps({"v1": "x", "v2": "y"}))
    (tmp_path / "grades.json").write_text(json.dumps({"v1": {"score": [1.0]}, "v2": {"score": [0.5]}}))
    data = tmp_path / "mm-vet.json"
    scored = MmVet().rescore(predictions=tmp_path / "answers.json", grades=tmp_path / "grades.json", data=data)
    assert part(scored, "official/total") == 75
    assert part(MmVet().rescore(predictions=tmp_path / "grades.json", data=data), "official/total") == 75


def test_a_grade_that_is_missing_withholds_the_total(tmp_path: Path) -> None:
    rows = [{**vet_rows()[0], "grades": [1.0]}, {**vet_rows()[1], "grades": [None]}]
    path = write(tmp_path / "p.jsonl", *rows)
    scored = MmVet().rescore(predictions=path)
    assert (scored.unscored, value(scored, "official/total")) == (1, None)
    assert value(MmVet().rescore(predictions=path, allow_unscored=True), "official/total") == 100


@pytest.mark.parametrize(("grades", "message"), [([1.5], "0 to 1"), (["0.5"], "0 to 1"), ([0.1, 0.2], "1 grades")])
def test_a_grade_that_is_none_is_named(tmp_path: Path, grades: list[Any], message: str) -> None:
    rows = [{**vet_rows()[0], "grades": [1.0]}, {**vet_rows()[1], "grades": grades}]
    with pytest.raises(UsageError, match=f"p.jsonl line 2: column 'grades' .*{message}"):
        MmVet().rescore(predictions=write(tmp_path / "p.jsonl", *rows))


@pytest.mark.parametrize(
    ("content", "grade", "told"),
    [
        (["1.0"], [0.9], "1.0, which its content says"),
        (["0.0 because"], [1], "0.0, which its content says"),
        (["no grade"], [0.5], "0.0, which its content says"),
        (["1.0", "1.0"], [1.0], "1 replies, one a grade"),
        ("0.0", 1.0, "0.0, which its content says"),
    ],
)
def test_a_grade_that_is_not_what_the_grader_said_is_named(tmp_path: Path, content: Any, grade: Any, told: str) -> None:
    grades = {"v1": {"content": ["0.8"], "score": [0.8]}, "v2": {"content": content, "score": grade}}
    (tmp_path / "g.json").write_text(json.dumps(grades))
    data = write(tmp_path / "data.jsonl", *vet_rows())
    with pytest.raises(UsageError, match=rf"g\.json line 2: .*{told}"):
        MmVet().rescore(predictions=tmp_path / "g.json", data=data)


def test_an_unreadable_reply_keeps_the_official_grade_of_zero(tmp_path: Path) -> None:
    grades = {"v1": {"content": ["0.8"], "score": [0.8]}, "v2": {"content": ["no"], "score": [0.0]}}
    (tmp_path / "g.json").write_text(json.dumps(grades))
    data = write(tmp_path / "data.jsonl", *vet_rows())
    scored = MmVet().rescore(predictions=tmp_path / "g.json", data=data)
    assert part(scored, "official/total") == 40 and scored.extra["grades_unread"].startswith("1 grades are 0")


def test_a_file_of_grades_says_who_gave_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grades = {key: {"model": [name], "content": ["0.8"], "score": [0.8]} for key, name in (("v1", "a"), ("v2", "b"))}
    (tmp_path / "g.json").write_text(json.dumps(grades))
    answers = write(tmp_path / "p.jsonl", *vet_rows())
    assert main(["score", "-b", "mm_vet", str(answers), "--grades", str(tmp_path / "g.json"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["judged_by"] == {"a": 1, "b": 1} and "changed the judge" in said.err


def test_answers_without_grades_or_judge_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--judge MODEL"):
        MmVet().rescore(predictions=write(tmp_path / "p.jsonl", *vet_rows()))


def test_a_judges_replies_are_kept_and_replayed(tmp_path: Path, service: Service) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    first = MmVet().rescore(predictions=path, **options)
    asked = len(service.asked)
    assert part(first, "official/total") == 50
    assert asked == 2
    assert MmVet().rescore(predictions=path, **options).metrics == first.metrics
    assert len(service.asked) == asked
    assert "served-model" in (tmp_path / "p.jsonl.judge.jsonl").read_text()


def test_a_failed_judgement_is_unscored_and_asked_again(tmp_path: Path, service: Service) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    service.faults = [Fault(400)]
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    scored = MmVet().rescore(predictions=path, **options, judge_concurrency=1)
    assert (scored.unscored, value(scored, "official/total")) == (1, None)
    assert part(MmVet().rescore(predictions=path, **options), "official/total") == 50


def test_a_half_written_reply_is_asked_for_again(tmp_path: Path, service: Service) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    MmVet().rescore(predictions=path, **options)
    kept = tmp_path / "p.jsonl.judge.jsonl"
    kept.write_bytes(kept.read_bytes()[:-20])
    for _ in range(2):
        assert part(MmVet().rescore(predictions=path, **options), "official/total") == 50
        assert len(service.asked) == 3


def test_a_kept_reply_that_was_changed_is_asked_for_again(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    MmVet().rescore(predictions=path, **options)
    kept = tmp_path / "p.jsonl.judge.jsonl"
    for old, new in ((b'"value":0', b'"value":1'), (b'"reply"', b'"reply\xff"'), (b'{"sum"', b'{"some"')):
        asked = len(service.asked)
        assert old in kept.read_bytes()
        kept.write_bytes(kept.read_bytes().replace(old, new))
        assert part(MmVet().rescore(predictions=path, **options), "official/total") == 50
        assert len(service.asked) > asked and "lines are half-written, or were changed since" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"value": 0.5', '"value": 0.9', "its value is 0.9, and its reply says 0.5"),
        ('"value": 0.5', '"value": 7.5', "its value is 7.5"),
        ('"reply": "0.5"', '"reply": "0.9"', "its reply says 0.9"),
        ('"prompt_sha256": "', '"prompt_sha256": "0', "asked something else"),
        ('"temperature": 0.0', '"temperature": 2.0', "another temperature"),
        ('"task": "mm_vet"', '"task": "judge"', "of the task 'judge'"),
        ('"judge": "gpt-x"', '"judge": "gpt-3"', "of the judge 'gpt-3'"),
    ],
)
def test_a_kept_judgement_that_its_reply_does_not_say_is_asked_again(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    MmVet().rescore(predictions=path, **options)
    rewritten(tmp_path / "p.jsonl.judge.jsonl", old, new)
    assert part(MmVet().rescore(predictions=path, **options), "official/total") == 50
    assert len(service.asked) == 4 and told in capsys.readouterr().err


def rewritten(kept: Path, old: str, new: str, *, beside: bool = False) -> None:
    """Edit each kept line and seal it again; `beside`: as a further line."""
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    texts = [json.dumps({key: value for key, value in row.items() if key != "sum"}) for row in rows]
    assert all(old in each for each in texts)
    again = "".join(seal(json.loads(each.replace(old, new))) + "\n" for each in texts)
    kept.write_text((kept.read_text() if beside else "") + again)


def test_a_second_judgement_of_an_answer_is_said_and_moves_nothing(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    MmVet().rescore(predictions=path, **options)
    rewritten(tmp_path / "p.jsonl.judge.jsonl", "0.5", "0.9", beside=True)
    assert part(MmVet().rescore(predictions=path, **options), "official/total") == 50
    assert len(service.asked) == 2 and "2 answers have a second judgement" in capsys.readouterr().err


def test_a_judge_that_changes_in_the_middle_is_said(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    line = ["score", "-b", "mm_vet", str(path), "--judge", "gpt-x", "--judge-base-url", service.url]
    first = main(line)
    assert "judged by: served-model-2026-01-01 2" in (said := capsys.readouterr()).out and "ANOTHER" not in said.err
    kept = tmp_path / "p.jsonl.judge.jsonl"
    kept.write_bytes(b"".join(kept.read_bytes().splitlines(keepends=True)[:1]))  # the other is asked again
    service.model = "another"
    assert main(line) == first
    said = capsys.readouterr()
    assert "the service changed the judge in the middle" in said.err
    assert "served-model-2026-01-01 1" in said.out and "another 1" in said.out


def test_a_judgement_that_failed_is_of_no_other_judge(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    service.faults = [Fault(400)]
    line = ["score", "-b", "mm_vet", str(path), "--judge", "gpt-x", "--judge-base-url", service.url]
    main([*line, "--judge-concurrency", "1"])
    said = capsys.readouterr()
    assert "judged by: served-model-2026-01-01 1\n" in said.out and "changed the judge" not in said.err


def test_another_judge_is_asked_anew(tmp_path: Path, service: Service) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    for name in ("gpt-x", "gpt-y"):
        MmVet().rescore(predictions=path, judge=name, judge_base_url=service.url, judge_retries=0)
    assert [body["model"] for body in service.asked] == ["gpt-x"] * 2 + ["gpt-y"] * 2
