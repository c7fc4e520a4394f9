"""A run whose files were damaged: what is not whole is named and made again, nothing false is read."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.errors import UsageError
from janus_eval.evals.records import read_record, read_scores
from support.command import comparable
from support.worlds import Eye, Painter, Redness


@dataclass
class Squares(Redness):
    """Redness with an eye of its own."""

    eye: Eye = field(default_factory=Eye)

    @property
    def observer(self) -> Any:
        return self.eye


def run(output: Path, painter: Painter, eye: Eye) -> Path:
    """Carry the run out in batches of two and return its folder."""
    evaluate(painter, Squares(20, eye=eye), output=output, batch_size=2)
    (folder,) = output.iterdir()
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("whole"), Painter(), Eye())


def damage(path: Path, chance: random.Random) -> None:
    """Cut a file anywhere, flip a bit of it, change one of its digits, or overwrite some bytes."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    how = chance.choice(["cut", "flip", "flip", "digit", "digit", "zeros", "noise"])
    if how == "cut":
        data = data[:at]
    elif how == "flip":
        data[at] ^= 1 << chance.randrange(8)
    elif how == "digit":  # still JSON, still a number
        places = [place for place, byte in enumerate(data) if 48 <= byte < 58] or [at]
        place = chance.choice(places)
        data[place] = chance.choice([each for each in range(48, 58) if each != data[place]])
    else:
        size = chance.randint(1, 64)
        data[at : at + size] = bytes(size) if how == "zeros" else chance.randbytes(size)
    path.write_bytes(data)


@pytest.mark.claim("R5", tries=20)
def test_damage_anywhere_in_what_grows_costs_only_what_was_damaged(
    whole: Path, tries: list[random.Random], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = comparable(whole)
    for number, chance in enumerate(tries):
        folder = tmp_path / str(number) / whole.name
        shutil.copytree(whole, folder)
        victim = chance.choice([folder / "predictions/0.jsonl", folder / "evidence/0.jsonl"] * 5 + [*pictures(folder)])
        lines = victim.read_bytes().split(b"\n")
        damage(victim, chance)
        left = victim.read_bytes().split(b"\n")
        lost = len({*lines} - {*left}) if victim.suffix == ".jsonl" else 1
        painter, eye = Painter(), Eye()
        run(folder.parent, painter, eye)
        told = capsys.readouterr().err
        assert comparable(folder) == expected, (number, victim)
        for made in (painter.asked, eye.seen):
            assert len(made) <= 2 * lost, (number, victim)  # batches of two are made whole
        if victim.suffix == ".png" or {*left} - {*lines}:  # else it was cut between two lines
            assert f"{victim.name} " in told and "damaged" in told, (number, victim)


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("images/**/*.png"))


@pytest.mark.claim("R5", tries=20)
def test_damage_anywhere_in_a_result_is_never_read_as_another_result(
    whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    record, scores, expected = read_record(whole), read_scores(whole), comparable(whole)
    for number, chance in enumerate(tries):
        folder = tmp_path / str(number) / whole.name
        shutil.copytree(whole, folder)
        victim = folder / chance.choice(["record.json", "scores.jsonl"])
        damage(victim, chance)
        try:
            assert read_record(folder) == record and read_scores(folder) == scores, number
        except UsageError as error:
            assert victim.name in str(error)
        run(folder.parent, Painter(), Eye())
        assert comparable(folder) == expected, number


@pytest.mark.claim("R5", tries=20)
def test_damage_anywhere_in_what_was_asked_is_named_or_harmless(
    whole: Path, tries: list[random.Random], tmp_path: Path
) -> None:
    expected = {name: each for name, each in comparable(whole).items() if name != "spec.json"}
    for number, chance in enumerate(tries):
        folder = tmp_path / str(number) / whole.name
        shutil.copytree(whole, folder)
        victim = folder / chance.choice(["plan.json", "spec.json", "options.json"])
        damage(victim, chance)
        pictures(folder)[chance.randrange(40)].unlink()  # something is to be made
        try:
            run(folder.parent, Painter(), Eye())
        except UsageError as error:
            assert victim.name in str(error) or "another run" in str(error), number
            victim.unlink()
            run(folder.parent, Painter(), Eye())
        assert expected == {name: each for name, each in comparable(folder).items() if name != "spec.json"}, number
