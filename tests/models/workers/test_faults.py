"""Whatever a worker does, it costs at most what it was asked for, and is told in one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.errors import EnvironmentProblem, JanusEvalError, OutOfMemory, UsageError
from janus_eval.evals.types import Answer, Job, Picture, Sample
from janus_eval.models.workers.model import Worker, worker

MODEL = """
import ctypes, os, signal, subprocess, sys, time
class Model:
    kinds = ["text"]
    card = {"it": "answers"}
    batch_size = 4
    calls = 0
    def predict(self, jobs):
        Model.calls += 1
        for job in jobs:
            yield from self.one(job)
    def one(self, job):
        CODE
        yield "{} {} {}".format(job.prompt, job.seed, len(job.pictures))
def model(CODE2):
    LOAD
    return Model()
"""


def jobs(*prompts: str) -> list[Job]:
    return [Job(Sample(f"s{i}", prompt), "text", 0, i) for i, prompt in enumerate(prompts)]


Made = Callable[..., Worker]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """Make a worker whose model does `code` before each answer, and `load` when it is made."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    found: list[Worker] = []

    def make(code: str = "pass", load: str = "pass", **options: Any) -> Worker:
        path = tmp_path / "answers.py"
        path.write_text(MODEL.replace("CODE2", "").replace("CODE", code).replace("LOAD", load))
        found.append(worker(str(path), **{"patience": 30.0, **options}))
        return found[-1]

    yield make
    for each in found:
        each.close()


def texts(outputs: Any) -> list[str]:
    return [each.text for each in outputs if isinstance(each, Answer)]


def test_pictures_seeds_and_prompts_arrive(made: Made) -> None:
    picture = Picture("a.png", lambda: b"bytes")
    asked = [Job(Sample("a", "what?", (picture, picture)), "text", 0, 2**62)]
    assert texts(made().predict(asked)) == [f"what? {2**62} 2"]


def test_whatever_prints_goes_to_the_log(made: Made) -> None:
    code = 'print("x" * 9000); os.write(1, b"y" * 9000); ctypes.CDLL(None).puts(b"z" * 9000); os.system("echo shell")'
    asked = made(code)
    assert texts(asked.predict(jobs("a", "b"))) == ["a 0 0", "b 1 0"]


def test_a_reader_of_stdin_finds_nothing_there(made: Made) -> None:
    assert texts(made("assert sys.stdin.read() == ''").predict(jobs("a", "b"))) == ["a 0 0", "b 1 0"]


def once(tmp_path: Path, code: str) -> str:
    """Return code that does something for the prompt "b", the first time only."""
    mark = str(tmp_path / "mark")
    return f'if job.prompt == "b" and not os.path.exists({mark!r}): open({mark!r}, "w").close(); {code}'


@pytest.mark.parametrize(
    "code", ["os.kill(os.getpid(), 9)", "os.kill(os.getpid(), signal.SIGSEGV)", "os._exit(0)", "os._exit(3)"]
)
def test_a_worker_that_ends_in_a_batch_costs_nothing(made: Made, tmp_path: Path, code: str) -> None:
    assert texts(made(once(tmp_path, code)).predict(jobs("a", "b", "c"))) == ["a 0 0", "b 1 0", "c 2 0"]


def test_a_worker_that_hangs_is_killed_and_the_batch_made_again(made: Made, tmp_path: Path) -> None:
    hung = made(once(tmp_path, "time.sleep(600)"), patience=1.0)
    assert texts(hung.predict(jobs("a", "b"))) == ["a 0 0", "b 1 0"]


def test_a_sample_that_ends_every_worker_is_the_only_one_that_fails(made: Made) -> None:
    asked = made('os.kill(os.getpid(), 9) if job.prompt == "b" else None')
    with pytest.raises(JanusEvalError, match=r"signal 9, SIGKILL"):
        asked.predict(jobs("a", "b"))
    with pytest.raises(JanusEvalError):
        asked.predict(jobs("a", "b")[1:])
    assert texts(asked.predict(jobs("a", "b")[:1])) == ["a 0 0"]


def test_workers_that_all_end_stop_the_run_and_tell_their_last_words(made: Made) -> None:
    asked = made('print("no device"); os._exit(7)')
    with pytest.raises(JanusEvalError):
        asked.predict(jobs("a", "b"))
    with pytest.raises(JanusEvalError):
        asked.predict(jobs("a"))
    with pytest.raises(EnvironmentProblem, match=r"6 workers ended.*exit code 7.*no device.*log: "):
        asked.predict(jobs("b"))


def test_exit_while_loading_is_told_as_that(made: Made) -> None:
    with pytest.raises(EnvironmentProblem, match=r"cannot load the model: SystemExit: 0"):
        _ = made(load="sys.exit(0)").card


def test_a_crash_while_loading_is_told_with_its_last_words(made: Made) -> None:
    with pytest.raises(EnvironmentProblem, match=r"exit code 5.*last words: broken"):
        _ = made(load='print("broken", flush=True); os._exit(5)').card


