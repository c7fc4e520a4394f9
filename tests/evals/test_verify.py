"""A run is verified from its outputs up: whatever was edited behind them, sealed again or not, is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate, registry
from janus_eval.evals.commands import cli
from janus_eval.evals.files import seal, seal_of
from janus_eval.evals.stored import Stored
from janus_eval.evals.types import Evidence, Score
from janus_eval.evals.verify import verify


def asked(tmp_path: Path, bench: str = "pope", **more: Any) -> Path:
    evaluate("always-yes", bench, data="toy", output=tmp_path / "runs", **more)
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


def record_edited(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit a record and seal it again, as whoever knows the form can."""
    path = folder / "record.json"
    row = json.loads(path.read_text())
    row.pop("sum")
    edit(row)
    path.write_text(json.dumps(row | {"sum": seal_of(row)}))


def lines_edited(path: Path, edit: Callable[[list[dict[str, Any]]], object], *, sealed: bool) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows if sealed else []:
        row.pop("sum")
    edit(rows)
    path.write_text("".join((seal(row) if sealed else json.dumps(row)) + "\n" for row in rows))


def resealed(folder: Path) -> None:
    """Let the record name the digests of what lies there now."""
    from janus_eval.evals.files import STREAMS, sha256, stream_digest

    def edit(row: dict[str, Any]) -> None:
        row["scores_sha256"] = sha256(folder / "scores.jsonl")
        row |= {f"{each}_sha256": stream_digest(folder, each) for each in STREAMS}

    record_edited(folder, edit)


@pytest.mark.parametrize(
    "bench", ["pope", "mme", "mmbench", "mmmu", "gqa", "mm_vet", "seed_bench", "chartqa", "ocrbench", "mathvista"]
)
def test_what_nobody_touched_is_whole(bench: str, tmp_path: Path) -> None:
    folder = asked(tmp_path, bench, limit="12")
    found = verify(folder)
    assert (list(found.wrong), found.outputs) == ([], 12)
    assert found.scores >= 12 and found.metrics >= 1


