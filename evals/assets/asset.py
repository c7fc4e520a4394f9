"""What one thing to fetch is: a file, a folder of files, a data set or weights of the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AssetKind = Literal["file", "folder", "dataset", "weights"]


@dataclass(frozen=True, slots=True)
class Asset:
    """One thing to fetch.

    A `file` has `urls` (tried in order) and a `filename` relative to the cache; `sha256` may be a
    prefix; `git_blob` is git's object id of the content. `size` is about how many bytes are fetched, None
    where that is not known. A `folder` has `files`. A `dataset` or `weights` has `hub`, repository ids
    tried in order, `revision`, and `patterns`, the files taken from it (none: all but duplicate weight formats).
    """

    name: str
    kind: AssetKind = "file"
    urls: tuple[str, ...] = ()
    filename: str = ""
    sha256: str | None = None
    md5: str | None = None
    git_blob: str | None = None
    size: int | None = None
    hub: tuple[str, ...] = ()
    revision: str | None = None
    patterns: tuple[str, ...] = ()
    files: tuple[Asset, ...] = ()
    licence: str = "not stated"
    note: str = ""
