"""The key of an endpoint: from a file or the environment, never shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import EnvironmentProblem, UsageError


def read_key(key_env: str, key_file: Path | None, base_url: str | None) -> str:
    """Return the API key from a file or the environment.

    An address of one's own may need none; api.openai.com does. Raises UsageError for a file that
    cannot be read or holds no key, and EnvironmentProblem where a key is missing or cannot be one.
    """
    if key_file is not None:
        try:
            key = key_file.expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the key file {key_file} cannot be read: {type(error).__name__}") from error
        if not key:
            raise UsageError(f"the key file {key_file} is empty")
    else:
        key = os.environ.get(key_env, "").strip()
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        where = key_file or f"the variable {key_env}"
        raise EnvironmentProblem(f"{where} holds no key: there are spaces, line ends or letters beyond ASCII in it")
    if key:
        return key
    if base_url is None and not os.environ.get("OPENAI_BASE_URL"):
        raise EnvironmentProblem(f"api.openai.com needs a key: set {key_env}, or name a file that holds it")
    return "none"


def no_key(key_env: str, key_file: Path | None, base_url: str | None) -> tuple[str, ...]:
    """Return what `read_key` would complain of, nothing where it finds a key or needs none."""
    try:
        read_key(key_env, key_file, base_url)
    except (EnvironmentProblem, UsageError) as error:
        return (str(error),)
    return ()
