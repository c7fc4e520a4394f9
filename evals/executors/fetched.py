"""What comes under one of Ray's references, or why it does not, in our own errors."""

from __future__ import annotations

import re
from typing import Any

from ..errors import EnvironmentProblem

FULL = "Ray's object store is full, and the disk to which it spills: ray start --object-store-memory BYTES gives more"


class Lost(Exception):
    """The actor that was to give it is gone."""


class Missing(Exception):
    """What the actor was to work on lay on a node that is gone."""


def fetched(ref: Any) -> Any:
    """Return what an actor gave. Raises what it raised itself, Lost, Missing, EnvironmentProblem for a full store."""
    import ray
    from ray.exceptions import ObjectLostError, ObjectStoreFullError, OutOfDiskError, RayError, RayTaskError

    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, ObjectStoreFullError | OutOfDiskError):
            raise EnvironmentProblem(FULL) from error
        raise error.cause from None
    except ObjectLostError as error:
        raise Missing(_reason(str(error))) from error
    except (RayError, OSError) as error:
        raise Lost(_reason(str(error))) from error


def _reason(text: str) -> str:
    """Return the last line that names an error, else the beginning: Ray tells its own frames first."""
    lines = [line.strip() for line in text.splitlines() if re.match(r"\s*[\w.]+(Error|Exception): ", line)]
    return (lines[-1] if lines else " ".join(text.split()))[:300]
