"""A run that may stop early: what it is certain of, how often it is wrong, what it leaves behind."""

from __future__ import annotations

import json
import math
import random
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from janus_eval.evals import betting
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.records import read_record
from janus_eval.evals.types import Sample
from janus_eval.reports import baseline
from janus_eval.reports.compare import Run
from janus_eval.reports.sequential import Walk, in_turn
from support import runs

# -- the bets -----------------------------------------------------------------------------------------


def test_ten_zeros_against_a_half_by_hand() -> None:
    """Each bet f grows to (1 + f)^10; the wealth is their mean."""
    bets = [0.95 * 0.62**power for power in range(12)]
    expected = math.log(math.fsum((1 + bet) ** 10 for bet in bets) / 12)
    assert betting.wealth([0.0] * 10, 0.5) == pytest.approx(expected)
    assert betting.wealth([], 0.5) == 0.0


def test_bets_do_not_depend_on_the_order_and_grow_with_what_they_are_against() -> None:
    rng = random.Random(0)
    values = [rng.choice((0.0, 0.25, 0.5, 1.0)) for _ in range(60)]
    shuffled = rng.sample(values, len(values))
    against = [betting.wealth(values, mean / 20) for mean in range(21)]
    assert against == sorted(against)
    assert [betting.wealth(shuffled, mean / 20) for mean in range(21)] == pytest.approx(against)


def test_the_sequence_narrows_around_the_mean() -> None:
    values = [0.4, 0.6] * 2000
    wide, narrow = betting.interval(values[:40], 0.05), betting.interval(values, 0.05)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]
    assert betting.interval([], 0.05) == (pytest.approx(0.0, abs=1e-5), pytest.approx(1.0, abs=1e-5))


@pytest.mark.parametrize(("values", "mean"), [([1.5], 0.5), ([-0.1], 0.5), ([0.5], 1.2), ([math.nan], 0.5)])
def test_what_is_not_from_0_to_1_is_refused(values: list[float], mean: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        betting.wealth(values, mean)


def test_looking_after_every_batch_keeps_the_error_rate() -> None:
    """2,000 walks whose mean is the one bet against, looked at after each ten values: 5 % at most call it lower."""
    rng = random.Random(20)
    alarms = {"flips": 0, "rare": 0}
    number = 1000
    for kind, values, weights in (("flips", (0.0, 0.5, 1.0), (1, 8, 1)), ("rare", (0.0, 0.51), (1, 50))):
        mean = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
        for _ in range(number):
            walk = rng.choices(values, weights, k=300)
            alarms[kind] += any(betting.certain_below(walk[:end], mean, 0.05) for end in range(10, 301, 10))
    assert all(count / number <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / number) for count in alarms.values()), alarms
    assert any(alarms.values())  # a bound that is never met would hold too


# -- the walk from a baseline -------------------------------------------------------------------------


def geneval(seed: int, drop: float = 0.0) -> Run:
    rows = runs.scores(seed, drop=drop)
    found = runs.estimates(rows)["official/overall"]
    record = runs.spec("m", seed=seed)
    from janus_eval.evals.types import Metric, RunRecord

    metrics = {"official/overall": Metric(found.value, found.n)}
    return Run(RunRecord(record, "official/overall", metrics, {}, complete=True), rows)


def test_a_mean_of_task_means_is_walked_to_the_whole_difference() -> None:
    """After all prompts the mean step is the difference of the two runs' overall scores, tasks of unequal size."""
    before, after = geneval(1), geneval(2, drop=0.1)
    ids = {each.sample_id for each in after.scores}
    look = Walk(before).look(after.scores, ids, 0.0, 0.02, lower=False)
    values = [each.record.metrics["official/overall"].value or 0.0 for each in (before, after)]
    assert (look.asked, look.whole) == (553, 553)
    assert look.difference == pytest.approx(values[1] - values[0])
    assert look.low < look.difference < look.high and look.verdict == "fell"


def test_a_drop_is_seen_early_and_a_held_headline_within_a_tolerance() -> None:
    before, worse, same = geneval(1), geneval(2, drop=0.3), geneval(3)
    ids = sorted({each.sample_id for each in before.scores}, key=lambda name: random.Random(name).random())
    walk = Walk(before)
    assert walk.look(worse.scores, ids[:150], 0.0, 0.02, lower=False).verdict == "fell"
    assert walk.look(worse.scores, ids[:150], 0.0, 0.02, lower=True).verdict == "held"
    assert walk.look(same.scores, ids[:400], 0.1, 0.02, lower=False).verdict == "held"
    assert walk.look(same.scores, ids[:400], 0.0, 0.02, lower=False).verdict == "open"
    early = walk.look(worse.scores, ids[:5], 0.0, 0.02, lower=False)
    assert early.verdict == "open" and -1 <= early.low < early.high <= 1 + 1e-9


def test_a_cluster_without_all_its_verdicts_waits() -> None:
    before, after = geneval(1), geneval(2)
    first = after.scores[0].sample_id
    rows = [replace(each, value=None) if (each.sample_id, each.index) == (first, 3) else each for each in after.scores]
    look = Walk(before).look(rows, {each.sample_id for each in rows}, 0.0, 0.02, lower=False)
    assert (look.asked, look.whole) == (552, 553)


# -- the order ----------------------------------------------------------------------------------------


