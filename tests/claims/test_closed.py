"""Nothing goes out: no connection where none may be, no secret in anything that is written."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands import cli
from support.command import World
from support.site import install, visible

SUITES = ("pope", "mme", "mmbench", "seed_bench", "gqa", "mmmu")


@pytest.mark.claim("R16", tries=2, long=10)
def test_a_whole_evaluation_needs_no_network(world: World, tries: list[random.Random], tmp_path: Path) -> None:
    told = tmp_path / "told"
    for number, chance in enumerate(tries):
        output = tmp_path / str(number)
        suites = ",".join(chance.sample(SUITES, len(SUITES)))
        asked = ["-m", "always-yes", "-b", suites, "--data", "toy", "-l", "4", "--offline"]
        assert world.call("run", *asked, "-o", str(output), faults_network=told).code == 0
        assert world.call("report", str(output), faults_network=told).code == 0
        assert not told.exists() or told.read_text() == ""


@pytest.mark.claim("R16")
@pytest.mark.parametrize(
    "asked",
    [
        ["-m", "always-yes", "-b", "pope"],
        ["-m", "always-yes", "-b", "mmbench"],
        ["-m", "noise-image", "-b", "dpg_bench"],
        ["-m", "noise-image", "-b", "geneval", "-l", "1"],
        ["-m", "janus-pro-1b", "-b", "pope", "--data", "toy"],
        ["-m", "hf:nobody/nothing", "-b", "pope", "--data", "toy"],
        ["-m", "diffusers:nobody/nothing", "-b", "geneval", "--data", "toy"],
    ],
)
def test_offline_the_first_missing_file_is_named_at_once(world: World, asked: list[str], tmp_path: Path) -> None:
    told, imported = tmp_path / "told", tmp_path / "imported"
    places = {"janus_eval_cache": tmp_path / "cache", "hf_home": tmp_path / "hf", "lmudata": tmp_path / "lmu"}
    asked = [*asked, "--offline", "-o", str(tmp_path / "runs")]
    done = world.call("run", *asked, faults_network=told, faults_imports=imported, **places)
    assert done.code == 6 and done.err.count("\n") == 1, done.err
    assert "ith network: janus-eval data fetch" in done.err
    assert not told.exists()
    # What takes seconds is importing these; `perf/startup.py` tells the seconds.
    assert not {"torch", "transformers", "diffusers", "pandas", "datasets", "cv2"} & {*imported.read_text().split()}


SECRET = "hf_PlantedSecretOfTheEnvironment0123456789"
LEAKS = """
import os
import zlib
class Leaky:
    kinds = frozenset(["text"])
    card = {"weights": "w"}
    def __init__(self, where: str = ""):
        self.where = where
    def leak(self, where, value):
        if self.where == where:
            raise {"bug": RuntimeError, "exit": SystemExit}.get(where, ValueError)(
                f"401 for Authorization: Bearer {os.environ['PLANTED_TOKEN']} at https://h/?t={os.environ['PLANTED_TOKEN']}")
        return value
    def batch_size(self, jobs):
        return self.leak("bug", self.leak("exit", 3))
    def predict(self, jobs):
        odd = [zlib.crc32(job.sample.id.encode()) % 2 for job in jobs]
        return [self.leak("some", "yes") if each else self.leak("all", "yes") for each in odd]
    def close(self):
        self.leak("close", None)
"""


@pytest.mark.claim("R17")
@pytest.mark.parametrize("where", ["bug", "exit", "some", "all"])
@pytest.mark.parametrize("more", [[], ["--json"], ["--max-errors", "1"]], ids=" ".join)
def test_a_secret_that_an_error_repeats_stands_nowhere(
    where: str, more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    visible(install(tmp_path / "site", "leaky", LEAKS, models={"leaky": "Leaky"}), monkeypatch)
    monkeypatch.setenv("PLANTED_TOKEN", SECRET)
    output = tmp_path / "runs"
    asked = ["-m", "leaky", "-a", f"where={where}", "-b", "pope", "--data", "toy", "-l", "6", "-o", str(output)]
    assert cli.main(["run", *asked, *more]) in (1, 5)
    for command in ("report", "show"):
        folder = output if command == "report" else next(output.iterdir())
        cli.main([command, str(folder)])
    out, err = capsys.readouterr()
    texts = [out.encode(), err.encode(), *(path.read_bytes() for path in output.rglob("*") if path.is_file())]
    assert any(b"Bearer ***" in text for text in texts)
    assert not any(SECRET.encode() in text for text in texts)
    registry.forget()
