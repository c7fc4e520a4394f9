"""The gate: what it lets pass, what it stops, and how often it is wrong."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from janus_eval.evals import stats
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import Incomplete, UsageError
from janus_eval.evals.stats import Difference, Estimate
from janus_eval.evals.types import Metric, RunRecord
from janus_eval.reports import gate as gates
from janus_eval.reports import verdicts
from janus_eval.reports.compare import Pairing, Run
from janus_eval.reports.gate import gate, judge, update
from janus_eval.reports.tolerances import Tolerances
from support import runs

RULES = Tolerances.read(None)


def full(seed: int, drop: float = 0.0, **changes: object) -> Run:
    rows = runs.scores(seed, drop=drop)
    counts = {"expected": 2212, "predicted": 2212, "scored": 2212, "unparsed": 0, "unscored": 0}
    what = runs.spec("m", seed=seed, **changes)  # type: ignore[arg-type]  # a test's shorthand
    metrics = stats.metrics(runs.estimates(rows))
    return Run(RunRecord(what, "official/overall", metrics, counts, complete=True), rows)


@pytest.fixture(scope="module")
def base() -> Run:
    return full(1)


@pytest.fixture
def stored(tmp_path: Path, base: Run) -> Path:
    path = tmp_path / "base.json"
    runs.write(tmp_path / "base", base.record.spec, list(base.scores))
    update([tmp_path / "base"], path)
    return path


# -- how often it is wrong ----------------------------------------------------------------------------


def drawn(seed: int, drop: float) -> tuple[Estimate, dict[str, Estimate]]:
    found = runs.estimates(runs.scores(seed, drop=drop))
    return found["official/overall"], found


def verdict_of(first: dict[str, Estimate], second: dict[str, Estimate]) -> dict[str, str]:
    """Judge two draws by the gate's own rule, without files in between."""
    differences: dict[str, Difference | None] = {key: stats.paired(first[key], second[key]) for key in first}
    records = [
        RunRecord(runs.spec("m"), "official/overall", {k: Metric(e.value, e.n) for k, e in each.items()}, {}, True)
        for each in (first, second)
    ]
    judged = gates.verdicts(records[0], records[1], Pairing(differences, {}, 2212), RULES, RULES.alpha)
    return {each.metric: each.verdict for each in judged}


def test_false_alarms_and_power_are_as_stated() -> None:
    """No change: at most 5 % of gates fail. A drop of 0.05 on full GenEval: at least 95 % do.

    Correlation 0.5 within a prompt and 0.5 between the two runs' prompts.
    """
    number = 60
    reference = [drawn(seed, 0.0)[1] for seed in range(number)]
    same = [drawn(seed, 0.0)[1] for seed in range(1000, 1000 + number)]
    worse = [drawn(seed, 0.05)[1] for seed in range(2000, 2000 + number)]
    alarms = sum("regression" in verdict_of(a, b).values() for a, b in zip(reference, same, strict=True))
    alarms += sum("regression" in verdict_of(b, a).values() for a, b in zip(reference, same, strict=True))
    found = sum(verdict_of(a, b)["official/overall"] == "regression" for a, b in zip(reference, worse, strict=True))
    assert alarms / (2 * number) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / (2 * number))
    assert found / number >= 0.95


# -- verdicts -----------------------------------------------------------------------------------------


def test_the_same_run_passes(base: Run) -> None:
    result = judge("m", base, base, RULES, 0.05)
    assert result.outcome == "pass"
    assert {each.verdict for each in result.metrics} == {"pass"}


def test_a_drop_is_a_regression_and_a_rise_an_improvement(base: Run) -> None:
    worse = full(2, drop=0.1)
    down = judge("m", base, worse, RULES, 0.05)
    up = judge("m", worse, base, RULES, 0.05)
    assert down.outcome == "regression" and down.metrics[0].verdict == "regression"
    assert up.outcome == "pass" and up.metrics[0].verdict == "improvement"
    assert down.metrics[0].metric == "official/overall"
    assert down.metrics[0].difference is not None and down.metrics[0].difference.paired


def test_a_forgiven_drop_passes(base: Run) -> None:
    worse = full(2, drop=0.1)
    lenient = replace(RULES, drops={"official/overall": 0.2, "geneval official/counting": 0.9}, watch=("official/*_*",))
    found = {each.metric: each for each in judge("m", base, worse, lenient, 0.05).metrics}
    assert found["official/overall"].verdict == "pass"
    assert found["official/overall"].tolerance == 0.2
    assert found["official/counting"].tolerance == 0.9
    assert found["official/two_object"].verdict == "watched"


