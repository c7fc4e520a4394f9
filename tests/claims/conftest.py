"""How often each claim is tried, and the world in which it is tried."""

from __future__ import annotations

import os
import random

import pytest
from support.claims import LONG
from support.command import World


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> list[random.Random]:
    """A source of chance for each try: as many as the test's claim says, or JANUS_EVAL_TRIES up to its `long`."""
    told = request.node.get_closest_marker("claim").kwargs
    count = min(int(os.environ.get("JANUS_EVAL_TRIES") or told["tries"]), told.get("long", LONG))
    return [random.Random(f"{request.node.name} {number}") for number in range(count)]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The squares, installed."""
    return World.made(tmp_path_factory.mktemp("site"))
