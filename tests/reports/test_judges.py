"""What a report says of judges: their calibration, and how two of them agree about the same outputs."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from janus_eval.evals.commands import cli
from janus_eval.evals.types import Metric, RunRecord, Score
from janus_eval.reports.judges import agreement, standings
from support import runs


def scores(values: list[float | None]) -> list[Score]:
    return [Score(str(number), 0, "official", value) for number, value in enumerate(values)]


def test_kappa_of_a_textbook_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5.
    first = [1.0] * 25 + [0.0] * 25
    second = [1.0] * 20 + [0.0] * 5 + [1.0] * 10 + [0.0] * 15
    found = agreement(scores([*first]), scores([*second]))
    assert (found.n, found.equal, found.without) == (50, 35, 0)
    assert found.kappa == pytest.approx(0.4)


def test_kappa_of_grades_is_weighted_by_the_square_of_their_difference() -> None:
    chance = random.Random(0)
    first = [chance.randrange(3) / 2 for _ in range(200)]
    second = [each if chance.random() < 0.6 else chance.randrange(3) / 2 for each in first]
    levels = (0.0, 0.5, 1.0)
    shares = [[sum((a, b) == (x, y) for a, b in zip(first, second, strict=True)) / 200 for y in levels] for x in levels]
    rows, columns = [sum(row) for row in shares], [sum(column) for column in zip(*shares, strict=True)]
    cells = [(x, y) for x in range(3) for y in range(3)]
    observed = sum((x - y) ** 2 * shares[x][y] for x, y in cells)
    expected = sum((x - y) ** 2 * rows[x] * columns[y] for x, y in cells)
    assert agreement(scores([*first]), scores([*second])).kappa == pytest.approx(1 - observed / expected)


def test_a_verdict_that_one_lacks_is_counted_and_one_verdict_for_all_has_no_kappa() -> None:
    found = agreement(scores([1.0, None, 1.0]), scores([1.0, 0.0, 1.0]))
    assert (found.n, found.equal, found.without, found.kappa) == (2, 2, 1, None)
    assert "1 without a verdict in one of them" in found.text
    assert agreement([], []).kappa is None


def test_opposite_verdicts_have_a_negative_kappa() -> None:
    kappa = agreement(scores([1.0, 0.0] * 5), scores([0.0, 1.0] * 5)).kappa
    assert kappa is not None and math.isclose(kappa, -1.0)


def test_a_judge_s_standing_is_one_line() -> None:
    metrics = {"judge/versions": Metric(2.0, 9), "judge/calibration": Metric(75.0, 8), "judge/drift": Metric(1.0, 8)}
    spec = runs.spec("mine", benchmark="wise", observer_card={"judge": "gpt-x"})
    (line,) = standings([RunRecord(spec, "official/overall", metrics, {}, complete=True)])
    assert line == (
        "Judge of mine on wise, gpt-x: 75 % of the 8 calibration items as expected; 1 of them judged differently in "
        "the middle of the run; 2 versions answered under its name."
    )


def test_a_second_judge_reuses_the_pictures_and_compare_tells_how_they_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from support.chat_server import Service, serving

    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    asked = ["run", "-m", "noise-image", "-b", "wise_verified", "--data", "toy", "-l", "6", "-o", str(tmp_path)]
    with serving(Service(reply=lambda body: "Score: 1")) as service:
        for name in ("one", "two"):
            assert cli.main([*asked, "--judge", name, "--judge-base-url", service.url]) == 0
            service.reply = lambda body: "Score: 0"
    told = capsys.readouterr().err
    assert "reusing 6 pictures" in told
    first, second = sorted(tmp_path.iterdir())
    assert cli.main(["compare", str(first), str(second), "-f", "json"]) == 0
    assert "The same outputs under two judges: 0 of 6 verdicts equal" in capsys.readouterr().out
    assert cli.main(["report", str(first)]) == 0
    assert "50 % of the 8 calibration items as expected" in " ".join(capsys.readouterr().out.split())
