"""The error tree: every failure that a user can mend, each with its exit code.

    JanusEvalError            1
    ├── UsageError            2   a wrong name, option, file or row
    ├── Locked                4   another process works on this run
    ├── Incomplete            5   the run ended without all of its samples
    ├── EnvironmentProblem    6   missing package, weights, data, network, disk
    ├── OutOfMemory           6   the device is full: the runner halves the batch and tries again
    └── InvalidImage          1   a picture that cannot be decoded (recorded for its sample)

The message is one line that says what was asked, what was found and what to do. The command
prints it and exits with the code; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable


class JanusEvalError(Exception):
    """Base of all errors that this package raises on purpose; a message that repeats a whole file is cut."""

    def __init__(self, *told: object) -> None:
        super().__init__(*(shortened(each) if isinstance(each, str) else each for each in told))

    exit_code = 1
    lasting = False
    """Whether the same request fails again for the same reason, so that asking again cannot help."""


class UsageError(JanusEvalError):
    """The request cannot be meant: a wrong name, option, file, column or row."""

    exit_code = 2


class Locked(JanusEvalError):
    """Another process holds the run."""

    exit_code = 4


class Incomplete(JanusEvalError):
    """The run ended without all of its samples; running it again resumes."""

    exit_code = 5


class EnvironmentProblem(JanusEvalError):
    """The machine lacks something: a package, weights, data, network, disk, permission."""

    exit_code = 6


class OutOfMemory(JanusEvalError):
    """The device's memory does not hold the batch; raised by adapters and observers."""

    exit_code = 6


class InvalidImage(JanusEvalError):
    """A picture cannot be decoded; it is a counted outcome of its own, never a wrong answer."""


def shortened(text: str) -> str:
    """Return a text as it is, or its beginning and how long it is: libraries repeat whole files in their errors."""
    return f"{text[:LONGEST]}... ({len(text):,} characters)" if len(text) > LONGEST else text


LONGEST = 4000
"""A message of more characters is read by nobody."""


def why_undecodable(error: Exception) -> str:
    """Return a picture library's reason without paths and memory addresses: equal runs give equal bytes."""
    if "cannot identify image file" in str(error):  # PIL goes on with the path, or the buffer's address
        return "its format cannot be identified"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(getattr(error, "err", error))  # cv2's whole message names the folder where cv2 was built
    return " ".join(text.split())[:200] or type(error).__name__


def without_secrets(text: str) -> str:
    """Return a text without the keys and tokens of the environment: libraries repeat them in their errors."""
    for name, value in os.environ.items():
        if len(value) >= _SECRET_LENGTH and value in text and SECRET.search(name):
            text = text.replace(value, "***")
    return text


SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_SECRET_LENGTH = 12
"""A shorter value may be a word."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the closest known word, if one is close."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def hint(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a message about an unknown word: the nearest known one, else `otherwise`."""
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else otherwise
