"""One POST against servers that drip, flood, cut, pack and redirect: bounded in time and in bytes."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from janus_eval.evals.endpoint.address import Address
from janus_eval.evals.endpoint.transport import Broken, Late, Response, Stopped, TooLarge, Unreached, Wire
from janus_eval.evals.errors import EnvironmentProblem
from support.chat_server import Fault, Service, drip, endless, nowhere, reset, sent, serving

MB = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as running:
        yield running


def post(url: str, seconds: float = 3.0, most: int = MB, body: bytes = b"{}") -> Response:
    return Wire(Address.parse(url)).post("/chat/completions", body, {"X-Test": "1"}, seconds=seconds, most=most)


def test_a_reply_is_whole(service: Service) -> None:
    found = post(service.url + "?api-version=1")
    assert found.status == 200
    assert json.loads(found.body)["choices"][0]["message"]["content"] == "yes"
    assert service.paths == ["/v1/chat/completions?api-version=1"]


@pytest.mark.parametrize(
    "fault",
    [
        drip(),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drip(b""),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 1 << 40),
        Fault(wait=3.0),
    ],
    ids=["body", "header", "status line", "chunk", "continue for ever", "silence"],
)
def test_the_deadline_is_for_the_whole_reply(service: Service, fault: Fault) -> None:
    service.faults = [fault]
    begun = time.monotonic()
    with pytest.raises((Late, TooLarge)):
        post(service.url, seconds=0.6)
    assert time.monotonic() - begun < 1.5


def chunked(size: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"Content-Length: 200000000\r\n\r\n",
        HEAD + b"\r\n",
        chunked(b"bebc200"),
        chunked(b"-1"),
        b"HTTP/1.1 200 OK\r\nX-Flood: ",
        HEAD + b"Content-Length: -5\r\n\r\n",
    ],
    ids=["declared", "until the end", "one chunk", "a chunk of -1", "a header", "a length below nothing"],
)
def test_a_large_body_costs_no_more_than_its_limit(service: Service, head: bytes) -> None:
    service.faults = [endless(head, b"x" * (MB // 4), 200 * MB)]
    tracemalloc.start()
    try:
        with pytest.raises((TooLarge, Broken)):
            post(service.url, most=2 * MB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MB


@pytest.mark.parametrize("pack", [lambda data: gzip.compress(data), lambda data: zlib.compress(data)])
def test_a_packed_body_is_unpacked_within_the_limit(service: Service, pack: object) -> None:
    assert callable(pack)
    name = "gzip" if pack(b"")[:2] == b"\x1f\x8b" else "deflate"
    service.faults = [Fault(200, pack(b'{"a": 1}'), {"Content-Encoding": name})]
    assert post(service.url).body == b'{"a": 1}'
    service.faults = [Fault(200, pack(b" " * 200 * MB), {"Content-Encoding": name})]
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="unpacked"):
            post(service.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MB


@pytest.mark.parametrize(
    "fault",
    [
        reset(),
        sent(b""),
        sent(HEAD + b"Content-Length: 100\r\n\r\n{"),
        sent(chunked(b"64") + b"{"),
        sent(b"SSH-2.0-OpenSSH_9.6\r\n"),
        sent(b"HTTP/1.1 200\r\n" + b"A: b\r\n" * 200 + b"\r\n"),
        Fault(200, gzip.compress(b"x" * 100)[:-9], {"Content-Encoding": "gzip"}),
        Fault(200, b"no gzip", {"Content-Encoding": "gzip"}),
        Fault(200, b"?", {"Content-Encoding": "br"}),
    ],
    ids=[
        "reset",
        "closed",
        "half a body",
        "half a chunk",
        "no HTTP",
        "200 headers",
        "half a gzip",
        "no gzip",
        "brotli",
    ],
)
def test_a_broken_reply_is_an_error_of_its_own(service: Service, fault: Fault) -> None:
    service.faults = [fault]
    with pytest.raises(Broken) as caught:
        post(service.url)
    assert "127.0.0.1" not in str(caught.value)


def test_nobody_there_is_unreached() -> None:
    with pytest.raises(Unreached, match="refused"):
        post(nowhere())
    with pytest.raises(Unreached, match="no such host"):
        post("http://no-such-host.invalid/v1")


def test_a_refusal_is_read_also_where_it_comes_before_the_request_is_sent(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            plug, _ = server.accept()
            with plug:
                plug.recv(1000)
                plug.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch")
                plug.shutdown(socket.SHUT_WR)
                time.sleep(0.2)

        thread = threading.Thread(target=refuse)
        thread.start()
        found = post(f"http://127.0.0.1:{server.getsockname()[1]}", body=b"x" * 8 * MB)
        thread.join()
    assert (found.status, found.body) == (413, b"much")


def test_a_refusal_stands_where_its_words_are_cut_or_endless(service: Service) -> None:
    service.faults = [sent(b"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\nno")]
    assert post(service.url).status == 400
    service.faults = [endless(b"HTTP/1.1 400 Bad\r\n\r\n", b"no " * 1000, 100 * MB)]
    found = post(service.url)
    assert (found.status, len(found.body)) == (400, 1 << 16)


def test_a_redirect_is_a_status_and_is_not_followed(service: Service) -> None:
    with serving(Service()) as other:
        service.faults = [Fault(307, headers={"Location": other.url})]
        assert post(service.url).status == 307
        assert other.asked == []


def test_a_request_that_nobody_wants_any_more_ends_soon(service: Service) -> None:
    service.faults = [Fault(wait=3.0)]
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        Wire(Address.parse(service.url)).post("/x", b"{}", {}, seconds=30, most=MB, stopped=stop.is_set)
    assert time.monotonic() - begun < 2


# -- proxies and TLS ----------------------------------------------------------------------------------


def test_a_proxy_is_asked_for_other_hosts_and_never_for_this_machine(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Service(reply=lambda body: "from the proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1").replace("//", "//me:pass@"))
        assert b"from the proxy" in post("http://example.invalid/v1").body
        assert proxy.paths == ["http://example.invalid/v1/chat/completions"]
        assert b"from the proxy" not in post(service.url).body
        monkeypatch.setenv("no_proxy", "example.invalid")
        with pytest.raises(Unreached):
            post("http://example.invalid/v1")


@pytest.mark.parametrize("proxy", ["socks5://u:hunter2@h:1080", "https://u:hunter2@h:1", "http://u:hunter2@h:x"])
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(EnvironmentProblem, match="the proxy that the environment names") as caught:
        post("http://example.invalid/v1")
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate for localhost with its key, made here: one that is checked in would expire."""
    made = tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += [
        "-addext",
        "subjectAltName=DNS:localhost,DNS:janus.test",
        "-keyout",
        str(made),
        "-out",
        str(tmp_path / "cert.pem"),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl command that makes a certificate")
    made.write_text(made.read_text() + (tmp_path / "cert.pem").read_text())
    return made


@pytest.fixture
def secure(certificate: Path) -> Iterator[Service]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(Service(), context) as running:
        running.url = running.url.replace("http://127.0.0.1", "https://localhost")
        yield running


def test_a_certificate_is_checked(secure: Service, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreached, match="certificate is not trusted") as caught:
        post(secure.url)
    assert not caught.value.passing
    assert secure.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert post(secure.url, body=b'{"a": "' + b"x" * 4 * MB + b'"}').status == 200
    with pytest.raises(Unreached, match="certificate is not trusted"):
        post(secure.url.replace("localhost", "127.0.0.1"))
    secure.faults = [drip()]
    with pytest.raises(Late):
        post(secure.url, seconds=0.6)


def test_tls_goes_through_a_proxy_s_tunnel(secure: Service, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    port = int(secure.url.removesuffix("/v1").rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as server:
        heads: list[bytes] = []

        def tunnel() -> None:
            plug, _ = server.accept()
            with plug, socket.create_connection(("127.0.0.1", port)) as there:
                heads.append(plug.recv(4096))
                plug.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(there, plug))
                back.start()
                pump(plug, there)
                back.join()

        thread = threading.Thread(target=tunnel)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://me:pass@127.0.0.1:{server.getsockname()[1]}")
        assert post("https://janus.test:1/v1").status == 200
        thread.join(3)
    assert secure.paths == ["/v1/chat/completions"]
    assert heads[0].startswith(b"CONNECT janus.test:1 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==\r\n" in heads[0]


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(4096):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_server_without_tls_is_said(service: Service) -> None:
    with pytest.raises(Unreached, match="no TLS") as caught:
        post(service.url.replace("http://", "https://"))
    assert not caught.value.passing
