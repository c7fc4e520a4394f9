"""Fetching: a real HTTP server that misbehaves, and what stays on disk afterwards."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from janus_eval.evals.assets import fetch as data
from janus_eval.evals.assets.asset import Asset
from janus_eval.evals.assets.catalogue import CATALOGUE
from janus_eval.evals.assets.download import Patience, download, retry_after, shown
from janus_eval.evals.assets.hub import doubles
from janus_eval.evals.errors import EnvironmentProblem, UsageError

CONTENT = bytes(range(256)) * 4000  # about 1 MB
SHA = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(tries=3, first_wait=0.01, longest_wait=0.05, timeout=2.0)


@dataclass
class Faults:
    """What the server does wrong, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    etag: str | None = '"one"'
    ignore_range: bool = False
    cut_after: list[int] = field(default_factory=list)  # one entry a request: bytes sent before hanging up
    fail_first: int = 0
    fail_code: int = 500
    page: bool = False
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Faults]:
    faults = Faults()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            faults.ranges.append(wanted)
            if faults.fail_first:
                faults.fail_first -= 1
                self.send_response(faults.fail_code)
                self.send_header("Retry-After", "0.01")
                self.end_headers()
                return
            body, start = faults.content, 0
            fresh = self.headers.get("If-Range") in (None, faults.etag)
            if wanted and fresh and not faults.ignore_range:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if faults.etag:
                self.send_header("ETag", faults.etag)
            self.send_header("Content-Type", "text/html" if faults.page else "application/octet-stream")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            cut = faults.cut_after.pop(0) if faults.cut_after else len(body)
            with contextlib.suppress(OSError):  # a client that has seen enough hangs up
                self.wfile.write(body[start : start + cut])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        faults.url = f"http://127.0.0.1:{running.server_port}/weights.bin"
        yield faults
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LMUData", str(tmp_path / "lmu"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


def item(server: Faults, **changes: object) -> Asset:
    base = Asset(name="weights", urls=(server.url,), filename="w/weights.bin", sha256=SHA[:8])
    return replace(base, **changes)  # type: ignore[arg-type]  # a test's shorthand


def get(asset: Asset, *, offline: bool = False) -> Path:
    return data.fetch(asset, offline=offline, progress=False, patience=QUICK)


def test_a_file_is_fetched_once_and_then_used_without_network(server: Faults) -> None:
    path = get(item(server))
    assert path.read_bytes() == CONTENT
    assert get(item(server), offline=True) == path
    assert len(server.ranges) == 1
    assert sorted(each.name for each in path.parent.iterdir()) == ["weights.bin", "weights.bin.lock"]


def test_a_connection_cut_twice_is_resumed_where_it_stopped(server: Faults) -> None:
    server.cut_after = [100_000, 50_000]
    assert get(item(server)).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_stopped_download_goes_on_in_a_later_call(server: Faults) -> None:
    server.cut_after = [100_000, 0, 0, 0]
    with pytest.raises(EnvironmentProblem, match="ended early"):
        get(item(server))
    server.cut_after = []
    assert get(item(server)).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=100000-"


def test_a_server_that_ignores_range_starts_the_file_anew(server: Faults) -> None:
    server.cut_after, server.ignore_range = [100_000], True
    assert get(item(server)).read_bytes() == CONTENT


def test_content_that_changed_between_two_tries_is_not_joined(server: Faults, tmp_path: Path) -> None:
    server.cut_after = [100_000, 0, 0, 0]
    with pytest.raises(EnvironmentProblem):
        get(item(server, sha256=None))
    server.cut_after, server.content, server.etag = [], CONTENT[::-1], '"two"'
    assert get(item(server, sha256=None)).read_bytes() == CONTENT[::-1]