def test_less_can_be_better(base: Run) -> None:
    rules = replace(RULES, lower=("official/overall",))
    assert judge("m", full(2, drop=0.1), base, rules, 0.05).metrics[0].verdict == "regression"


def test_a_gate_that_judges_nothing_does_not_pass(base: Run) -> None:
    result = judge("m", base, full(2, drop=0.3), replace(RULES, watch=("*",)), 0.05)
    assert "nothing is judged" in result.problem
    assert judge("m", base, full(2, drop=0.3), RULES, 0.05).problem == ""


def test_without_scores_the_intervals_decide(base: Run) -> None:
    bare = Run(base.record)
    assert judge("m", bare, full(2, drop=0.15), RULES, 0.05).outcome == "regression"
    result = judge("m", bare, full(2), RULES, 0.05)
    assert result.outcome == "pass"
    assert result.metrics[0].reason == "from the intervals alone"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"complete": False}, "incomplete"),
        ({"counts": {"expected": 2212, "scored": 0}}, "no sample was scored"),
        ({"metrics": {}}, "no number for official/overall"),
        ({"metrics": {"official/overall": Metric(None, 5)}}, "no number for official/overall"),
        ({"metrics": {"official/overall": Metric(math.nan, 5)}}, "no number for official/overall"),
    ],
)
def test_a_run_without_a_number_is_never_green(base: Run, changes: dict[str, object], problem: str) -> None:
    result = judge("m", base, replace(base, record=replace(base.record, **changes)), RULES, 0.05)  # type: ignore[arg-type]
    assert result.outcome == "incomplete"
    assert problem in result.problem


def test_a_missing_metric_is_never_green(base: Run) -> None:
    fewer = {key: each for key, each in base.record.metrics.items() if key != "official/colors"}
    result = judge("m", base, replace(base, record=replace(base.record, metrics=fewer)), RULES, 0.05)
    assert result.outcome == "incomplete"
    assert next(each for each in result.metrics if each.metric == "official/colors").verdict == "incomplete"


def test_a_new_metric_is_only_named(base: Run) -> None:
    more = {**base.record.metrics, "official/fresh": Metric(0.5, 9)}
    result = judge("m", base, replace(base, record=replace(base.record, metrics=more)), RULES, 0.05)
    assert result.outcome == "pass"
    assert result.metrics[-1].verdict == "new"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"benchmark_card": {**runs.CARD, "images": 2}}, "b.images was 4, is 2"),
        ({"observer_card": {"detector": "other"}}, "o.detector was mask2former, is other"),
        ({"limit": "100"}, "limit was all, is 100"),
    ],
)
def test_another_protocol_is_not_comparable(base: Run, change: dict[str, object], said: str) -> None:
    other = replace(base, record=replace(base.record, spec=replace(base.record.spec, **change)))  # type: ignore[arg-type]
    result = judge("m", base, other, RULES, 0.05)
    assert result.outcome == "incomplete"
    assert result.problem == f"not comparable: {said}"


def test_the_models_own_knobs_may_change(base: Run) -> None:
    what = replace(base.record.spec, model_card={"cfg": 9}, seed=7, version="9")
    assert judge("m", base, replace(base, record=replace(base.record, spec=what)), RULES, 0.05).outcome == "pass"


# -- files and the command ----------------------------------------------------------------------------


def call(*arguments: object) -> int:
    return cli.main(["gate", *map(str, arguments)])


@pytest.mark.claim("R18")
def test_exit_codes(tmp_path: Path, stored: Path, base: Run, capsys: pytest.CaptureFixture[str]) -> None:
    bad = runs.write(tmp_path / "bad", runs.spec("m", seed=9), runs.scores(9, drop=0.1))
    torn = runs.write(tmp_path / "torn", runs.spec("m", seed=9), runs.scores(9, share=5), missing=3)
    assert call(tmp_path / "base", "--baseline", stored) == 0
    assert "Gate passed" in capsys.readouterr().out
    assert call(bad, "--baseline", stored) == 3
    assert "FAILED: regression" in capsys.readouterr().out
    assert call(torn, "--baseline", stored) == 5
    assert call(tmp_path / "none", "--baseline", stored) == 2
    assert call(bad, "--baseline", tmp_path / "none.json") == 2
    assert "--update" in capsys.readouterr().err


