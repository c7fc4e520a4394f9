"""Snapshots of hub repositories: safetensors preferred, the cache used where there is no network."""

from __future__ import annotations

import errno
import fnmatch
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ..errors import EnvironmentProblem, UsageError
from ..extras import pip_line

_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.msgpack", "*.h5", "*.onnx", "*.gguf")


def is_offline(offline: bool = False) -> bool:
    """Return whether the network is off limits, by argument or by HF_HUB_OFFLINE."""
    return offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def hub_cache() -> Path:
    """Return the folder of the hub's own cache; its package need not be there."""
    try:
        from huggingface_hub import constants
    except ImportError:
        home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
        return Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()
    return Path(constants.HF_HUB_CACHE)


def hub_folder(
    repo: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    patterns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    kind: Literal["model", "dataset"] = "model",
) -> Path:
    """Return the local snapshot of a hub repository (its last path component is the commit).

    `patterns` names the files to take; without them all are taken, but where a folder has weights
    in safetensors, their pickled doubles are left out, and `ignore` names further ones. Without a
    network the snapshot that is here is returned. Raises UsageError for an unknown repository or
    revision and EnvironmentProblem for a gated one, a missing network and a full disk.
    """
    try:
        import huggingface_hub
        from huggingface_hub import constants, errors
    except ImportError as error:
        raise EnvironmentProblem(f"{repo} needs the package huggingface_hub: {pip_line('hf')}") from error
    what = f"{repo}@{revision}" if revision else repo
    name = f"{'hub' if kind == 'model' else 'hub-dataset'}:{repo}"
    manual = f"On a machine with network: janus-eval data fetch {name}; or give a local folder"
    wanted: dict[str, Any] = {"repo_id": repo, "revision": revision, "repo_type": kind}
    wanted |= {"allow_patterns": list(patterns) or None, "ignore_patterns": list(ignore)}
    problem = f"{what} is not in the hub's cache on this machine"
    try:
        unreachable = None if is_offline(offline) else _unreachable(constants.ENDPOINT)
        if is_offline(offline) or unreachable:
            problem = f"{what}: {unreachable}" if unreachable else problem
            return _here(wanted)
        if kind == "model" and not patterns:
            listing = huggingface_hub.HfApi().list_repo_files(repo, revision=revision, repo_type=kind)
            wanted["ignore_patterns"] += doubles(listing)
        return Path(huggingface_hub.snapshot_download(**wanted))
    except errors.GatedRepoError as error:
        raise EnvironmentProblem(
            f"{what} is gated: accept its licence at https://huggingface.co/{repo}, then log in "
            "(`hf auth login`, or HF_TOKEN in the environment)"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise UsageError(
            f"the hub has no {kind} {what}, or it is private: check the name; log in where it is private"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise EnvironmentProblem(f"{problem}. {manual}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentProblem(f"the disk is full while fetching {what}: set HF_HOME to another disk") from error
        # huggingface_hub lets its HTTP library's errors through: httpx or httpx2 from 1.0 on, requests before.
        foreign = type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3"))
        if isinstance(error, OSError) or foreign:
            raise EnvironmentProblem(f"{what}: the hub did not answer ({type(error).__name__}). {manual}") from error
        raise


def doubles(listing: Sequence[str]) -> list[str]:
    """Return the files to leave out: other weight formats beside safetensors in the same folder, and
    whole models in one file beside a pipeline in folders."""
    single = ("*.safetensors", *_WEIGHTS) if "model_index.json" in listing else ()
    folders = {name.rpartition("/")[0] for name in listing if name.endswith(".safetensors")}
    return [
        name
        for name in listing
        if (
            name.rpartition("/")[0] in folders
            and any(fnmatch.fnmatch(name.rpartition("/")[2], each) for each in _WEIGHTS)
        )
        or ("/" not in name and any(fnmatch.fnmatch(name, each) for each in single))
    ]


def _here(wanted: dict[str, Any]) -> Path:
    """Return the snapshot in the cache.

    huggingface_hub calls a model's snapshot incomplete where the doubles were left out, which
    cannot be told apart without the listing: it is returned, and the strict loading of weights
    finds what lacks. A data set must be whole.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return Path(huggingface_hub.snapshot_download(**wanted, local_files_only=True))
    except errors.LocalEntryNotFoundError as error:
        partial: str | None = getattr(error, "snapshot_path", None)
        if partial is None or wanted["repo_type"] != "model":
            raise
        return Path(partial)


def _unreachable(endpoint: str) -> str | None:
    """Return why the hub (or the proxy before it) cannot be reached, in seconds; None where it can.

    huggingface_hub itself goes on asking for the better part of a minute.
    """
    from urllib.request import getproxies, proxy_bypass  # brings http and ssl

    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(host):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as error:
        return f"the hub cannot be reached ({parts.hostname}: {error.strerror or type(error).__name__})"
    return None