def test_without_version_and_digest_nothing_is_joined(server: Faults) -> None:
    server.etag, server.cut_after = None, [100_000, 0, 0, 0]
    with pytest.raises(EnvironmentProblem):
        get(item(server, sha256=None))
    server.cut_after, server.ranges = [], []
    assert get(item(server, sha256=None)).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_part_that_is_whole_already_is_taken(server: Faults, own_cache: Path) -> None:
    part = own_cache / "w" / "weights.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    part.with_name(part.name + ".json").write_text(json.dumps({"url": server.url, "validator": '"one"'}))
    assert get(item(server)).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_passing_server_error_is_waited_out(server: Faults, code: int) -> None:
    server.fail_first, server.fail_code = 2, code
    assert get(item(server)).read_bytes() == CONTENT


def test_a_lasting_server_error_names_asset_command_and_place(server: Faults, own_cache: Path) -> None:
    server.fail_first = 99
    with pytest.raises(EnvironmentProblem) as caught:
        get(item(server))
    message = str(caught.value)
    assert "500" in message
    assert "janus-eval data fetch weights" in message
    assert str(own_cache / "w" / "weights.bin") in message
    assert caught.value.exit_code == 6


def test_a_missing_page_goes_to_the_next_address_at_once(server: Faults) -> None:
    server.fail_first, server.fail_code = 1, 404
    assert get(item(server, urls=(server.url, server.url + "?mirror"))).read_bytes() == CONTENT
    assert len(server.ranges) == 2


@pytest.mark.parametrize("kind", ["sha256", "md5", "git_blob"])
def test_a_wrong_digest_is_refused_and_nothing_is_left(server: Faults, kind: str, own_cache: Path) -> None:
    asset = replace(item(server, sha256=None), **{kind: "0" * 32})
    with pytest.raises(EnvironmentProblem, match="expected 0000"):
        get(asset)
    assert [each.name for each in (own_cache / "w").iterdir()] == ["weights.bin.lock"]


def test_md5_and_git_object_id_are_those_of_the_tools(tmp_path: Path) -> None:
    file = tmp_path / "hello"
    file.write_bytes(b"hello\n")
    digests = data.file_digests(file)
    assert digests.git_blob == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object hello
    assert digests.md5 == "b1946ac92492d2347c6235b4d2611184"  # md5sum hello


def test_a_web_page_in_place_of_a_file_is_refused(server: Faults) -> None:
    server.page = True
    with pytest.raises(EnvironmentProblem, match="a web page, not the file"):
        get(item(server, sha256=None))


def test_other_content_than_the_first_arrival_is_refused(server: Faults) -> None:
    asset = item(server, sha256=None)
    path = get(asset)
    path.unlink()
    server.content = b"something else"
    with pytest.raises(EnvironmentProblem, match=f"{SHA} was recorded when weights first arrived"):
        get(asset)


def test_a_damaged_file_is_noticed_by_the_next_fetch_and_by_verify(server: Faults) -> None:
    path = get(item(server))
    path.write_bytes(CONTENT[:-1] + b"\0\0")
    with pytest.raises(EnvironmentProblem, match="expected"):
        data.verify(item(server))
    with pytest.raises(EnvironmentProblem, match="expected"):
        get(item(server), offline=True)
    assert get(item(server)).read_bytes() == CONTENT
    assert data.verify(item(server)) == SHA


def test_no_server_is_one_clear_error_at_once(own_cache: Path) -> None:
    asset = Asset(name="weights", urls=("http://127.0.0.1:9/weights.bin",), filename="weights.bin")
    with pytest.raises(EnvironmentProblem, match=r"cannot be reached.*janus-eval data fetch weights"):
        data.fetch(asset, progress=False, patience=Patience(first_wait=60))


@pytest.mark.claim("R16")
def test_offline_by_environment_asks_no_server(server: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EnvironmentProblem, match="not on this machine"):
        get(item(server))
    assert server.ranges == []


def test_only_http_addresses_are_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(EnvironmentProblem, match="only http and https"):
        download((tmp_path / "secret").as_uri(), tmp_path / "part", label="x")


