"""How fast an endpoint is asked: turns, a gap between them, and what a reply says of the pace."""

from __future__ import annotations

from email.message import Message

import pytest
from janus_eval.evals.endpoint.pace import Pace


def told(**headers: str) -> Message:
    found = Message()
    for name, value in headers.items():
        found["x-ratelimit-" + name.replace("_", "-")] = value
    return found


def never() -> bool:
    return False


def taken(pace: Pace, status: int, headers: Message | None = None) -> None:
    with pace.turn(never) as began:
        pace.learn(began, status, headers or Message())


def test_requests_begin_apart_from_each_other() -> None:
    pace, begun = Pace(8, per_minute=1200), list[float]()
    for _ in range(4):
        with pace.turn(never) as began:
            begun.append(began)
    assert all(later - earlier >= 0.049 for earlier, later in zip(begun, begun[1:], strict=False))


def test_a_429_halves_what_runs_at_once_and_good_replies_give_it_back() -> None:
    pace = Pace(8)
    taken(pace, 429)
    assert pace.allowed == 4
    taken(pace, 429)
    taken(pace, 429)
    taken(pace, 429)
    assert pace.allowed == 1
    for _ in range(1 + 2 + 3):
        taken(pace, 200)
    assert pace.allowed == 4
    for _ in range(100):
        taken(pace, 200)
    assert pace.allowed == 8


def test_requests_that_ran_beside_each_other_are_one_offence() -> None:
    pace = Pace(8)
    with pace.turn(never) as one, pace.turn(never) as two:
        pace.learn(one, 429, Message())
        pace.learn(two, 429, Message())
    assert pace.allowed == 4


def test_no_more_run_than_the_service_says_are_left() -> None:
    pace = Pace(8)
    taken(pace, 200, told(remaining_requests="50", remaining_images="3"))
    assert pace.allowed == 3


@pytest.mark.parametrize("reset", ["60ms", "0.06s", "0.06", "0m0.06s"])
def test_none_runs_before_the_service_has_some_again(reset: str) -> None:
    pace = Pace(8)
    with pace.turn(never) as first:
        pace.learn(first, 200, told(remaining_requests="0", reset_requests=reset))
    with pace.turn(never) as second:
        assert second - first >= 0.059


@pytest.mark.parametrize("value", ["", "many", "-1", "1e9", "\u0665", "9" * 40])
def test_a_header_that_means_nothing_does_no_harm(value: str) -> None:
    pace = Pace(8)
    taken(pace, 200, told(remaining_requests=value, reset_requests=value))
    assert pace.allowed == 8


def test_who_waits_for_a_turn_can_be_stopped() -> None:
    pace = Pace(1)
    with pace.turn(never), pace.turn(lambda: True):
        pass