def test_a_worker_that_is_killed_while_it_loads_is_started_again(made: Made, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    kill = f"(open({mark!r}, 'a').write('x'), os.kill(os.getpid(), 9)) if len(open({mark!r}).read()) < TIMES else None"
    (tmp_path / "mark").write_text("")
    assert texts(made(load=kill.replace("TIMES", "2")).predict(jobs("a"))) == ["a 0 0"]
    (tmp_path / "mark").write_text("")
    with pytest.raises(EnvironmentProblem, match=r"ended \(signal 9, SIGKILL\)"):
        _ = made(load=kill.replace("TIMES", "9")).card


def test_an_option_that_the_factory_lacks_is_a_usage_error(made: Made) -> None:
    with pytest.raises(UsageError, match="no option 'speed'"):
        _ = made(options='{"speed": 3}').card


def test_memory_that_is_full_halves_the_batch_and_the_worker_lives(made: Made) -> None:
    asked = made('if len(job.prompt) > 1: raise RuntimeError("CUDA out of memory")')
    with pytest.raises(OutOfMemory):
        asked.predict(jobs("a", "bb"))
    assert texts(asked.predict(jobs("a"))) == ["a 0 0"]
    assert asked._channel is not None  # the first one


def test_one_bad_job_costs_the_others_no_second_asking(made: Made) -> None:
    asked = made(
        'if job.prompt == "b":\n            yield ValueError("bad")\n            return\n        job.seed = Model.calls'
    )
    with pytest.raises(JanusEvalError, match="ValueError: bad"):
        asked.predict(jobs("a", "b", "c"))
    assert texts(asked.predict(jobs("a")[:1])) == ["a 1 0"]
    with pytest.raises(JanusEvalError, match="ValueError: bad"):
        asked.predict(jobs("a", "b")[1:])
    assert texts(asked.predict(jobs("a", "b", "c")[2:])) == ["c 1 0"]


def test_an_exception_is_the_batch_s_and_the_worker_lives(made: Made) -> None:
    asked = made('assert job.prompt != "b", "no b"')
    with pytest.raises(JanusEvalError, match="AssertionError: no b"):
        asked.predict(jobs("a", "b"))
    assert texts(asked.predict(jobs("a"))) == ["a 0 0"]


@pytest.mark.parametrize("code", ['yield "one more"', "return"])
def test_another_number_of_answers_is_an_error(made: Made, code: str) -> None:
    with pytest.raises(JanusEvalError, match=r"output 2 of 2|asked for 2 outputs"):
        made(code).predict(jobs("a", "b"))


def test_a_login_banner_is_passed_over(made: Made, tmp_path: Path) -> None:
    script = tmp_path / "login.sh"
    script.write_text('echo "Welcome"; exec "$@"\n')
    assert texts(made(command=f"sh {script} {sys.executable}").predict(jobs("a"))) == ["a 0 0"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("yes rubbish", "is no worker; it printed b'rubbish"),
        ("echo hello", "exit code 0.*it printed b'hello"),
        ("no-such-program", "does not start"),
        ("false", "exit code 1"),
    ],
)
def test_what_is_no_worker_is_told(made: Made, tmp_path: Path, command: str, told: str) -> None:
    script = tmp_path / "program"
    script.write_text(f"#!/bin/sh\ncat >/dev/null & {command}\n")
    script.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match=told):
        _ = made(command="no-such-program" if told == "does not start" else str(script)).card


SPEAKS = """
import json, os, struct, sys
def frame(**message):
    text = json.dumps(message).encode()
    os.write(1, struct.pack(">II", len(text), 0) + text)
os.write(1, b"\\0janus-worker\\n")
"""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('frame(do="ready", protocol=0)', "speaks protocol 0, this version speaks 1"),
        ('os.write(1, struct.pack(">II", 2_000_000_000, 0))', "damaged .*2,000,000,000 bytes"),
        (
            'os.write(1, struct.pack(">IIQ", 2, 1, 0)[:8] + b"{}" + struct.pack(">Q", 1 << 31))',
            "a blob of 2,147,483,648",
        ),
        ('os.write(1, struct.pack(">II", 4, 0) + b"nope")', "damaged"),
    ],
)
def test_another_protocol_and_frames_of_no_possible_size_are_told(
    made: Made, tmp_path: Path, code: str, told: str
) -> None:
    path = tmp_path / "speaks.py"
    path.write_text(f"{SPEAKS}{code}\nsys.stdin.read()\n")
    script = tmp_path / "old"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} {path}\n")
    script.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match=told):
        _ = made(command=str(script)).card


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
@pytest.mark.parametrize("busy", ["time.sleep(600)", "import re; re.match('(a+)+$', 'a' * 64 + 'b')", "idle"])
def test_a_harness_that_is_killed_leaves_no_worker(tmp_path: Path, busy: str) -> None:
    """Also where the worker hangs in C code that holds the interpreter's lock."""
    note, path = tmp_path / "pid", tmp_path / "answers.py"
    code = f'open({str(note)!r}, "w").write(str(os.getpid())); {"pass" if busy == "idle" else busy}'
    path.write_text(MODEL.replace("CODE2", "").replace("CODE", code).replace("LOAD", "pass"))
    asks = (
        "from janus_eval.models.workers.model import worker\nfrom janus_eval.evals.types import Job, Sample\n"
        f"import time\nworker({str(path)!r}).predict([Job(Sample('a', 'a'), 'text', 0, 1)])\ntime.sleep(600)"
    )
    environment = {**os.environ, "JANUS_EVAL_CACHE": str(tmp_path / "cache")}
    harness = subprocess.Popen([sys.executable, "-c", asks], env=environment)
    while not note.exists() or not note.read_text():
        time.sleep(0.02)
    pid = int(note.read_text())
    assert alive(pid)
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    for _ in range(500):
        if not alive(pid):
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the worker outlived its harness")


