"""A model's repository: folders of it at one commit, from its archive or a copy at hand, equal to their git trees."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ...evals.assets.download import download
from ...evals.errors import EnvironmentProblem, UsageError
from ...evals.files import disk

_MOST = 512 << 20
"""Bytes of a repository's folders: those that hold code are far smaller."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at a commit; `trees` are the git trees of the folders that are taken."""

    address: str
    commit: str
    licence: str
    trees: Mapping[str, str]

    @classmethod
    def read(cls, row: Any, where: str) -> Repository:
        """Return what a table [source] says. Raises UsageError."""
        try:
            trees = {str(name): str(tree) for name, tree in row["trees"].items()}
            found = cls(str(row["repository"]), str(row["commit"]), str(row.get("licence", "unknown")), trees)
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{where}: [source] needs repository, commit and trees: {error!r}") from error
        digests = (found.commit, *trees.values())
        if not all(re.fullmatch(r"[0-9a-f]{40}", each) for each in digests) or not all(map(_is_name, trees)):
            raise UsageError(f"{where}: [source] names no commit and trees of 40 hex digits")
        return found


def _is_name(name: str) -> bool:
    return bool(re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", name))


def place(repository: Repository, target: Path, given: Path | None, *, offline: bool) -> None:
    """Put a repository's folders below `target`: from a checkout, a folder or an archive, else from its address.

    Raises EnvironmentProblem where they are not those of the commit.
    """
    with disk(target):
        target.mkdir(parents=True)
        if given is None:
            _fetch(repository, target, offline=offline)
        elif given.is_file():
            _unpack(repository, given, target)
        elif _is_git(given):
            _checkout(repository, given, target)
        elif given.is_dir():
            for name in repository.trees:
                if (given / name).is_dir():
                    shutil.copytree(given / name, target / name, symlinks=True)
        else:
            raise UsageError(f"--source {given}: there is no such file or folder")
    wrong = differing(repository, target)
    if wrong:
        origin = given if given is not None else repository.address
        raise EnvironmentProblem(f"{origin}: its folder {wrong} is not that of commit {repository.commit}")


def differing(repository: Repository, folder: Path) -> str:
    """Return the first folder that is missing or not as in the commit; "" where all are."""
    return next((name for name, tree in repository.trees.items() if tree_of(folder / name) != tree), "")


def tree_of(folder: Path) -> str:
    """Return git's digest of a folder's content; what Python leaves behind (`__pycache__`) is not part of it."""
    if not folder.is_dir():
        return ""
    rows: list[tuple[bytes, bytes]] = []
    for each in folder.iterdir():
        mode = each.lstat().st_mode
        name = each.name.encode("utf-8", "surrogateescape")
        if stat.S_ISDIR(mode):
            if each.name not in ("__pycache__", ".git"):
                rows.append((name + b"/", b"40000 " + name + b"\0" + bytes.fromhex(tree_of(each))))
            continue
        if stat.S_ISLNK(mode):
            kind, data = b"120000", str(each.readlink()).encode()
        else:
            kind, data = b"100755" if mode & 0o100 else b"100644", each.read_bytes()
        rows.append((name, kind + b" " + name + b"\0" + bytes.fromhex(_digest(b"blob", data))))
    return _digest(b"tree", b"".join(row for _, row in sorted(rows)))


def _digest(kind: bytes, data: bytes) -> str:
    return hashlib.sha1(kind + b" %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _is_git(folder: Path) -> bool:
    return (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def _fetch(repository: Repository, target: Path, *, offline: bool) -> None:
    url = f"{repository.address}/archive/{repository.commit}.tar.gz"
    if offline:
        raise EnvironmentProblem(
            f"{repository.address} at {repository.commit} is not here: --source FOLDER or ARCHIVE names a copy"
        )
    part = target.with_name("source.part")
    try:
        download(url, part, label=repository.address)
        _unpack(repository, part, target)
    finally:
        part.unlink(missing_ok=True)


def _checkout(repository: Repository, folder: Path, target: Path) -> None:
    git = folder / ".git" if (folder / ".git").exists() else folder
    line = ["git", f"--git-dir={git}", "archive", "--format=tar", repository.commit, *repository.trees]
    with tempfile.TemporaryFile() as file:
        try:
            done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False)
        except OSError as error:
            raise EnvironmentProblem(f"git, which reads {folder}, cannot be started: {error.strerror}") from error
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
            raise EnvironmentProblem(f"{folder} does not give commit {repository.commit}: {said}")
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            _take(repository, archive, target, depth=0)


def _unpack(repository: Repository, path: Path, target: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            _take(repository, archive, target, depth=1)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise EnvironmentProblem(f"{path} is no archive of {repository.address}, or is damaged: {error}") from error


def _take(repository: Repository, archive: tarfile.TarFile, target: Path, *, depth: int) -> None:
    """Write the wanted folders' regular files; what leads out of them is passed over, and so found missing."""
    room = _MOST
    wanted = [PurePosixPath(name).parts for name in repository.trees]
    for member in archive:
        parts = PurePosixPath(member.name).parts[depth:]
        inside = any(len(parts) > len(each) and parts[: len(each)] == each for each in wanted)
        if not inside or ".." in parts or not member.isfile():
            continue
        room -= member.size
        content: IO[bytes] | None = archive.extractfile(member)
        if room < 0 or content is None:
            raise EnvironmentProblem(f"the archive of {repository.address} is larger than any code")
        path = target.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read())
        path.chmod(0o755 if member.mode & 0o100 else 0o644)
