"""What tests of remembered digests share: files at rest, and a look at what is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.evals.assets import cache, digests


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file be at rest: a test would have to wait two seconds after each write."""
    monkeypatch.setattr(cache, "_RACY", -(10**12))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, in order."""
    seen: list[str] = []
    real = digests._read

    def watched(place: str, *given: object, **more: object) -> object:
        seen.append(Path(place).name)
        return real(place, *given, **more)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(digests, "_read", watched)
    return seen
