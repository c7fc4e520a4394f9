"""Progress in a log: something soon, rates that tell slow work truly."""

from __future__ import annotations

from threading import Event

import pytest
from janus_eval.evals import progress


@pytest.mark.parametrize(
    ("made", "seconds", "told"), [(0, 3.0, "0.0/s"), (30, 3.0, "10.0/s"), (3, 3.0, "1.0/s"), (2, 85.0, "42.5 s each")]
)
def test_below_one_a_second_a_rate_is_seconds_an_item(made: int, seconds: float, told: str) -> None:
    assert progress._rate(made, seconds) == told


def test_a_log_says_that_work_is_under_way_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    heard = Event()
    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(progress.screen, "err", lambda lines: (said.extend(lines), heard.set()))
    with progress._lines("predict", 9, 2):
        heard.clear()
        while len(said) < 2:
            assert heard.wait(30)
            heard.clear()
    assert said == ["predict: 2/9 are on disk already", "predict: 2/9, the first batch is under way"]