def test_sets_grow_by_whole_clusters_in_an_order_of_the_seed() -> None:
    samples = [Sample(f"{n}-{part}", "", cluster=str(n)) for n in range(40) for part in "ab"]
    looks = in_turn(samples, 0)
    assert [len(each) for each in looks] == [8 * look for look in range(1, 11)]
    assert all({*one} < {*two} for one, two in pairwise(looks))
    assert all(f"{name[:-1]}a" in one and f"{name[:-1]}b" in one for one in looks for name in one)
    assert looks == in_turn(samples, 0) == in_turn(samples, 0)
    assert looks[0] != in_turn(samples, 1)[0] and sorted(looks[-1]) == sorted(each.id for each in samples)
    assert in_turn(samples[:2], 0) == [["0-a", "0-b"]]


# -- the command --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 200 questions, all of which "yes" answers, and a baseline of always-yes on them."""
    folder = tmp_path_factory.mktemp("quick")
    rows = [{"id": n, "question": f"Is {n} a number?", "answer": "yes"} for n in range(200)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    asked = ["run", "-m", "always-yes", "-b", "yes_no:quick", "--data", str(folder / "rows.jsonl")]
    assert cli.main([*asked, "-o", str(folder / "base")]) == 0
    assert cli.main(["gate", str(folder / "base"), "--baseline", str(folder / "base.json"), "--update"]) == 0
    (folder / "loose.toml").write_text('[tolerance]\n"vlmevalkit-2026/accuracy" = 20.0\n')
    return folder


def asked(folder: Path, out: Path, *more: str) -> list[str]:
    data = ["--data", str(folder / "rows.jsonl"), "-o", str(out)]
    return ["run", "-m", "always-yes", "-b", "yes_no:quick", *data, "--gate-against", str(folder / "base.json"), *more]


def test_a_run_that_answers_no_is_stopped_after_a_tenth(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(asked(quick, tmp_path, "-a", "answer=No")) == 3
    out, err = capsys.readouterr()
    assert "FAILED: regression" in out and "certain after 20 of 200" in out
    assert "vlmevalkit-2026/accuracy after 20 of 200: " in err
    (folder,) = tmp_path.iterdir()
    record = read_record(folder)
    assert (record.state, record.counts["predicted"], record.complete) == ("interrupted", 20, False)
    assert record.metrics[record.headline].value is None  # a part never stands under the whole's name
    plain = [each for each in asked(quick, tmp_path, "-a", "answer=No") if "base.json" not in each]
    plain.remove("--gate-against")
    assert cli.main(plain) == 0
    assert read_record(folder).complete and read_record(folder).counts["predicted"] == 200


@pytest.mark.parametrize("wrong", ["limited", "no headline", "other scores"])
def test_a_baseline_of_no_whole_run_or_with_other_scores_is_refused(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    for each in ("rows.jsonl", "base.json"):
        shutil.copy(quick / each, tmp_path / each)
    if wrong == "limited":
        plain = [each for each in asked(tmp_path, tmp_path / "few", "-l", "60") if "base.json" not in each]
        plain.remove("--gate-against")
        assert cli.main(plain) == 0
        assert cli.main(["gate", str(tmp_path / "few"), "--baseline", str(tmp_path / "base.json"), "--update"]) == 0
        (tmp_path / "loose.toml").write_text('knobs = ["limit"]\n')
    else:
        (run,) = baseline.read(tmp_path / "base.json")
        record, scores = run.record, [replace(each, value=0.0) for each in run.scores]
        if wrong == "no headline":
            record, scores = replace(record, metrics={}), list(run.scores)
        baseline.write(tmp_path / "base.json", [replace(run, record=record, scores=scores)])
        (tmp_path / "loose.toml").write_text("")
    capsys.readouterr()
    assert cli.main(asked(tmp_path, tmp_path / "new", "--tolerances", str(tmp_path / "loose.toml"))) == 2
    assert (
        "its scores give 0.0" if wrong == "other scores" else "write it from a whole run"
    ) in capsys.readouterr().err


def test_the_same_answers_pass_early_with_a_tolerance_and_at_the_end_without(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(asked(quick, tmp_path / "loose", "--tolerances", str(quick / "loose.toml"))) == 0
    assert "certain after 40 of 200" in capsys.readouterr().out
    assert cli.main(asked(quick, tmp_path / "strict")) == 0
    out, err = capsys.readouterr()
    assert "Gate passed" in out and err.count(" of 200: ") == 9
    (folder,) = (tmp_path / "strict").iterdir()
    assert read_record(folder).complete


@pytest.mark.parametrize(
    "more", [["-l", "5"], ["--ids", "1"], ["--until", "predict"], ["--shard", "0/2"], ["--repeats", "2"], ["--json"]]
)
def test_what_does_not_go_with_it_is_refused(quick: Path, tmp_path: Path, more: list[str]) -> None:
    assert cli.main(asked(quick, tmp_path, *more)) == 2
    assert not [*tmp_path.iterdir()]


def test_a_headline_that_is_no_mean_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ["run", "-m", "always-yes", "-b", "pope", "--data", "toy"]
    assert cli.main([*plain, "-o", str(tmp_path / "base")]) == 0
    assert cli.main(["gate", str(tmp_path / "base"), "--baseline", str(tmp_path / "b.json"), "--update"]) == 0
    gated = ["-o", str(tmp_path / "new"), "--gate-against", str(tmp_path / "b.json")]
    assert cli.main([*plain, *gated]) == 2
    assert "is no mean of scores from 0 to 1" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert cli.main([*plain, *gated, "--bench-args", "preset=bare"]) == 2  # another protocol than the baseline's
    assert cli.main([*plain, "--tolerances", "x.toml"]) == 2
    with pytest.raises(UsageError, match="holds no scores"):
        Walk(replace(geneval(1), scores=()))
