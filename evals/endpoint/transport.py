"""One request over HTTP: to one host, until one deadline, of bounded size, over no redirect."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
import urllib.request
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from ..errors import EnvironmentProblem, UsageError
from .address import Address

_SLICE = 0.5
"""Seconds after which a read looks whether it shall stop."""
_CONNECT = 20.0
"""Seconds within which a connection must come about."""
_BLOCK = 1 << 16
_HEADERS = 1 << 20
"""Bytes that may come beside the body: headers, and what frames its chunks."""
_WORDS = 1 << 16
"""Bytes of an error's body that are read: enough for the server's words."""


class TransportError(Exception):
    """No reply came. The message has no address in it."""


class Unreached(TransportError):
    """No connection came about. `passing` says that a later try may do better."""

    def __init__(self, reason: str, *, passing: bool = True) -> None:
        super().__init__(reason)
        self.passing = passing


class Broken(TransportError):
    """The connection ended before the reply was whole, or what came is no HTTP."""


class Late(TransportError):
    """The deadline passed."""


class TooLarge(TransportError):
    """The body is larger than what is read."""


class Stopped(TransportError):
    """The caller wants no reply any more."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered."""

    status: int
    headers: Message
    body: bytes


class Wire:
    """The way to one host, through the environment's proxy where there is one; connections are not kept.

    Raises EnvironmentProblem for a proxy that cannot be used.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._proxy = _proxy_of(address)
        self._tls = _trust() if address.scheme == "https" else None

    def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        most: int,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Response:
        """Send `body` and return the reply, whole, within `seconds`. Raises TransportError.

        `most` bounds the body's bytes, unpacked; of an error's body the first 64 kB are read. A status
        is not judged here, and a redirect is a status.
        """
        return self._request("POST", path, body, headers, _Clock(time.monotonic() + seconds, stopped), most)

    def get(
        self,
        path: str,
        headers: Mapping[str, str],
        *,
        seconds: float,
        most: int,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Response:
        """Return what lies at a path, as `post` does."""
        return self._request("GET", path, None, headers, _Clock(time.monotonic() + seconds, stopped), most)

    def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], clock: _Clock, most: int
    ) -> Response:
        plug = self._connected(clock)
        try:
            return self._exchange(plug, clock, method, path, body, headers, most)
        except TransportError:
            raise
        except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
            raise Broken(_why(error)) from None
        finally:
            plug.close()

    def _exchange(
        self,
        plug: socket.socket,
        clock: _Clock,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        most: int,
    ) -> Response:
        host, port = self.address.where
        connection = http.client.HTTPConnection(host, port)
        connection.sock = _Plug(plug, clock, most + _HEADERS)
        target = self.address.target(path)
        headers = {"Host": self.address.origin.partition("//")[2], **headers}
        if self._proxy is not None and self._tls is None:
            target = self.address.origin + target
            headers = {**headers, **_basic("Proxy-Authorization", self._proxy)}
        # A server that refuses a request may answer before it has read it, and close: the answer is there.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, target, body, {**headers, "Accept-Encoding": "identity", "Connection": "close"})
        reply = connection.getresponse()
        if 200 <= reply.status < 300:
            return Response(reply.status, reply.headers, _body(reply, most, whole=True))
        data = b""
        with contextlib.suppress(Broken, OSError, http.client.HTTPException, ValueError, zlib.error):
            data = _body(reply, _WORDS, whole=False)  # a refusal is one, also where its words are cut
        return Response(reply.status, reply.headers, data)

    def _connected(self, clock: _Clock) -> socket.socket:
        plug = _dial(*(self._proxy or self.address).where, clock)
        if self._tls is None:
            return plug
        try:
            if self._proxy is not None:
                _tunnel(plug, clock, self.address, self._proxy)
            plug.settimeout(clock.left(_CONNECT))
            return self._tls.wrap_socket(plug, server_hostname=self.address.host)
        except ssl.SSLCertVerificationError as error:
            plug.close()
            raise Unreached(f"its certificate is not trusted: {error.verify_message}", passing=False) from None
        except ssl.SSLEOFError:
            plug.close()
            raise Broken("the connection ended within the TLS handshake") from None
        except ssl.SSLError as error:
            plug.close()
            raise Unreached(f"it speaks no TLS ({error.reason}): is it an http:// address?", passing=False) from None
        except TimeoutError:
            plug.close()
            raise Unreached("no TLS connection in time") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            plug.close()
            raise Broken(_why(error)) from None
        except BaseException:
            plug.close()
            raise


@dataclass(frozen=True, slots=True)
class _Clock:
    """The deadline of one request and whether it is still wanted."""

    deadline: float
    stopped: Callable[[], bool]

    def left(self, most: float) -> float:
        """Return the seconds that remain, at most `most`. Raises Late and Stopped."""
        if self.stopped():
            raise Stopped("stopped")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Late("the deadline passed")
        return min(left, most)


class _Plug:
    """A connected socket as http.client uses one; each wait ends at the clock's deadline.

    A timeout of the socket itself begins anew with each byte, so that a server that drips would never be late.
    """

    def __init__(self, plug: socket.socket, clock: _Clock, most: int) -> None:
        self._plug, self._clock, self._most = plug, clock, most

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._plug.settimeout(self._clock.left(_SLICE))
            try:
                rest = rest[self._plug.send(rest[: 1 << 18]) :]
            except TimeoutError as error:
                _only_a_slice(error)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._plug, self._clock, self._most), _BLOCK)

    def close(self) -> None:
        """Do nothing: http.client closes as soon as it has read the headers, `Wire.post` when it has all."""


class _Incoming(io.RawIOBase):
    """The bytes that come, at most `most` of them."""

    def __init__(self, plug: socket.socket, clock: _Clock, most: int) -> None:
        self._plug, self._clock, self._left = plug, clock, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while True:
            self._plug.settimeout(self._clock.left(_SLICE))
            try:
                count = self._plug.recv_into(buffer)
            except TimeoutError as error:
                _only_a_slice(error)
                continue
            self._left -= count
            if self._left < 0:
                raise TooLarge("more came than is read")
            return count


def _only_a_slice(error: TimeoutError) -> None:
    """Raise the error again where it is the network's own: those of `settimeout` have no number."""
    if error.errno is not None:
        raise error


