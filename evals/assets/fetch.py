"""Where data and weights come from: fetched once, verified, then used without a network."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import json
import os
import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import EnvironmentProblem, UsageError
from .asset import Asset
from .cache import cache_root, expanded
from .catalogue import CATALOGUE
from .digests import Digests, digests, file_digests, fingerprint, sha256
from .hub import hub_cache, hub_folder, is_offline

if TYPE_CHECKING:
    from .download import Patience

__all__ = [
    "Asset",
    "cache_root",
    "called",
    "digests",
    "expanded",
    "fetch",
    "file_digests",
    "fingerprint",
    "hub_folder",
    "is_offline",
    "list_assets",
    "locate",
    "place",
    "sha256",
    "verify",
]


def list_assets() -> tuple[Asset, ...]:
    """Return everything that `fetch` knows by name."""
    return CATALOGUE


def asset(name: str) -> Asset:
    """Return the catalogue's entry; `hub:ORG/NAME` and `hub-dataset:ORG/NAME` name any repository, `@REVISION` one of
    its revisions.

    Raises UsageError for an unknown name (with the nearest match) and where ORG/NAME is no such pair.
    """
    kind, colon, rest = name.partition(":")
    if colon and kind in ("hub", "hub-dataset"):
        repo, _, revision = rest.partition("@")
        if not re.fullmatch(r"[^/\s]+(/[^/\s]+)?", repo) or (rest != repo and not revision):
            raise UsageError(f"{name!r} names no hub repository; expected {kind}:ORG/NAME")
        return Asset(name, "weights" if kind == "hub" else "dataset", hub=(repo,), revision=revision or None)
    wanted = name.replace("_", "-").lower()
    known = {each.name: each for each in CATALOGUE}
    known |= {part.name: part for each in CATALOGUE for part in each.files}
    for key, each in known.items():
        if key.replace("_", "-").lower() == wanted:
            return each
    near = difflib.get_close_matches(wanted, list(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "; `janus-eval data list` shows what there is"
    raise UsageError(f"no data or weights are called {name!r}{hint}")


def called(repo: str, revision: str | None = None) -> str:
    """Return what `data fetch` calls a model repository of the hub: its name in the catalogue, else hub:ORG/NAME."""
    known = (each.name for each in CATALOGUE if each.kind == "weights" and repo in each.hub and not revision)
    return next(known, f"hub:{repo}" + (f"@{revision}" if revision else ""))


def place(name: str | Asset) -> Path | None:
    """Return where a file or folder lies once it is fetched; a hub repository has no such place (None)."""
    item = name if isinstance(name, Asset) else asset(name)
    return cache_root() / item.filename if item.filename else None


def locate(name: str | Asset) -> Path | None:
    """Return where something lies on this machine, not reading it, or None. Touches no network."""
    item = name if isinstance(name, Asset) else asset(name)
    if item.kind == "folder":
        return place(item) if all(locate(each) for each in item.files) else None
    if item.kind != "file":
        kind = "datasets" if item.kind == "dataset" else "models"
        for repo in item.hub:
            if (hub_cache() / f"{kind}--{repo.replace('/', '--')}").is_dir():  # else its package need not be asked
                with contextlib.suppress(EnvironmentProblem):
                    return _hub_local(repo, item)
        return None
    return next((each for each in _places(item) if each.is_file()), None)


def fetch(name: str | Asset, *, offline: bool = False, progress: bool = True, patience: Patience | None = None) -> Path:
    """Return the path of a file, a folder or a hub snapshot, fetched where it is not here yet.

    A file is checked against its digest when it arrives, and again whenever its size or time
    changed. Where no digest is published, that of the first arrival is recorded, and another
    content is refused later. Raises EnvironmentProblem that names the command or the place to put
    the file by hand.
    """
    item = name if isinstance(name, Asset) else asset(name)
    offline = is_offline(offline)
    if item.kind == "folder":
        for each in item.files:
            fetch(each, offline=offline, progress=progress, patience=patience)
        return cache_root() / item.filename
    if item.kind != "file":
        return _fetch_hub(item, offline)
    stale = None
    for path in _places(item):
        if path.is_file():
            found = file_digests(path)
            stale = _mismatch(item, path, found)
            if stale is None:
                _record(item, found)
                return path
    if offline:
        raise EnvironmentProblem(f"{item.name} is not on this machine ({stale or 'no such file'}). {_by_hand(item)}")
    return _fetch_file(item, progress, patience)


def verify(name: str | Asset) -> str:
    """Read something that was fetched and return its digest (hex SHA-256; a fingerprint for folders).

    Raises EnvironmentProblem where it is missing or its content is not the expected one.
    """
    item = name if isinstance(name, Asset) else asset(name)
    path = locate(item)
    if path is None:
        raise EnvironmentProblem(f"{item.name} is not on this machine. {_by_hand(item)}")
    if item.kind == "folder":
        for each in item.files:
            verify(each)
    if item.kind != "file":
        return fingerprint(path)
    found = file_digests(path, again=True)
    problem = _mismatch(item, path, found)
    if problem:
        raise EnvironmentProblem(f"{problem}. Remove it, then: janus-eval data fetch {item.name}")
    _record(item, found)
    return found.sha256


def is_published(name: str | Asset, path: Path) -> bool:
    """Return whether a file's content is that of a catalogued one whose digest is published."""
    item = name if isinstance(name, Asset) else asset(name)
    stated = item.sha256 or item.md5 or item.git_blob
    return bool(stated) and path.is_file() and _mismatch(item, path, file_digests(path)) is None