def test_a_run_that_crashed_is_incomplete(tmp_path: Path, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crashed = runs.write(tmp_path / "new", runs.spec("m"), runs.scores(share=20))
    (crashed / "record.json").unlink()
    assert call(crashed, "--baseline", stored) == 5
    assert call(tmp_path / "new", "--baseline", stored) == 5
    assert "unfinished" in capsys.readouterr().out
    assert call(crashed, "--baseline", tmp_path / "b.json", "--update") == 5
    assert not (tmp_path / "b.json").exists()


def test_a_run_of_the_baseline_that_was_not_given_is_not_passed_over(tmp_path: Path) -> None:
    for bench in ("geneval", "gone"):
        runs.write(tmp_path / "all", runs.spec("m", benchmark=bench), runs.scores(share=20))
    update([tmp_path / "all"], tmp_path / "b.json")
    result = gate([next((tmp_path / "all").glob("m--geneval*"))], tmp_path / "b.json")
    assert [run.outcome for run in result.runs] == ["pass", "incomplete"]
    assert result.exit_code == 5
    assert gate([tmp_path / "all"], tmp_path / "b.json").exit_code == 0


def test_a_baseline_holds_what_the_test_needs(tmp_path: Path, stored: Path, base: Run) -> None:
    from janus_eval.reports import baseline

    for name in ("again.json", "again.json.gz"):
        path = tmp_path / name
        update([tmp_path / "base"], path)
        read = baseline.read(path)[0]
        assert read.record.metrics == base.record.metrics
        assert [(s.sample_id, s.index, s.value, s.cluster) for s in read.scores] == [
            (s.sample_id, s.index, s.value, s.cluster)
            for s in sorted(base.scores, key=lambda s: (s.sample_id, s.index))
        ]
        update([tmp_path / "base"], tmp_path / "twice" / name)
        assert (tmp_path / "twice" / name).read_bytes() == path.read_bytes()
    assert gzip.decompress((tmp_path / "again.json.gz").read_bytes()) == stored.read_bytes()


@pytest.mark.parametrize("name", ["b.json", "b.json.gz"])
def test_a_baseline_that_was_changed_or_cut_short_is_refused(tmp_path: Path, stored: Path, name: str) -> None:
    pack = gzip.compress if name.endswith(".gz") else bytes
    lines = stored.read_bytes().splitlines(keepends=True)
    changed = [
        lines[:-1],
        lines[: len(lines) // 2],
        [*lines[:3], *lines[4:]],
        [line.replace(b'"value": 1.0', b'"value": 0.0') for line in lines],
        [*lines, b"{}\n"],
    ]
    for each in changed:
        (tmp_path / name).write_bytes(pack(b"".join(each)))
        with pytest.raises(UsageError, match="write it again with --update"):
            gate([tmp_path / "base"], tmp_path / name)
    (tmp_path / name).write_bytes(pack(b"".join(lines)))
    assert gate([tmp_path / "base"], tmp_path / name).exit_code == 0


def test_a_baseline_of_format_1_is_read(tmp_path: Path, stored: Path) -> None:
    rows = [json.loads(line) for line in stored.read_text().splitlines()]
    old = {"format": 1, "runs": [{"record": rows[1]["record"], "scores": rows[2:-1]}]}
    (tmp_path / "old.json").write_text(json.dumps(old))
    (tmp_path / "old.json.gz").write_bytes(gzip.compress(json.dumps(old).encode()))
    for name in ("old.json", "old.json.gz"):
        assert gate([tmp_path / "base"], tmp_path / name).exit_code == 0


@pytest.mark.parametrize("name", ["b.json", "b.json.gz"])
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"format": 9, "runs": []}', b'{"format": 1, "runs": []}', b'{"format": NaN}', b"\x1f\x8b"],
)
def test_a_damaged_baseline_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"b\.json"):
        gate([tmp_path], path)


def test_an_unknown_model_is_named(tmp_path: Path, stored: Path) -> None:
    other = runs.write(tmp_path / "new", runs.spec("other"), runs.scores(share=20))
    with pytest.raises(UsageError, match="knows no other on geneval, only m on geneval"):
        gate([other], stored)


def test_two_runs_of_one_model_are_named(tmp_path: Path, stored: Path) -> None:
    for seed in (1, 2):
        runs.write(tmp_path / "new", runs.spec("m", seed=seed), runs.scores(seed, share=20))
    with pytest.raises(UsageError, match="two runs of m on geneval"):
        gate([tmp_path / "new"], stored)
    with pytest.raises(UsageError, match="two runs of m on geneval"):
        update([tmp_path / "new"], tmp_path / "b.json")


