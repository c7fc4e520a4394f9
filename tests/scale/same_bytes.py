"""The toy model on GenEval and POPE: one process, shards, Slurm's array and a Ray cluster leave the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from janus_eval.evals.commands.cli import main
from support.command import results
from support.nodes import Nodes
from support.pythons import another_python

ASKED = ("run", "-m", "janus-toy", "-b", "geneval,pope", "-l", "12", "--batch-size", "6", "--device", "cpu", "--json")


def files(output: Path) -> dict[str, str]:
    """Return the digests of all result files of the two runs."""
    assert sorted(path.name.split("--")[1] for path in output.glob("janus-toy--*")) == ["geneval", "pope"]
    return {name: each for name, each in results(output).items() if not name.startswith(".slurm")}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """A CPU adds up in another order with other numbers of threads; Ray gives a worker of one CPU one of them."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    output = tmp_path_factory.mktemp("whole")
    assert main([*ASKED, "-o", str(output)]) == 0
    return files(output)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shards(count: int, whole: dict[str, str], tmp_path: Path) -> None:
    for shard in reversed(range(count)):
        assert main([*ASKED, "-o", str(tmp_path), "--shard", f"{shard}/{count}"]) == 0
    main(["finish", "--json", *map(str, tmp_path.glob("janus-toy--*"))])
    assert files(tmp_path) == whole


def test_an_array_of_jobs(whole: dict[str, str], tmp_path: Path) -> None:
    main([*ASKED, "-o", str(tmp_path), "--executor", "slurm", "--workers", "2", "--slurm", "cluster=local"])
    assert files(tmp_path) == whole


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_ray_cluster(count: int, nodes: Nodes, whole: dict[str, str], tmp_path: Path) -> None:
    nodes.fill(count)
    where = ("--executor", "ray", "--ray-address", nodes.address, "--workers", str(count), "--observers", "1")
    main([*ASKED, "-o", str(tmp_path), *where])
    assert files(tmp_path) == whole


@pytest.mark.parametrize(("without", "way"), [((), "Ray starts"), (("ray",), "the model runs in a process of its own")])
def test_another_python(
    without: tuple[str, ...],
    way: str,
    nodes: Nodes,
    whole: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nodes.fill(2)
    python = another_python(tmp_path / "venv", *without)
    where = ("--executor", "ray", "--ray-address", nodes.address, "--workers", "2", "--observers", "1")
    asked = [*ASKED, "-o", str(tmp_path / "runs"), *where, "--model-python", str(python)]
    assert main([*asked, "-n"]) == 0
    assert way in capsys.readouterr().out
    main(asked)
    assert files(tmp_path / "runs") == whole


def test_several_devices(whole: dict[str, str], tmp_path: Path) -> None:
    asked = [each if each != "cpu" else "cpu,cpu" for each in ASKED]
    main([*asked, "-o", str(tmp_path)])
    assert files(tmp_path) == whole
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
