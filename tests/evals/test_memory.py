"""Memory is foreseen: what is free under a control group's limit, and a run that cannot fit stops before loading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from janus_eval.evals import evaluate, memory
from janus_eval.evals.errors import EnvironmentProblem
from janus_eval.evals.members import model, observer
from janus_eval.evals.types import Job


class Huge:
    """A model whose weights no machine holds; it must not be asked for anything."""

    kinds = frozenset(["text"])
    card = {"weights": "none", "device": "cpu", "dtype": "float32"}

    def weights_bytes(self) -> int:
        return 1 << 60

    def predict(self, jobs: Sequence[Job]) -> list[str]:
        raise AssertionError("it was loaded")


def group(folder: Path, most: str, now: int, cache: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(most + "\n")
    (folder / "memory.current").write_text(f"{now}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")


def test_a_run_that_cannot_fit_stops_before_loading_and_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentProblem, match=r"GB for the weights in float32, .* free .*; --dtype bfloat16: "
    ) as told:
        evaluate(Huge(), "pope", data="toy", output=tmp_path, limit=2, tag="huge")
    assert "\n" not in str(told.value)


def test_a_model_that_says_nothing_needs_nothing() -> None:
    class Silent:
        kinds = frozenset(["text"])
        card: dict[str, str] = {}

        def predict(self, jobs: Sequence[Job]) -> list[str]:
            return ["" for _ in jobs]

    memory.check(model(Silent()), "silent")
    assert memory.need(model(Silent())) == ""


@pytest.mark.parametrize(
    "flags, able", [("flags\t\t: fpu avx2 avx512_bf16 amx_bf16", True), ("flags : fpu avx2", False)]
)
def test_a_cpu_tells_whether_it_computes_bfloat16(tmp_path: Path, flags: str, able: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\nvmx flags : bf16\n")
    assert memory.computes_bfloat16(tmp_path / "cpuinfo") is able
    assert memory.computes_bfloat16(tmp_path / "none")  # a system that does not say


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bfloat16_is_called_slow_where_the_cpu_has_no_instructions_for_it(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wide(Huge):
        card = {**Huge.card, "dtype": dtype}

    slow = "(2 to 6 times as long as float32: this CPU has no instructions for bfloat16)"
    for able in (True, False):
        monkeypatch.setattr(memory, "computes_bfloat16", lambda able=able: able)
        assert memory.need(model(Wide())).endswith(slow) is not able


def test_the_tightest_group_counts_and_files_that_were_read_are_free(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("0::/outer/inner\n")
    group(tmp_path / "outer", "1000", 700, 100)
    group(tmp_path / "outer" / "inner", "max", 700, 0)
    assert memory._group(tmp_path, tmp_path / "self") == 400
    group(tmp_path / "outer" / "inner", "750", 700, 0)
    assert memory._group(tmp_path, tmp_path / "self") == 50


def test_in_a_container_the_top_is_the_own_group(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("0::/docker/of/the/host\n")
    group(tmp_path, "900", 1000, 0)
    assert memory._group(tmp_path, tmp_path / "self") == 0


def test_the_first_version_of_groups_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("4:cpu:/x\n3:memory:/x\n")
    folder = tmp_path / "memory" / "x"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("500")
    (folder / "memory.usage_in_bytes").write_text("300")
    (folder / "memory.stat").write_text("total_inactive_file 50\n")
    assert memory._group(tmp_path, tmp_path / "self") == 250


@pytest.mark.parametrize("text", ["", "nonsense", "0::/x\n", "\0\n"])
def test_no_groups_are_no_bound(tmp_path: Path, text: str) -> None:
    (tmp_path / "self").write_text(text)
    assert memory._group(tmp_path / "nowhere", tmp_path / "self") is None
    assert memory._group(tmp_path, tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("device", "room", "fits", "why"),
    [
        ("cpu", 10, False, "no: on a CPU both want the same cores"),
        ("cuda:0", 10, True, "yes: 3.0 GB for the model's weights, 1.0 GB for the scorer's, 6.0 GB for their batches"),
        ("cuda:0", 3, False, "no: 3.0 GB for the model's weights"),
    ],
)
def test_a_scorer_works_beside_a_model_where_a_gpu_holds_both(
    monkeypatch: pytest.MonkeyPatch, device: str, room: int, fits: bool, why: str
) -> None:
    class Sized(Huge):
        def __init__(self, billions: int) -> None:
            self._bytes = billions * 10**9

        def weights_bytes(self) -> int:
            return self._bytes

    class Looking(Sized):
        beside = True

        def observe(self, pairs: Sequence[object]) -> list[object]:
            raise AssertionError(pairs)

    monkeypatch.setattr(memory, "free", lambda device: (room * 10**9, "on the GPU"))
    found, told = memory.beside(model(Sized(3)), observer(Looking(1)), {"device": device})
    assert found is fits and told.startswith(why)
    assert memory.beside(model(Sized(3)), observer(Looking(1)), {})[0]  # what computes nothing here takes no room