def test_no_secret_and_no_path_of_ours_reaches_the_worker(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "PYTHONPATH"):
        monkeypatch.setenv(name, "there")
    code = 'job.prompt = ",".join(n for n in ("OPENAI_API_KEY", "HF_TOKEN", "PYTHONPATH") if n in os.environ)'
    assert texts(made(code).predict(jobs("a"))) == ["HF_TOKEN 0 0"]


def test_a_remote_shell_reads_the_command_once_more(made: Made, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    assert texts(made(command=f"{ssh} host {sys.executable}").predict(jobs("a"))) == ["a 0 0"]


OLDEST = next(iter(sorted((Path.home() / ".pyenv/versions").glob("3.8*/bin/python3.8"))), shutil.which("python3.8"))


@pytest.mark.skipif(OLDEST is None, reason="no Python 3.8 is here")
def test_a_python_3_8_serves(made: Made) -> None:
    assert OLDEST is not None
    asked = made(python=str(OLDEST))
    assert texts(asked.predict(jobs("a"))) == ["a 0 0"]
    assert str(asked.environment["worker"]["python"]).startswith("3.8.")


def test_hundreds_of_megabytes_on_stderr_stop_nothing(made: Made) -> None:
    asked = made('[os.write(2, b"w" * (1 << 20)) for _ in range(100)]')
    for _ in range(3):
        asked.predict(jobs("a"))
    assert asked._channel is not None and asked._channel.log.stat().st_size < 200 << 20


# -- what names its code ------------------------------------------------------------------------------


def test_code_beyond_its_own_file_is_part_of_the_key(made: Made, tmp_path: Path) -> None:
    package = tmp_path / "code" / "mine"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("WORD = 'a'\n")
    (package / "deep" / "late.py").write_text("x = 1\n")
    beside = tmp_path / "elsewhere"
    beside.mkdir()
    (beside / "helper.py").write_text("y = 1\n")
    load = f"sys.path.insert(0, {str(beside)!r}); import helper"

    def code() -> object:
        return made(load=load, paths=str(package.parent)).card["code"]

    first = code()
    assert code() == first
    seen = {first}
    for path in (package / "__init__.py", package / "deep" / "late.py", beside / "helper.py"):
        path.write_text(path.read_text() + "# changed\n")
        seen.add(code())
    (package / "another.py").write_text("")
    seen.add(code())
    assert len(seen) == 5
    (package / "another.py").unlink()
    moved = tmp_path / "moved" / "code"
    shutil.copytree(package.parent, moved)
    assert made(load=load, paths=str(moved)).card["code"] == code()  # wherever it lies


def test_a_module_s_code_is_part_of_the_key_even_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "site-packages"  # as of what is installed
    (folder / "lib_of_mine").mkdir(parents=True)
    (folder / "lib_of_mine" / "__init__.py").write_text("")
    (folder / "lib_of_mine" / "net.py").write_text(
        MODEL.replace("CODE2", "").replace("CODE", "pass").replace("LOAD", "pass")
    )
    (folder / "lib_of_mine" / "inner.py").write_text("a = 1\n")

    def card() -> dict[str, Any]:
        asked = worker("lib_of_mine.net:model", paths=str(folder), patience=30.0)
        try:
            return dict(asked.card)
        finally:
            asked.close()

    first = card()
    assert first["code"].startswith("#") and card() == first
    (folder / "lib_of_mine" / "inner.py").write_text("a = 2\n")
    assert card()["code"] != first["code"]


def test_weights_that_an_option_names_are_part_of_the_key(made: Made, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(bytes(100))
    told = f'{{"folder": "{weights}", "file": "{weights}/model.safetensors", "word": "hello", "none": "{tmp_path}"}}'
    (tmp_path / "w.py").write_text(
        MODEL.replace("CODE2", "folder, file, word, none").replace("CODE", "pass").replace("LOAD", "pass")
    )

    def given() -> dict[str, str]:
        asked = worker(str(tmp_path / "w.py"), options=told, patience=30.0)
        try:
            found: Any = asked.card["given"]
            return found
        finally:
            asked.close()

    first = given()
    assert set(first) == {"folder", "file"}
    (weights / "model.safetensors").write_bytes(bytes(99) + b"\1")
    assert not set(given().values()) & set(first.values())


def test_an_answer_with_an_error_is_that_job_s_error(made: Made) -> None:
    with pytest.raises(JanusEvalError, match="the worker failed: no page"):
        made('yield {"text": "Yes", "error": "no page"}; return').predict(jobs("a"))