def test_no_baseline_is_written_from_a_torn_run(tmp_path: Path) -> None:
    torn = runs.write(tmp_path / "torn", runs.spec("m"), runs.scores(share=20), missing=1)
    with pytest.raises(Incomplete, match="1 outputs missing"):
        update([torn], tmp_path / "b.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha = 0", "expected a number above 0"),
        ('alpha = "x"', "expected a number above 0"),
        ("alfa = 0.1", "did you mean 'alpha'"),
        ('watch = "x"', "expected a list of names"),
        ('[tolerance]\n"official/overal" = 0.1', "did you mean 'official/overall'"),
        ('[tolerance]\n"official/overall" = -0.1', "expected a number from 0"),
        ("[tolerance", "cannot be read as TOML"),
    ],
)
def test_a_wrong_tolerance_is_named(tmp_path: Path, stored: Path, text: str, message: str) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        gate([tmp_path / "base"], stored, path)


# -- for machines -------------------------------------------------------------------------------------


def test_junit_counts_failures_and_errors(tmp_path: Path, stored: Path) -> None:
    bad = runs.write(tmp_path / "bad", runs.spec("m", seed=9), runs.scores(9, drop=0.1))
    result = gate([bad], stored)
    root = ElementTree.fromstring(verdicts.junit(result))
    [suite] = root
    [case] = suite.findall("testcase")
    assert (case.attrib["classname"], case.attrib["name"]) == ("m", "geneval")
    [failure] = case.findall("failure")
    fallen = [each.metric for each in result.runs[0].metrics if each.verdict == "regression"]
    assert failure.attrib["message"].startswith("official/overall: regression") and len(fallen) > 1
    assert [each.partition(":")[0] for each in (failure.text or "").splitlines()] == fallen
    assert len((case.findtext("system-out") or "").splitlines()) == 7
    for each in (root, suite):
        assert (each.attrib["tests"], each.attrib["errors"], each.attrib["failures"]) == ("1", "0", "1")
    torn = runs.write(tmp_path / "torn", runs.spec("m", seed=9), runs.scores(9, share=5), missing=3)
    suite = ElementTree.fromstring(verdicts.junit(gate([torn], stored)))[0]
    assert (suite.attrib["tests"], suite.attrib["errors"], suite.attrib["failures"]) == ("1", "1", "0")


@pytest.mark.parametrize("stages", [{"predict": 90.5, "observe": 30, "score": 1.25}, {"predict": "x"}, None])
def test_junit_tells_how_long_a_run_took_where_the_run_does(tmp_path: Path, stored: Path, stages: object) -> None:
    run = runs.write(tmp_path / "next", runs.spec("m", seed=9), runs.scores(9))
    (run / "environment.json").write_text(json.dumps({"stages": stages}))
    root = ElementTree.fromstring(verdicts.junit(gate([run], stored)))
    told = [root.get("time"), root[0].get("time"), root[0][1].get("time")]
    assert told == ["121.750" if stages and "score" in stages else None] * 3


def test_github_gets_annotations_and_a_summary(
    tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = runs.write(tmp_path / "bad", runs.spec("m", seed=9), runs.scores(9, drop=0.1))
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    note = tmp_path / "comment.md"
    assert call(bad, "--baseline", stored, "--github", "--comment", note, "--junit", tmp_path / "j.xml") == 3
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert lines[0].startswith("::error title=janus-eval gate%3A m on geneval::official/overall: regression")
    assert "95 %25 interval" in lines[0]
    assert summary.read_text().startswith("before\n### Gate FAILED: regression")
    assert note.read_text().startswith("### Gate FAILED: regression")
    assert (tmp_path / "j.xml").read_text().startswith("<?xml")


def test_a_hostile_name_ends_no_annotation_and_no_xml(base: Run) -> None:
    evil = "m\n::warning::x\x00</testcase>\x1b]<b>, % on geneval"
    result = gates.GateResult((judge(evil, base, full(2, drop=0.1), RULES, 0.05),), 0.05)
    assert ElementTree.fromstring(verdicts.junit(result)).tag == "testsuites"
    assert all("\n" not in line and line.startswith("::error title=") for line in verdicts.workflow_commands(result))
    assert "<b>" not in verdicts.show(result, "markdown")
    assert "\x1b" not in verdicts.show(result, "text")


def test_this_projects_own_baseline_can_be_judged_by() -> None:
    from janus_eval.reports import baseline

    for run in baseline.read(Path(__file__).parents[1] / "baselines" / "toy.json.gz"):
        assert run.record.complete and run.scores
        assert judge("own", run, run, RULES, 0.05).outcome == "pass"
