"""Every reader over hostile files: success, or one line and its exit code; never a traceback, a hang or a raw code.

pytest tests/fuzz                                    20 seconds, the same cases each time
FUZZ_SECONDS=600 FUZZ_SEED=7 pytest tests/fuzz       ten minutes of others (`tox -e fuzz`)
FUZZ_ONLY=runs:7:153 pytest tests/fuzz               one case again: target, seed, number; its files are kept
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from fuzz import harness
from fuzz.harness import Finding
from fuzz.mutate import mutated
from fuzz.targets import TARGETS, Target

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20"))
SEED = os.environ.get("FUZZ_SEED", "0")
ONLY = os.environ.get("FUZZ_ONLY", "")


def hostile(target: Target, whole: Path, place: Path, chance: random.Random) -> None:
    """Copy a target's valid files to `place` and spoil one or two of them."""
    harness.clear(place)
    shutil.copytree(whole, place, dirs_exist_ok=True)
    files = sorted({each for pattern in target.hit for each in place.glob(pattern) if each.is_file()})
    files = [each for each in files if each.stat().st_size <= target.most]
    for each in chance.sample(files, chance.choice((1, 1, 1, 2))) if len(files) > 1 else files:
        each.write_bytes(mutated(each.name, each.read_bytes(), chance))


def case(target: Target, whole: Path, place: Path, seed: str, number: int) -> list[Finding]:
    chance = random.Random(f"{target.name}/{seed}/{number}")
    hostile(target, whole, place, chance)
    call = chance.choice(target.calls)
    if callable(call):
        return harness.reader(lambda: call(place))
    found = harness.command([each.replace("{}", str(place)) for each in call])
    return [*found, *harness.errors_of(place)]


def test_no_file_brings_a_reader_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    whole: dict[str, Path] = {}
    for target in TARGETS:
        if not ONLY or ONLY.startswith(target.name + ":"):
            whole[target.name] = tmp_path / "whole" / target.name
            whole[target.name].mkdir(parents=True)
            target.make(whole[target.name])
    if ONLY:
        name, seed, number = ONLY.split(":")
        target = next(each for each in TARGETS if each.name == name)
        again = case(target, whole[name], tmp_path / "case", seed, int(number))
        assert not again, "\n\n".join(each.told for each in again)
        return
    cases: Counter[str] = Counter()
    found: dict[str, str] = {}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for target in TARGETS:
            if target.heavy and cases[target.name] * 8 > cases[TARGETS[0].name]:
                continue
            number = cases[target.name]
            cases[target.name] += 1
            for each in case(target, whole[target.name], tmp_path / "case", SEED, number):
                found.setdefault(each.kind, f"FUZZ_ONLY={target.name}:{SEED}:{number}  {each.kind}\n{each.told}")
    print(f"{cases.total()} cases: {dict(cases)}; {len(found)} findings")
    assert not found, "\n\n".join(found.values())
