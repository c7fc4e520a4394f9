"""A Ray cluster of simulated nodes, in which every worker finds the squares; and how often chance is asked."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import World
from support.nodes import STORE, Nodes


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.made(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def ledger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cluster's workers write down what they are asked for: they have its environment, not the driver's."""
    return tmp_path_factory.mktemp("ledger") / "ledger"


@pytest.fixture(scope="session")
def nodes(world: World, ledger_file: Path) -> Iterator[Nodes]:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": world.paths, "SQUARES_PAUSE": "0.15"}
    os.environ |= {"SQUARES_LEDGER": str(ledger_file), "OMP_NUM_THREADS": "1"}
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    yield Nodes(cluster)
    cluster.shutdown()


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> list[random.Random]:
    """A source of chance for each try: JANUS_EVAL_TRIES, else 2."""
    count = int(os.environ.get("JANUS_EVAL_TRIES", "2"))
    return [random.Random(f"{request.node.name} {number}") for number in range(count)]
