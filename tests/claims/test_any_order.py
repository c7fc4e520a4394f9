"""The order of samples, of lines and of shards, and who made them, moves nothing."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.types import RunRecord, Sample
from support.command import World, comparable, folder_of
from support.worlds import Eye, Painter, Redness


@dataclass
class Shuffled(Redness):
    """Redness whose samples come in an order of chance."""

    chance: random.Random | None = None
    observer: Any = field(default_factory=Eye)

    def samples(self) -> list[Sample]:
        found = super().samples()
        if self.chance is not None:
            random.Random(self.chance.getstate()[1][0]).shuffle(found)
        return found


def summary(record: RunRecord, output: Path) -> tuple[Any, ...]:
    return record.metrics, record.counts, record.complete, (folder_of(output) / "scores.jsonl").read_bytes()


@pytest.mark.claim("R2", tries=10)
@pytest.mark.claim("R20", tries=10)
def test_shuffled_samples_give_the_same_scores(tries: list[random.Random], tmp_path: Path) -> None:
    expected = summary(evaluate(Painter(), Shuffled(20), output=tmp_path / "whole"), tmp_path / "whole")
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        record = evaluate(Painter(), Shuffled(20, chance), output=output, batch_size=chance.randint(1, 40))
        assert summary(record, output) == expected


@pytest.mark.claim("R20", tries=10)
def test_shards_are_merged_in_any_order(tries: list[random.Random], tmp_path: Path) -> None:
    evaluate(Painter(), Shuffled(20), output=tmp_path / "whole")
    whole = folder_of(tmp_path / "whole")
    expected = {name: each for name, each in comparable(whole).items() if name not in ("predictions", "evidence")}
    for number, chance in enumerate(tries):
        folder = tmp_path / str(number) / whole.name
        shutil.copytree(whole, folder)
        for stream in ("predictions", "evidence"):
            lines = (folder / stream / "0.jsonl").read_bytes().splitlines(keepends=True)
            chance.shuffle(lines)
            shards = [lines[start::count] for count in [chance.randint(1, 5)] for start in range(count)]
            chance.shuffle(shards)
            for name, shard in enumerate(shards):
                (folder / stream / f"{name}.jsonl").write_bytes(b"".join(shard))
        (folder / "record.json").unlink()
        (folder / "scores.jsonl").unlink()
        painter, eye = Painter(), Eye()
        assert evaluate(painter, Shuffled(20, observer=eye), output=folder.parent).complete
        assert painter.asked == [] and eye.seen == []
        assert expected.items() <= comparable(folder).items()


@pytest.mark.claim("R20", tries=2, long=50)
def test_any_number_of_workers_gives_the_same_scores(world: World, tries: list[random.Random], tmp_path: Path) -> None:
    assert world.run(tmp_path / "whole").code == 0
    expected = comparable(folder_of(tmp_path / "whole"))
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        count = chance.randint(2, 4)
        for shard in chance.sample(range(count), count):
            asked = ("--shard", f"{shard}/{count}", "--batch-size", str(chance.randint(1, 9)))
            assert world.run(output, *asked).code == 0
        assert world.call("finish", str(folder_of(output))).code == 0
        assert comparable(folder_of(output)) == expected