def _fetch_file(item: Asset, progress: bool, patience: Patience | None) -> Path:
    from .download import Unreachable, download  # brings http and ssl

    target = cache_root() / item.filename
    part = target.with_name(target.name + ".part")
    trusted = _is_published(item)
    problems: list[str] = []
    with _locked(target):
        if target.is_file() and _mismatch(item, target, file_digests(target)) is None:
            return target  # another process fetched it while this one waited
        for url in item.urls:
            try:
                download(url, part, label=item.name, trusted=trusted, progress=progress, patience=patience)
            except Unreachable as error:
                problems.append(str(error).removeprefix(f"{item.name}: "))
                continue
            found = file_digests(part)
            problem = _mismatch(item, part, found)
            if problem:
                part.unlink()
                problems.append(problem)
                continue
            part.replace(target)
            _record(item, found)
            return target
    raise EnvironmentProblem(f"{item.name} could not be fetched: {'; '.join(problems)}. {_by_hand(item)}")


def _fetch_hub(item: Asset, offline: bool) -> Path:
    kind: Literal["model", "dataset"] = "dataset" if item.kind == "dataset" else "model"
    last: Exception | None = None
    for repo in item.hub:
        try:
            return hub_folder(repo, revision=item.revision, offline=offline, patterns=item.patterns, kind=kind)
        except (UsageError, EnvironmentProblem) as error:
            last = last or error
    assert last is not None
    raise last


def _hub_local(repo: str, item: Asset) -> Path:
    kind: Literal["model", "dataset"] = "dataset" if item.kind == "dataset" else "model"
    return hub_folder(repo, revision=item.revision, offline=True, patterns=item.patterns, kind=kind)


def _places(item: Asset) -> list[Path]:
    """Return where a file may lie: our cache, and VLMEvalKit's folder for its tables."""
    found = [cache_root() / item.filename]
    if item.filename.endswith(".tsv"):
        folder = os.environ.get("LMUData")  # noqa: SIM112 VLMEvalKit spells it so
        found.append((Path(folder) if folder else Path.home() / "LMUData") / Path(item.filename).name)
    return found


def _by_hand(item: Asset) -> str:
    text = f"With network: janus-eval data fetch {item.name}"
    target = place(item)
    if target is not None and item.urls:
        text += f"; or put the file from {item.urls[0]} at {target}"
    return text


def _mismatch(item: Asset, path: Path, digests: Digests) -> str | None:
    """Return what is wrong with a file's content, or None."""
    expected = (
        ("SHA-256", item.sha256, digests.sha256),
        ("MD5", item.md5, digests.md5),
        ("git blob", item.git_blob, digests.git_blob),
    )
    for algorithm, wanted, found in expected:
        if wanted and not found.startswith(wanted.lower()):
            return f"{path} has {algorithm} {found}, expected {wanted}{'...' if len(wanted) < len(found) else ''}"
    recorded = None if _is_published(item) else _recorded(item)
    if recorded not in (None, digests.sha256):
        return (
            f"{path} has SHA-256 {digests.sha256}, but {recorded} was recorded when {item.name} first arrived; "
            f"to accept the new content remove {_record_file(item)}"
        )
    return None


def _is_published(item: Asset) -> bool:
    """Return whether a digest of the file is published, so that none has to be recorded."""
    return bool(item.sha256 or item.md5 or item.git_blob)


def _record_file(item: Asset) -> Path:
    return cache_root() / "digests" / (re.sub(r"[^\w.-]", "__", item.name) + ".json")


def _recorded(item: Asset) -> str | None:
    """Return the SHA-256 that a file had when it first arrived, None where that is not known."""
    try:
        row: Any = json.loads(_record_file(item).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    found: Any = row.get("sha256") if isinstance(row, dict) else None
    return found if isinstance(found, str) else None


def _record(item: Asset, found: Digests) -> None:
    """Write down what a file without a published digest is when it is first seen."""
    if _is_published(item) or _recorded(item) is not None:
        return
    row = {"name": item.name, "sha256": found.sha256, "seen": time.strftime("%Y-%m-%d")}
    file = _record_file(item)
    with contextlib.suppress(OSError):  # a read-only cache cannot hold anybody to anything
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.write_text(json.dumps(row, indent=1))
        draft.replace(file)


@contextlib.contextmanager
def _locked(target: Path) -> Generator[None]:
    """Hold the target's lock: a second process waits, then finds the file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(target.name + ".lock").open("w")
    except OSError as error:
        raise EnvironmentProblem(
            f"{target.parent} cannot be written ({error.strerror}): set JANUS_EVAL_CACHE to a folder of yours"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
