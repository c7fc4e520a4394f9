"""What moves a score moves the signature, what differs shares nothing, and equal signatures are equal runs."""

from __future__ import annotations

import json
import random
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.types import RunSpec, job_seed
from support.command import World, folder_of, results

NOT_SCORED = {"version", "scoring"}
"""What a digest leaves out: the harness's version (the plugins put their own into their cards) and names of knobs."""


def word(chance: random.Random) -> str:
    return "".join(chance.choice("abc01.-_:|# é") for _ in range(chance.randrange(1, 7)))


def value(chance: random.Random) -> Any:
    return chance.choice([word(chance), chance.randrange(-3, 9), chance.random(), True, False, None, [word(chance), 1]])


def card(chance: random.Random) -> dict[str, Any]:
    names = ("weights", "revision", "dtype", "recipe", "prompt", "size", word(chance))
    return {name: value(chance) for name in names if chance.random() < 0.7}


def spec(chance: random.Random) -> RunSpec:
    """Return a spec with anything in it."""
    return RunSpec(
        model=word(chance),
        benchmark=word(chance),
        seed=chance.randrange(99),
        limit=chance.choice([None, "3", "0.1", "ids:a,b"]),
        model_card=card(chance),
        benchmark_card=card(chance),
        observer_card=card(chance),
        version=word(chance),
        model_options=card(chance),
        benchmark_options=card(chance),
        observer_options=card(chance),
        tag=chance.choice(["", word(chance)]),
        step=chance.choice([None, chance.randrange(9)]),
    )


def other(old: Any, chance: random.Random) -> Any:
    """Return a value of the same kind that is not the old one; of a card one entry changes, comes or goes."""
    if isinstance(old, dict):
        key = chance.choice([*old, "new"])
        without = {name: each for name, each in old.items() if name != key}
        if key in old and chance.random() < 0.3:
            return without
        return without | {key: other(old.get(key), chance)}
    new = value(chance)
    while json.dumps(new) == json.dumps(old):
        new = value(chance)
    return new


def changed(one: RunSpec, name: str, chance: random.Random) -> RunSpec:
    old = getattr(one, name)
    if isinstance(old, dict):
        return replace(one, **{name: other(old, chance)})
    if name in ("seed", "step"):
        return replace(one, **{name: (old or 0) + chance.randint(1, 9)})
    return replace(one, **{name: chance.choice([f"{old}x", f"x{old}", f"{old}|"])})


@pytest.mark.claim("R12", tries=200)
@pytest.mark.claim("R13", tries=200)
def test_two_runs_that_differ_in_one_field_share_no_key(tries: list[random.Random]) -> None:
    moving = [each.name for each in fields(RunSpec) if each.name not in NOT_SCORED]
    made = {"model", "benchmark", "seed", "limit", "model_card", "benchmark_card", "model_options", "benchmark_options"}
    made |= {"tag", "step"}
    for chance in tries:
        one = spec(chance)
        name = chance.choice(moving)
        two = changed(one, name, chance)
        assert one.digest != two.digest and one.signature != two.signature, name
        assert one.evidence_key != two.evidence_key, name
        assert (one.predictions_key != two.predictions_key) is (name in made), name
        assert replace(one, version="another").digest == one.digest


@pytest.mark.claim("R12", tries=200)
def test_what_is_stored_of_a_run_has_the_signature_of_the_run(tries: list[random.Random]) -> None:
    for chance in tries:
        one = spec(chance)
        back = RunSpec.from_json(json.loads(json.dumps(one.to_json())))
        assert (back.signature, back.predictions_key, back.evidence_key) == (
            one.signature,
            one.predictions_key,
            one.evidence_key,
        )


@pytest.mark.claim("R13", tries=200)
def test_no_two_outputs_share_a_seed(tries: list[random.Random]) -> None:
    seen: dict[int, tuple[int, str, int]] = {}
    for chance in tries:
        asked = (chance.randrange(3), word(chance), chance.randrange(4))
        assert seen.setdefault(job_seed(*asked), asked) == asked
    assert job_seed(1, "1", 1) != job_seed(11, "", 1) != job_seed(1, "", 11)


@pytest.mark.claim("R12", tries=3, long=50)
def test_equal_signatures_are_equal_runs(world: World, tries: list[random.Random], tmp_path: Path) -> None:
    for number, chance in enumerate(tries):
        asked = ["--seed", str(chance.randrange(9)), "-l", str(chance.randint(2, 20))]
        asked += ["--bench-args", f"size={chance.randint(20, 25)}"] if chance.random() < 0.5 else []
        one, two = tmp_path / f"{number}a", tmp_path / f"{number}b"
        assert world.run(one, *asked).code == world.run(two, *asked).code == 0
        assert folder_of(one).name == folder_of(two).name and results(one) == results(two)


def knobs(chance: random.Random) -> list[str]:
    """Return a run of always-yes or of the squares with knobs of chance."""
    if chance.random() < 0.5:
        asked = ["-m", "painter", "-b", "squares", "--bench-args", f"size={chance.randint(3, 30)}"]
    else:
        asked = ["-m", "always-yes", "-b", "pope", "--data", "toy", "-a", f"answer={chance.choice(['No', 'Oh, yes'])}"]
        asked += chance.choice([[], ["--preset", "llava"]])
    asked += ["--seed", str(chance.randrange(9)), *chance.choice([[], ["--tag", "a b"], ["--step", "7"]])]
    return asked + chance.choice([[], ["-l", "3"], ["-l", "0.5"], ["-l", "1-3"]])


@pytest.mark.claim("R12", tries=3, long=50)
def test_a_stored_run_is_asked_again_under_its_signature(
    world: World, tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        one, two, asked = tmp_path / f"{number}a", tmp_path / f"{number}b", knobs(chance)
        assert world.call("run", *asked, "-o", str(one)).code == 0, asked
        done = world.call("run", "--again", str(folder_of(one)), "-o", str(two))
        assert done.code == 0, done.err
        assert folder_of(one).name == folder_of(two).name and results(one) == results(two)


@pytest.mark.claim("R12")
def test_a_run_whose_signature_would_be_another_is_not_asked_again(world: World, tmp_path: Path) -> None:
    assert world.run(tmp_path / "runs").code == 0
    run = folder_of(tmp_path / "runs")
    done = world.call("run", "--again", str(run), "--seed", "3")
    assert done.code == 2 and "leave out --seed" in done.err
    row = json.loads((run / "spec.json").read_text())
    row["benchmark_card"]["samples"] = "those of another day"
    (run / "spec.json").write_text(json.dumps(row))
    done = world.call("run", "--again", str(run), "-o", str(tmp_path / "again"))
    assert done.code == 2 and "b.samples: those of another day, now " in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "again").exists()
    (run / "asked.json").write_text('{"models": 3}')
    assert "what was asked is damaged" in world.call("run", "--again", str(run)).err
    (run / "asked.json").unlink()
    done = world.call("run", "--again", str(run))
    assert done.code == 2 and "does not say what it was asked" in done.err and done.err.count("\n") == 1
