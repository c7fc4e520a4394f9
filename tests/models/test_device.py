"""Devices, memory and faults of model folders, told in the core's own errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from janus_eval.evals.errors import EnvironmentProblem, OutOfMemory, UsageError
from janus_eval.models.device import at_least, loading, memory, place


def test_auto_is_a_cpu_in_float32_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert place("auto", "auto") == (torch.device("cpu"), torch.float32)
    assert place("cpu", "bfloat16")[1] == torch.bfloat16


@pytest.mark.parametrize("device", ["quantum", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match=device):
        place(device, "auto")


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nSee documentation"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ],
)
def test_full_memory_becomes_the_core_s_error_in_one_line(error: Exception) -> None:
    with (
        pytest.raises(OutOfMemory, match="cpu does not hold a batch of 4") as caught,
        memory(torch.device("cpu"), "a batch of 4"),
    ):
        raise error
    assert "\n" not in str(caught.value)


def test_other_runtime_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), memory(torch.device("cpu"), "a batch"):
        raise RuntimeError("shapes differ")


def test_a_missing_package_of_a_library_is_told(tmp_path: Path) -> None:
    told = "needs a package that is not installed: X requires Y"
    with pytest.raises(EnvironmentProblem, match=told), loading("hf:m", tmp_path):
        raise ImportError("\nX requires\nY")


def test_counts_have_a_least_value() -> None:
    at_least(1, steps=None, size=1)
    with pytest.raises(UsageError, match="size=0"):
        at_least(1, size=0)