def test_a_run_by_names_and_one_with_failures_are_whole(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    names = sorted(json.loads(line)["sample_id"] for line in (folder / "scores.jsonl").read_text().splitlines())
    evaluate("always-yes", "pope", data="toy", output=tmp_path / "two", ids=names[:1] + names[-1:])
    (two,) = (tmp_path / "two").iterdir()
    assert not verify(two).wrong


def test_a_number_that_was_edited_and_sealed_again_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = asked(tmp_path)
    before = json.loads((folder / "record.json").read_text())["metrics"]["official/mean_f1"]["value"]
    record_edited(folder, lambda row: row["metrics"]["official/mean_f1"].update(value=before + 1))
    assert cli.main(["verify", str(folder)]) == 5
    out = capsys.readouterr().out
    assert f"{folder}: NOT WHOLE" in out and f"official/mean_f1 is stored as {before + 1:.10g}" in out
    assert cli.main(["verify", "--json", str(folder)]) == 5
    (told,) = json.loads(capsys.readouterr().out).values()
    assert told["whole"] is False and len(told["wrong"]) == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda row: row["metrics"].pop("official/mean_f1"),
        lambda row: row["metrics"].update({"official/best": row["metrics"]["official/mean_f1"]}),
        lambda row: row["metrics"]["official/mean_f1"].update(n=9000),
        lambda row: row["metrics"]["official/mean_f1"].update(low=0.0),
        lambda row: row["metrics"]["official/mean_f1"].update(absent=["popular"]),
        lambda row: row["counts"].update(unparsed=row["counts"]["unparsed"] + 3),
        lambda row: row["counts"].update(expected=9000),
        lambda row: row.update(headline="official/random/accuracy"),
        lambda row: row.update(missing=["a/0"]),
        lambda row: row.update(complete=False),
    ],
)
def test_any_other_edit_of_a_record_is_named(edit: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    folder = asked(tmp_path)
    record_edited(folder, edit)
    assert verify(folder).wrong


@pytest.mark.parametrize("whole", [False, True], ids=["outputs alone", "with the record"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda rows: rows[0].update(text="No"),
        lambda rows: rows.pop(),
        lambda rows: rows[0].update(sample_id="stranger"),
    ],
    ids=["changed", "left out", "renamed"],
)
def test_outputs_that_were_changed_after_the_end_are_named(
    edit: Callable[[list[dict[str, Any]]], object], whole: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = asked(tmp_path)
    lines_edited(folder / "predictions" / "0.jsonl", edit, sealed=True)
    if whole:
        resealed(folder)
    assert verify(folder).wrong
    sample = json.loads((folder / "scores.jsonl").read_text().splitlines()[5])["sample_id"]
    assert cli.main(["show", str(folder), "--id", sample]) == (0 if whole else 2)
    said = capsys.readouterr().err
    assert ("was changed after record.json was written" in said) is not whole


def test_scores_that_were_changed_and_sealed_again_are_named(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    lines_edited(folder / "scores.jsonl", lambda rows: rows[0].update(value=1 - rows[0]["value"]), sealed=False)
    resealed(folder)
    (told,) = verify(folder).wrong
    assert "its score is stored as" in told


def test_a_run_over_changed_outputs_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = asked(tmp_path)
    lines_edited(folder / "predictions" / "0.jsonl", lambda rows: rows[0].update(text="No"), sealed=True)
    line = ["run", "-m", "always-yes", "-b", "pope", "--data", "toy", "-o", str(tmp_path / "runs")]
    assert cli.main(line) == 0
    assert "was changed after record.json was written" in capsys.readouterr().err
    assert cli.main(line) == 0
    assert "was changed" not in capsys.readouterr().err


def test_changed_outputs_are_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = asked(tmp_path, "mmbench")
    lines_edited(folder / "predictions" / "0.jsonl", lambda rows: rows[0].update(text="B"), sealed=True)
    assert cli.main(["export", str(folder), "-o", str(tmp_path / "out.xlsx")]) == 2
    assert "was changed after record.json was written" in capsys.readouterr().err
    assert not (tmp_path / "out.xlsx").exists()


def test_other_data_than_were_asked_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "own.csv"
    table.write_text("question,answer\nIs it?,yes\nOr not?,no\n")
    evaluate("always-yes", "yes_no", data=table, output=tmp_path / "runs")
    (folder,) = (tmp_path / "runs").iterdir()
    assert not verify(folder).wrong
    table.write_text("question,answer\nIs it?,no\nOr not?,no\n")
    assert cli.main(["verify", str(folder)]) == 2
    assert "are not those that were asked" in capsys.readouterr().err
    (folder / "record.json").unlink()
    assert cli.main(["verify", str(folder)]) == 2


def test_one_that_cannot_be_verified_leaves_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = asked(tmp_path, limit="5")
    other = asked(tmp_path / "two", limit="6")
    (other / "record.json").write_text("{}")
    assert cli.main(["verify", str(other), str(folder)]) == 2
    out = capsys.readouterr()
    assert f"{folder}: whole" in out.out and "is damaged" in out.err


def test_what_was_edited_while_a_run_waited_behind_a_stage_is_said_and_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = asked(tmp_path, "mmbench", until="predict")
    lines_edited(folder / "predictions" / "0.jsonl", lambda rows: rows[0].update(text="B"), sealed=True)
    assert cli.main(["export", str(folder), "-o", str(tmp_path / "out.xlsx")]) == 2
    line = ["run", "-m", "always-yes", "-b", "mmbench", "--data", "toy", "-o", str(tmp_path / "runs")]
    assert cli.main(line) == 0
    assert capsys.readouterr().err.count("was changed after stage.json was written") == 2


def test_a_neighbour_that_was_edited_gives_nothing(tmp_path: Path) -> None:
    folder = asked(tmp_path, limit="8")
    lines_edited(folder / "predictions" / "0.jsonl", lambda rows: rows[0].update(text="No"), sealed=True)
    record = evaluate(
        "always-yes", "pope", data="toy", limit="8", output=tmp_path / "runs", benchmark_options={"reasoning": "strip"}
    )
    (other,) = (each for each in (tmp_path / "runs").iterdir() if each != folder)
    answers = [json.loads(line)["text"] for line in (other / "predictions" / "0.jsonl").read_text().splitlines()]
    assert record.complete and set(answers) == {"Yes"}


def test_a_card_that_was_edited_is_named(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    edited = json.loads((folder / "spec.json").read_text())
    key = next(key for key, each in edited["benchmark_card"].items() if isinstance(each, str) and key != "samples")
    edited["benchmark_card"][key] = "another"
    (folder / "spec.json").write_text(json.dumps(edited))
    record_edited(folder, lambda row: row.update(spec=edited))
    assert any(f"the suite's {key} is stored as another" in each for each in verify(folder).wrong)


def test_options_that_are_no_texts_are_damage(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    (folder / "options.json").write_text('{"data": true}')
    assert cli.main(["verify", str(folder)]) == 2


def test_outputs_that_were_deleted_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = asked(tmp_path, limit="6")
    assert cli.main(["show", str(folder)]) == 0
    assert "GONE" not in capsys.readouterr().out
    shutil.rmtree(folder / "predictions")
    assert cli.main(["show", str(folder)]) == 0
    assert "GONE: the predictions that these numbers are of" in capsys.readouterr().out


def judged_again(folder: Path, bench: str) -> list[Score]:
    """Return what the suite makes of the first line of evidence as it lies there."""
    (path,) = (folder / "evidence").glob("*.jsonl")
    row = json.loads(path.read_text().splitlines()[0])
    suite: Any = registry.create("benchmarks", bench, data="toy")
    (sample,) = (each for each in suite.samples() if each.id == row["sample_id"])
    made = Stored(folder).predictions()[row["kind"], sample.id, row["index"]]
    return list(suite.score(sample, made, Evidence(sample.id, row["index"], row["data"])))


MODELS = {"gedit_bench": "same-picture", "imgedit_bench": "same-picture", "mm_vet": "always-yes"}


@pytest.mark.parametrize(
    ("bench", "edit"),
    [
        ("mm_vet", lambda value: 7.5),
        ("mm_vet", lambda value: 0.3),
        ("wise", lambda value: {**value, "realism": 2, "consistency": 2}),
        ("wise_verified", lambda value: 5),
        ("tiif_mini", lambda value: [{"yes": "no", "no": "yes"}[each] for each in value]),
        ("unigenbench", lambda value: [1 - each for each in value]),
        ("unigenbench_cn_long", lambda value: [1 - each for each in value]),
        ("oneig_alignment", lambda value: ["Yes" if each == "No" else "No" for each in value]),
        ("oneig_text_cn", lambda value: f"{value} and more"),
        ("gedit_bench", lambda value: {**value, "semantics": 9.0, "quality": 9.0}),
        ("imgedit_bench", lambda value: {**value, "grades": [4, 4, 4]}),
    ],
)
def test_a_judgement_that_its_reply_does_not_say_is_named_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bench: str, edit: Callable[[Any], Any]
) -> None:
    line = ["run", "-m", MODELS.get(bench, "blank-image"), "-b", bench, "--data", "toy", "-l", "2", "--judge", "rule"]
    line += ["-o", str(tmp_path / "runs")]
    cli.main(line)
    (folder,) = (tmp_path / "runs").iterdir()
    assert not verify(folder).wrong
    before = (folder / "scores.jsonl").read_text()
    (evidence,) = (folder / "evidence").glob("*.jsonl")

    def edited(rows: list[dict[str, Any]]) -> None:
        run = rows[0]["data"]["runs"][0]
        assert run["value"] != edit(run["value"])
        run["value"] = edit(run["value"])

    lines_edited(evidence, edited, sealed=True)
    resealed(folder)
    assert all(each.value is None for each in judged_again(folder, bench))
    assert any("its score is stored as" in each for each in verify(folder).wrong)
    (folder / "record.json").unlink()
    capsys.readouterr()
    cli.main(line)
    told = capsys.readouterr().err
    assert "its value is " in told and "and its reply says" in told
    assert (folder / "scores.jsonl").read_text() == before
