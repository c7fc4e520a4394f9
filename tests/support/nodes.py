"""A Ray cluster of simulated nodes that come and go, and waiting for what will be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

STORE = 80 * 2**20


@dataclass
class Nodes:
    """A cluster whose nodes come and go; the head has no room for a worker."""

    cluster: Any
    held: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.cluster.address

    def join(self, **environment: str) -> None:
        self.held.append(self.cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars=environment))

    def lose(self, node: Any) -> None:
        self.held.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def fill(self, count: int) -> None:
        """Have so many nodes, none of them special."""
        while len(self.held) > count:
            self.lose(self.held[-1])
        while len(self.held) < count:
            self.join()


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)
    return found
