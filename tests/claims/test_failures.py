"""Samples, pictures, judges and devices that fail at random: all is counted, nothing is dropped, no number moves."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.errors import OutOfMemory
from janus_eval.evals.records import read_scores
from janus_eval.evals.types import Job, RunRecord
from PIL import Image
from support.chat_server import Fault, Service, reset, serving
from support.command import comparable, folder_of
from support.worlds import Eye, Painter, Redness


def squares(eye: Eye, size: int = 12) -> Redness:
    """Return a suite whose observer is this eye."""
    suite = Redness(size)
    suite.observer = eye  # type: ignore[assignment]  # an object, as Python allows
    return suite


def scored(output: Path) -> dict[tuple[str, int], float | None]:
    """Return the value of each output of a run."""
    return {(each.sample_id, each.index): each.value for each in read_scores(folder_of(output))}


# -- pictures -----------------------------------------------------------------------------------------


def spoil(path: Path, chance: random.Random) -> None:
    """Make a picture what it should not be, or leave it as it is."""
    data = path.read_bytes()
    how = chance.choice(["whole", "whole", "empty", "cut", "text", "noise", "flip"])
    if how in ("empty", "cut"):
        data = data[: 0 if how == "empty" else chance.randrange(len(data) * 3 // 4)]
    elif how == "text":
        data = b"<html><body>503 Service Unavailable</body></html>"
    elif how == "noise":
        data = chance.randbytes(len(data))
    elif how == "flip":
        at = chance.randrange(len(data))
        data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
    path.write_bytes(data)


def is_whole(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            picture.convert("RGB").load()
    except Exception:
        return False
    return True


@pytest.mark.claim("R7", tries=1, long=10)
def test_a_picture_that_is_none_never_scores(tries: list[random.Random], tmp_path: Path) -> None:
    for number, chance in enumerate(tries):
        output, pictures = tmp_path / f"runs{number}", tmp_path / f"pictures{number}"
        for sample in range(3):
            (pictures / f"{sample:05d}/samples").mkdir(parents=True)
            for index in range(4):
                path = pictures / f"{sample:05d}/samples/{index:04d}.png"
                Image.frombytes("RGB", (32, 32), chance.randbytes(3 * 32 * 32)).save(path)
                spoil(path, chance)
        record = evaluate(
            f"images:{pictures}",
            "geneval",
            output=output,
            data="official",
            limit=3,
            benchmark_options={"detector": "toy", "clip": "toy"},
        )
        values = scored(output)
        paths = {(f"{s:05d}", i): pictures / f"{s:05d}/samples/{i:04d}.png" for s in range(3) for i in range(4)}
        whole = {key for key, path in paths.items() if is_whole(path)}
        assert {key for key, value in values.items() if value is not None} == whole and len(values) == 12
        assert record.counts["invalid_images"] == 12 - len(whole) and record.counts["expected"] == 12
        assert record.metrics["official/overall"].value is None
        assert record.complete is (len(whole) == 12)


# -- samples ------------------------------------------------------------------------------------------


@pytest.mark.claim("R8", tries=8)
def test_a_sample_that_raises_is_recorded_and_withholds_the_headline(
    tries: list[random.Random], tmp_path: Path
) -> None:
    for number, chance in enumerate(tries):
        names = [f"{n:03d}" for n in range(12)]
        broken, blind = (frozenset(chance.sample(names, chance.randrange(4))) for _ in range(2))
        output = tmp_path / str(number)
        painter, suite = Painter(broken), squares(Eye(blind))
        record = evaluate(painter, suite, output=output, max_errors=99, batch_size=chance.randint(1, 9))
        lost, values = broken | blind, scored(output)
        assert len(values) == record.counts["expected"] == 24
        assert {name for (name, _), value in values.items() if value is None} == lost
        assert record.counts["scored"] == 24 - 2 * len(lost) and record.counts["errors"] == 2 * len(lost)
        assert record.complete is (not lost) and (record.metrics["official/red"].value is None) is bool(lost)
        errors = folder_of(output) / "errors.jsonl"
        told = errors.read_text() if errors.exists() else ""
        assert all(f"cannot paint {name}" in told for name in broken) and ("Traceback" in told) is bool(broken)
        assert told.count("the eye is shut") == 2 * len(blind - broken)


# -- memory -------------------------------------------------------------------------------------------


@dataclass
class Cramped(Painter):
    """A painter whose device is full now and then."""

    chance: random.Random | None = None
    full: int = 0

    def predict(self, jobs: Sequence[Job]) -> list[Any]:
        if self.chance is not None and len(jobs) > 1 and self.chance.random() < 0.5:
            self.full += 1
            raise OutOfMemory(f"{len(jobs)} jobs")
        return super().predict(jobs)


@dataclass
class CrampedEye(Eye):
    """An eye whose device is full now and then."""

    chance: random.Random = field(default_factory=random.Random)

    def observe(self, pairs: Any) -> Any:
        if len(pairs) > 1 and self.chance.random() < 0.5:
            raise OutOfMemory(f"{len(pairs)} pictures")
        return super().observe(pairs)


@pytest.mark.claim("R10", tries=6)
def test_memory_that_is_full_at_random_batches_changes_nothing(tries: list[random.Random], tmp_path: Path) -> None:
    roomy = Cramped()
    evaluate(roomy, squares(Eye()), output=tmp_path / "roomy")
    expected = comparable(folder_of(tmp_path / "roomy"))
    full = 0
    for number, chance in enumerate(tries):
        painter, output = Cramped(chance=chance), tmp_path / str(number)
        record = evaluate(painter, squares(CrampedEye(chance=chance)), output=output, batch_size=chance.randint(2, 24))
        assert sorted(painter.asked) == sorted(roomy.asked) and record.counts["errors"] == 0
        assert comparable(folder_of(output)) == expected
        full += painter.full
    assert full > len(tries)


# -- judges -------------------------------------------------------------------------------------------


def faults() -> list[Any]:
    """Return what a judge may answer in place of a grade."""
    filtered = {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}
    said = [Fault(429, headers={"Retry-After": "0"}), Fault(429), Fault(500, "oops"), Fault(503), Fault(wait=0.8)]
    return [*said, reset(), Fault(200, '{"choices": [{"mess'), Fault(200, "0.9"), filtered, {"choices": []}, "", "?"]


def judged(service: Service, output: Path, retries: int = 0) -> RunRecord:
    judge = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": retries, "judge_timeout": 0.5}
    return evaluate("always-yes", "mm_vet", data="toy", output=output, observer_options=judge, max_errors=999)


def grade(body: Mapping[str, Any]) -> str:
    """Return the grade of a question: the same whenever and however it is asked."""
    question = str(body["messages"][-1]["content"]).rsplit("\n\n", 1)[-1].split("|")[0]
    return f"{hashlib.sha256(question.encode()).digest()[0] % 11 / 10}"


@pytest.mark.claim("R9", tries=2, long=20)
def test_a_judge_that_fails_at_random_moves_no_score(
    tries: list[random.Random], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    with serving(Service(reply=grade)) as service:
        judged(service, tmp_path / "whole")
        expected = scored(tmp_path / "whole")
        assert len(set(expected.values())) > 3
        for number, chance in enumerate(tries):
            output, kinds = tmp_path / str(number), faults()
            service.reply = lambda body, c=chance, k=kinds: c.choice(k) if c.random() < 0.4 else grade(body)
            record = judged(service, output, retries=chance.randrange(2))
            values = scored(output)
            assert all(value in (None, expected[key]) for key, value in values.items())
            missing = sum(value is None for value in values.values())
            assert record.counts["unscored"] == missing and record.complete is (missing == 0)
            assert len(values) == len(expected)
            service.reply = grade
            assert judged(service, output).complete and scored(output) == expected
