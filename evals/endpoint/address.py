"""The address of an endpoint: checked before anything is sent, and written down without its secrets."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urljoin, urlsplit

from ..errors import UsageError

_SECRET = re.compile(r"key|token|sig|secret|pass|pwd|auth|cred|code|session", re.IGNORECASE)
_PLAIN = re.compile(r"[\w.\- ]*", re.ASCII)
_LONG = 24
"""Characters from which on a value may be a secret whatever its name."""
_EXAMPLE = "such as http://localhost:8000/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go. `user`, `password` and the values of secret parameters are sent and never shown."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, what: str = "the endpoint's address") -> Address:
        """Read an http or https URL. Raises UsageError, which repeats nothing of what may be a secret."""
        if any("\ud800" <= each <= "\udfff" for each in text):
            raise UsageError(f"{what} is no UTF-8: write it whole, {_EXAMPLE}")
        parts, port = _split(text, what)
        if parts.scheme not in ("http", "https") or "://" not in text:
            raise UsageError(f"{what} does not begin with http:// or https://: write it whole, {_EXAMPLE}")
        if "@" in parts.path or parts.fragment:  # where a password is cut by one of its own characters
            raise UsageError(f"{what} has '@' or '#' behind its host: write them as %40 and %23")
        host = parts.hostname or ""
        if not host or re.search(r"[\s\x00-\x1f\x7f<>\"\\^`{|}%]", host):
            raise UsageError(f"{what} names no host: write it whole, {_EXAMPLE}")
        try:
            host = host if ":" in host else host.encode("idna").decode() if not host.isascii() else host
        except UnicodeError:
            raise UsageError(f"{what} names a host that cannot exist: write it whole, {_EXAMPLE}") from None
        return cls(
            scheme=parts.scheme,
            host=host,
            port=port,
            path=quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~"),
            query=quote(parts.query, safe="/?%:@!$&'()*+,;=~"),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    @property
    def where(self) -> tuple[str, int]:
        """Return host and port to connect to."""
        return self.host, self.port or (443 if self.scheme == "https" else 80)

    @property
    def origin(self) -> str:
        """Return scheme, host and port where one was given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def local(self) -> bool:
        """Say whether it is this machine, which is never behind a proxy."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            found = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return found.is_loopback or found.is_unspecified

    def target(self, path: str) -> str:
        """Return what a request for `path` below this address asks for; the query is kept behind it."""
        return self.path + path + (f"?{self.query}" if self.query else "")

    @property
    def shown(self) -> str:
        """Return the address as it may be printed and recorded: no user, no password, no secret parameter.

        The query stays, because it may choose a deployment: the values of parameters named like a secret
        are ***, long or odd ones 8 digits of their digest.
        """
        pairs = parse_qsl(self.query, keep_blank_values=True)
        told = "&".join(f"{_told(key, 64)}={'***' if _SECRET.search(key) else _told(value)}" for key, value in pairs)
        return self.origin + self.path + (f"?{told}" if told else "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what must stand in no message."""
        values = [value for key, value in parse_qsl(self.query) if _SECRET.search(key) or _told(value) != value]
        return tuple(filter(None, (self.user, self.password, *values)))


def elsewhere(address: Address, location: str) -> str:
    """Return the address that a redirect names, as far as it may be shown."""
    try:
        target, _ = _split(urljoin(address.origin + address.path + "/", location), "a redirect")
    except (UsageError, ValueError):
        return "an address that cannot be read"
    return f"{target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"[:100]


def _split(text: str, what: str) -> tuple[SplitResult, int | None]:
    # Without the library's own error behind it: that one repeats what it could not read.
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        raise UsageError(f"{what} has brackets without an IPv6 address: write it whole, {_EXAMPLE}") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise UsageError(f"{what} has a port that is no number from 1 to 65535: write it whole, {_EXAMPLE}")
    return parts, port


def _told(value: str, most: int = _LONG) -> str:
    return (
        value
        if len(value) <= most and _PLAIN.fullmatch(value)
        else "~" + hashlib.sha256(value.encode()).hexdigest()[:8]
    )