def test_a_full_disk_is_said_before_the_bytes_come(server: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(EnvironmentProblem, match=r"weights needs .* GB.*JANUS_EVAL_CACHE"):
        get(item(server))


def test_a_cache_that_cannot_be_made_is_an_error_of_the_environment(
    server: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        get(item(server))


def test_two_processes_at_once_fetch_one_file_once(server: Faults) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(get(item(server)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(server.ranges) == 1


def test_a_table_in_the_lmudata_folder_is_used_where_its_digest_is_right(server: Faults, tmp_path: Path) -> None:
    asset = Asset(
        name="pope-tsv",
        urls=(server.url,),
        filename="tsv/POPE.tsv",
        md5=hashlib.md5(CONTENT).hexdigest(),
    )
    (tmp_path / "lmu").mkdir()
    (tmp_path / "lmu" / "POPE.tsv").write_bytes(CONTENT)
    assert get(asset, offline=True) == tmp_path / "lmu" / "POPE.tsv"
    (tmp_path / "lmu" / "POPE.tsv").write_bytes(b"an older version")
    with pytest.raises(EnvironmentProblem, match=r"POPE.tsv has MD5 .*expected"):
        get(asset, offline=True)


def test_a_folder_is_here_when_all_its_files_are(server: Faults, own_cache: Path) -> None:
    files = tuple(item(server, name=f"vqa/{each}", filename=f"vqa/{each}") for each in ("a.bin", "b.bin"))
    folder = Asset(name="vqa", kind="folder", filename="vqa", files=files)
    get(files[0])
    assert data.locate(folder) is None
    assert get(folder) == data.locate(folder) == own_cache / "vqa"


def test_messages_show_no_password_and_no_signed_query() -> None:
    assert shown("https://user:secret@host:8/f.bin?X-Signature=secret#x") == "https://host:8/f.bin"


def test_retry_after_reads_seconds_and_dates() -> None:
    assert [retry_after(each) for each in ("2", "0.5", None, "soon")] == [2.0, 0.5, None, None]
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert 50 < (retry_after(email.utils.formatdate(time.time() + 60, usegmt=True)) or 0) <= 60


def test_names_accept_underscores_and_suggest_the_nearest() -> None:
    assert data.asset("GenEval_Detector").sha256 == "743b7d99"
    assert data.asset("hub:ORG/NAME").hub == ("ORG/NAME",)
    with pytest.raises(UsageError, match="did you mean 'geneval-detector'"):
        data.asset("genevl-detector")


@pytest.mark.parametrize("name", ["hub:", "hub-dataset:", "hub:/", "hub:org/", "hub: ", "hub:a/b/c"])
def test_a_hub_name_without_a_repository_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"names no hub repository; expected hub(-dataset)?:ORG/NAME"):
        data.fetch(name, offline=True)


def test_a_cache_in_the_home_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", "~no-such-user-here/x")
    with pytest.raises(UsageError, match="JANUS_EVAL_CACHE ~no-such-user-here/x: ~no-such-user-here is nobody's home"):
        data.cache_root()


def test_the_catalogue_is_consistent() -> None:
    flat = [part for each in CATALOGUE for part in (each, *each.files)]
    assert len({each.name for each in flat}) == len(flat)
    for each in flat:
        assert bool(each.urls) == (each.kind == "file")
        assert bool(each.hub) == (each.kind in ("dataset", "weights"))
        assert all(url.startswith("https://") for url in each.urls)
        assert len(each.md5 or "0" * 32) == 32
        assert each.kind in ("dataset", "weights") or not Path(each.filename).is_absolute()


def test_a_hub_repository_that_is_not_here_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(EnvironmentProblem, match="janus-eval data fetch hub:org/name"):
        data.hub_folder("org/name", offline=True)
    assert data.locate("janus-pro-1b") is None


def test_pickled_doubles_of_safetensors_are_left_out() -> None:
    listing = ["a/model.safetensors", "a/pytorch_model.bin", "a/config.json", "b/pytorch_model.bin", "vocab.txt"]
    assert doubles(listing) == ["a/pytorch_model.bin"]
    pipeline = ["model_index.json", "whole.safetensors", "vae/x.safetensors"]
    assert doubles(pipeline) == ["whole.safetensors"]
