"""A request's body as multipart/form-data: its fields as text, its pictures as files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..types import Json
from .parts import Medium


@dataclass(frozen=True, slots=True)
class File:
    """A picture that a request carries, under the name that the service reads."""

    name: str
    medium: Medium
    data: bytes


def form(fields: Mapping[str, Json], files: Sequence[File]) -> tuple[str, bytes]:
    """Return the body's media type and bytes (RFC 7578): texts as they are, all other values as JSON.

    What parts the fields is made of their bytes, so that equal requests are equal, and stands in none of them.
    """
    parts = [
        (f'name="{_quoted(name)}"', b"", (value if isinstance(value, str) else json.dumps(value)).encode())
        for name, value in fields.items()
    ]
    parts += [
        (
            f'name="{_quoted(each.name)}"; filename="picture-{number}.{each.medium}"',
            f"Content-Type: image/{each.medium}\r\n".encode(),
            each.data,
        )
        for number, each in enumerate(files)
    ]
    digest = hashlib.sha256(b"\0".join(data for *_, data in parts))
    while any(digest.hexdigest().encode() in data for *_, data in parts):
        digest.update(b"\0")
    mark = digest.hexdigest()
    body = bytearray()
    for told, medium, data in parts:
        body += f"--{mark}\r\nContent-Disposition: form-data; {told}\r\n".encode() + medium + b"\r\n" + data + b"\r\n"
    return f"multipart/form-data; boundary={mark}", bytes(body) + f"--{mark}--\r\n".encode()


def _quoted(name: str) -> str:
    """Return a field's name as browsers write it: what would end it is written by its number."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
