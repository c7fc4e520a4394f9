"""Hub snapshots from a real HTTP server that answers as the hub does, gates and fails."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import errors as hub_errors
from janus_eval.evals.assets import fetch as data
from janus_eval.evals.errors import EnvironmentProblem, UsageError

COMMIT = "a" * 40


@dataclass
class Hub:
    """Repositories as {id: {file: content}}; `refusal` is (status, error code) for every request."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    asked: list[str] = field(default_factory=list)
    url: str = ""


class Handler(http.server.BaseHTTPRequestHandler):
    """The few addresses of the hub that a snapshot asks for."""

    state: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.state.asked.append(f"{self.command} {path}")
        if self.state.refusal is not None:
            self.answer(self.state.refusal[0], b"{}", {"X-Error-Code": self.state.refusal[1]})
            return
        for repo, files in self.state.repositories.items():
            for kind, prefix in (("models", ""), ("datasets", "datasets/")):
                if path.startswith(f"/api/{kind}/{repo}/tree/"):
                    tree = [
                        {
                            "type": "file",
                            "path": name,
                            "size": len(content),
                            "oid": hashlib.sha1(content).hexdigest(),
                        }
                        for name, content in files.items()
                    ]
                    self.answer(200, json.dumps(tree).encode(), {})
                    return
                if path.startswith(f"/api/{kind}/{repo}"):
                    siblings = [{"rfilename": name} for name in files]
                    row = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings}
                    self.answer(200, json.dumps(row).encode(), {})
                    return
                for name, content in files.items():
                    if path == f"/{prefix}{repo}/resolve/{COMMIT}/{name}":
                        etag = f'"{hashlib.sha1(content).hexdigest()}"'
                        self.answer(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT})
                        return
        self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    import huggingface_hub
    from huggingface_hub import constants, file_download

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", state.url)
        template = state.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, file_download):  # before version 1, the second holds a copy
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        yield state
        close = getattr(huggingface_hub, "close_session", None)
        if close is not None:
            close()
        server.shutdown()
        thread.join()


def test_a_snapshot_is_fetched_once_without_pickled_doubles(hub: Hub) -> None:
    hub.repositories["org/name"] = {
        "config.json": b"{}",
        "model.safetensors": b"safe",
        "pytorch_model.bin": b"pickled",
        "x.fp16.safetensors": b"half",
    }
    folder = data.hub_folder("org/name", ignore=["*.fp16.*"])
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert folder.name == COMMIT
    asked = len(hub.asked)
    assert data.hub_folder("org/name", offline=True) == folder
    assert data.fetch("hub:org/name", offline=True) == folder
    assert data.locate("hub:org/name") == folder
    assert len(hub.asked) == asked


def test_pickled_weights_are_taken_where_there_is_nothing_else(hub: Hub) -> None:
    hub.repositories["org/old"] = {"config.json": b"{}", "pytorch_model.bin": b"pickled"}
    folder = data.hub_folder("org/old")
    assert (folder / "pytorch_model.bin").read_bytes() == b"pickled"


def test_the_other_name_of_a_renamed_organisation_is_tried(hub: Hub) -> None:
    hub.repositories["lmms-lab-encoder/POPE"] = {"data/test-0.parquet": b"rows", "Full/x.parquet": b"not asked for"}
    folder = data.fetch("pope")
    assert (folder / "data" / "test-0.parquet").read_bytes() == b"rows"
    assert not (folder / "Full").exists()
    assert data.locate("pope") == folder


@pytest.mark.parametrize(
    ("refusal", "problem", "message"),
    [
        ((403, "GatedRepo"), EnvironmentProblem, "is gated: accept its licence at https://huggingface.co/org/name"),
        ((404, "RepoNotFound"), UsageError, "the hub has no model org/name"),
        ((401, "RepoNotFound"), UsageError, "or it is private"),
        ((404, "RevisionNotFound"), UsageError, "the hub has no model org/name"),
    ],
)
def test_a_refusal_says_what_to_do(hub: Hub, refusal: tuple[int, str], problem: type, message: str) -> None:
    hub.refusal = refusal
    with pytest.raises(problem, match=message) as caught:
        data.hub_folder("org/name")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(hub_errors, "IncompleteSnapshotError"), reason="huggingface_hub before 2 cannot tell")
def test_a_data_set_that_came_in_part_is_not_used(hub: Hub) -> None:
    hub.repositories["org/rows"] = {"a.parquet": b"1", "b.parquet": b"2"}
    folder = data.hub_folder("org/rows", kind="dataset")
    (folder / "b.parquet").unlink()
    with pytest.raises(EnvironmentProblem, match="janus-eval data fetch hub-dataset:org/rows"):
        data.hub_folder("org/rows", kind="dataset", offline=True)


def test_without_network_what_is_here_is_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    hub.repositories["org/name"] = {"config.json": b"{}", "model.safetensors": b"safe"}
    folder = data.hub_folder("org/name")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert data.hub_folder("org/name") == folder
    with pytest.raises(EnvironmentProblem, match="the hub cannot be reached"):
        data.hub_folder("org/other")