def _body(reply: http.client.HTTPResponse, most: int, *, whole: bool) -> bytes:
    """Return a reply's body; one that is too large is an error, or cut where it need not be whole."""
    declared = reply.length
    if whole and declared is not None and declared > most:
        raise TooLarge(f"{declared} bytes are more than the {most} that are read")
    data = bytearray()
    while block := reply.read(_BLOCK):
        data += block
        if len(data) > most:
            if whole:
                raise TooLarge(f"more than the {most} bytes that are read")
            return bytes(data[:most])
    if declared is not None and len(data) < declared:
        raise Broken(f"it ended after {len(data)} of {declared} bytes")
    return _unpacked(bytes(data), (reply.headers.get("Content-Encoding") or "identity").strip().lower(), most)


def _unpacked(data: bytes, coding: str, most: int) -> bytes:
    if coding == "identity" or not data:
        return data
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Broken("it came in an encoding that was not asked for")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # reads the header: zlib or gzip
    text = unpack.decompress(data, most + 1)
    if len(text) > most:
        raise TooLarge(f"unpacked, more than the {most} bytes that are read")
    if not unpack.eof:
        raise Broken("its compressed body is cut")
    return text


def _dial(host: str, port: int, clock: _Clock) -> socket.socket:
    """Return a connection to the first of a host's addresses that takes one. Raises Unreached."""
    end = time.monotonic() + clock.left(_CONNECT)
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreached("no such host is known") from None
    reason = "no connection in time"
    for family, kind, protocol, _, place in places:
        left = end - time.monotonic()
        if left <= 0:
            break
        plug = socket.socket(family, kind, protocol)
        try:
            plug.settimeout(left)
            plug.connect(place)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            plug.close()
            reason = "no connection in time" if isinstance(error, TimeoutError) else _why(error)
        except BaseException:
            plug.close()
            raise
        else:
            return plug
    raise Unreached(reason)


def _tunnel(plug: socket.socket, clock: _Clock, address: Address, proxy: Address) -> None:
    """Ask the proxy for a way to the host. Raises Unreached where it gives none."""
    host, port = address.where
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    wire: Any = _Plug(plug, clock, _HEADERS)
    lines = [f"CONNECT {name} HTTP/1.1", f"Host: {name}"]
    lines += [f"{key}: {value}" for key, value in _basic("Proxy-Authorization", proxy).items()]
    wire.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    reply = http.client.HTTPResponse(wire, method="CONNECT")
    reply.begin()
    if reply.status != 200:
        raise Unreached(f"the proxy {proxy.origin} answered {reply.status}", passing=reply.status >= 500)


def _proxy_of(address: Address) -> Address | None:
    """Return the proxy that the environment names for this address."""
    host, port = address.where
    if address.local or urllib.request.proxy_bypass(f"{host}:{port}"):
        return None
    named = urllib.request.getproxies()
    text = named.get(address.scheme) or named.get("all")
    if not text:
        return None
    what = f"the proxy that the environment names for {address.scheme}"
    try:
        proxy = Address.parse(text if "://" in text else f"http://{text}", what)
    except UsageError as error:
        raise EnvironmentProblem(f"{error}; socks proxies are not spoken to") from None
    if proxy.scheme != "http":
        raise EnvironmentProblem(f"{what} is spoken to over TLS, which is not supported: name it with http://")
    return proxy


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header for a name and a password."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _basic(header: str, proxy: Address) -> dict[str, str]:
    return {header: basic(proxy.user, proxy.password)} if proxy.user or proxy.password else {}


def _trust() -> ssl.SSLContext:
    """Return what certificates are checked against: the system's, or certifi's where the system has none."""
    paths = ssl.get_default_verify_paths()
    if not paths.cafile and (not paths.capath or not any(Path(paths.capath).iterdir())):
        with contextlib.suppress(ImportError):
            import certifi

            return ssl.create_default_context(cafile=certifi.where())
    return ssl.create_default_context()


def _why(error: Exception) -> str:
    """Return an error of the network in words, without addresses."""
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "it ended within the body"
    if isinstance(error, http.client.HTTPException | ValueError):
        return f"what came is no HTTP ({type(error).__name__})"
    text: Any = error.strerror if isinstance(error, OSError) else ""  # None where the library made the error itself
    return str(text or type(error).__name__).lower()
