"""`doctor` says what is missing for each thing that one may want to run; it is quick, and shows no key."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from janus_eval.evals import registry
from janus_eval.evals.commands import cli, doctor, machine
from janus_eval.evals.extras import pip_line

SECRET = "sk-doctor-tells-nobody-0123456789"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LMUData", str(tmp_path / "LMUData"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no nvidia-smi
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "bin").mkdir()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(["doctor", *arguments])
    out, err = capsys.readouterr()
    return code, out + err


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    return {each["what"]: each for each in json.loads(told(capsys, *arguments, "--json")[1])}


def test_findings_stand_with_what_one_wants_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = told(capsys)
    lines = out.splitlines()
    at = lines.index("GenEval (geneval)")
    wanted = "to fetch geneval-detector 276 MB; Apache-2.0"
    assert " ".join(lines[at + 2].split()) == wanted
    assert code == 0 and lines[0] == "this machine"


def test_a_name_tells_of_that_alone_with_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = told(capsys, "janus-pro-7b", "DPG-Bench")
    assert code == 0 and "4.2 GB" not in out and "GenEval" not in out
    mends = out.partition("to mend:")[2].split("\n")
    wanted = ("janus-pro-7b", "dpg-bench", "mplug")
    assert [each.strip() for each in mends if each] == [f"janus-eval data fetch {name}" for name in wanted]


def test_every_registered_model_suite_and_tracker_of_ours_is_known() -> None:
    known = {name.replace("_", "-") for use in doctor._USES for name in use.names.split()}
    known |= {"janus-pro", "always-yes", "blank-image", "first-option", "images", "noise-image"}
    known |= {"edit-toy", "same-picture"}  # these need nothing
    known |= {"judge", "options", "prompts", "short-answer", "yes-no"}  # of the user's own data
    for group in ("models", "benchmarks", "trackers"):
        ours = [point.name for point in registry.points(group) if point.value.startswith("janus_eval.")]
        assert {each.replace("_", "-") for each in ours} <= known


def test_a_missing_package_is_said_with_the_line_that_brings_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "pycocotools" else "1.0")
    found = rows(capsys, "geneval")["packages of geneval"]
    assert (found["state"], found["detail"]) == ("missing", "no pycocotools")
    assert found["mend"] == pip_line("geneval") and pip_line("geneval") in told(capsys)[1]


def test_an_unknown_name_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "genevl") == (2, "janus-eval: error: doctor knows no 'genevl'; did you mean 'geneval'?\n")


def test_what_was_fetched_is_there_also_as_the_other_kit_has_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "LMUData").mkdir()
    (tmp_path / "LMUData" / "POPE.tsv").write_text("x")
    found = rows(capsys, "pope")["pope"]
    assert found["state"] == "ok" and found["path"] == str(tmp_path / "LMUData" / "POPE.tsv")


def test_keys_are_told_and_never_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows(capsys)["OPENAI_API_KEY"]["state"] == "optional"
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    for arguments in ((), ("--json",)):
        out = told(capsys, *arguments)[1]
        assert SECRET not in out and SECRET[:8] not in out
    assert rows(capsys)["OPENAI_API_KEY"]["detail"] == "set"


# -- the machine --------------------------------------------------------------------------------------


def driver(folder: Path, *lines: str, code: int = 0) -> None:
    """Put a program in place of nvidia-smi that answers as the driver's own does."""
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\n" + "".join(f"echo '{each}'\n" for each in lines) + f"exit {code}\n")
    tool.chmod(0o755)


def test_gpus_are_told_with_memory_and_driver(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path / "bin", "NVIDIA H100 80GB HBM3, 80995, 81559, 550.54.15", "NVIDIA GB10, [N/A], [N/A], 580.1")
    versions = {"torch": "2.13.0+cu126", "nvidia-cudnn-cu12": "9.10.2.21"}
    monkeypatch.setattr(machine, "installed", versions.get)
    monkeypatch.setattr(machine, "_built_for", lambda: "12.6")
    found = rows(capsys, "geneval")
    assert found["GPU 0"]["detail"] == "NVIDIA H100 80GB HBM3, 84.9 GB of 85.5 GB free, driver 550.54.15"
    assert found["GPU 1"]["detail"] == "NVIDIA GB10, [N/A] of [N/A] free, driver 580.1"
    assert found["torch"]["detail"] == "2.13.0+cu126, CUDA 12.6, cuDNN 9.10.2.21 (nvidia-cudnn-cu12)"


def test_a_torch_for_the_cpu_beside_a_gpu_is_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path / "bin", "NVIDIA H100, 80995, 81559, 550.54.15")
    monkeypatch.setattr(machine, "_built_for", lambda: None)
    found = rows(capsys, "geneval")["torch"]
    assert found["state"] == "warning" and "built for the CPU" in found["detail"]


@pytest.mark.parametrize(("lines", "code"), [(("NVIDIA-SMI has failed",), 9), (("garbage, 1",), 0)])
def test_a_driver_that_fails_is_no_gpu(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lines: tuple[str, ...], code: int
) -> None:
    driver(tmp_path / "bin", *lines, code=code)
    assert rows(capsys, "geneval")["GPU"]["detail"].startswith("none")


def test_what_torch_is_built_for_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert machine._built_for() == torch.version.cuda
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "torch" / "version.py").write_text("cuda: Optional[str] = '12.8'\nhip = None\n")
    monkeypatch.delitem(__import__("sys").modules, "torch")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert machine._built_for() == "12.8"


# -- endpoints ----------------------------------------------------------------------------------------


class Models(http.server.BaseHTTPRequestHandler):
    """Serves a list of models to those who have the key."""

    def do_GET(self) -> None:
        right = self.headers.get("Authorization") == f"Bearer {SECRET}"
        body = json.dumps({"data": [{"id": f"model-{n}"} for n in range(6)]}).encode()
        self.send_response(404 if self.path != "/v1/models" else 200 if right else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_an_endpoint_is_asked_only_where_it_is_named(
    capsys: pytest.CaptureFixture[str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("geneval", "--endpoint", url)
    assert rows(capsys, *asked)[url]["detail"].endswith("but it wants a key (401)")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    found = rows(capsys, *asked)[url]
    assert found["state"] == "ok" and "serves model-0, model-1, model-2, model-3 and 2 more" in found["detail"]
    monkeypatch.setenv("OPENAI_API_KEY", SECRET[:-1])
    assert rows(capsys, *asked)[url]["detail"].endswith("but it refuses the key (401)")
    assert "status 404" in rows(capsys, "geneval", "--endpoint", f"{url}/v2")[f"{url}/v2"]["detail"]
    code, out = told(capsys, *asked)
    assert code == 0 and SECRET not in out


def test_an_endpoint_where_nobody_answers_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, "geneval", "--endpoint", "http://127.0.0.1:9/v1")["http://127.0.0.1:9/v1"]
    assert found["state"] == "warning" and "does not answer" in found["detail"]
    assert told(capsys, "--endpoint", "nonsense")[0] == 2
