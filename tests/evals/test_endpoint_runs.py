"""Whole runs against endpoints: what is kept of a reply, what a fault does to a number, where no secret stands."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import EnvironmentProblem, Incomplete
from janus_eval.evals.stored import Stored
from janus_eval.evals.types import Answer, Job, RunRecord
from janus_eval.reports.summary import run_summary
from support.chat_server import Fault, Service, nowhere, reset, serving

KEY = "sk-planted-key-0123456789abcdef"
PASSWORD = "planted-password"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(Service()) as running:
        yield running


def pope(service: Service, folder: Path, limit: str = "6", **options: str) -> RunRecord:
    options = {"retries": "0", "timeout": "5", **options}
    return evaluate(
        "openai:m", "pope", data="toy", limit=limit, output=folder, base_url=service.url, model_options=options
    )


def said(content: str | None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    return {"choices": [{"message": {"content": content, **more}, "finish_reason": finish}], "usage": usage}


def tree(folder: Path, *apart: str) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", *apart)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_cut_answers_are_counted_and_named_wherever_the_run_is_shown(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.reply = lambda body: said("Yes, I", "length")
    pope(service, tmp_path, limit="4", concurrency="1")
    (folder,) = tmp_path.iterdir()
    assert cli.main(["show", str(folder)]) == 0
    told = "CUT: 4 of 4 answers end at the token limit and are scored as they are ("
    assert told in capsys.readouterr().out
    assert cli.main(["report", str(folder)]) == 0
    assert "4 of 4 answers cut" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["compare", str(folder), str(folder)]) == 0
    assert "4 of 4 answers cut" in " ".join(capsys.readouterr().out.split())


def test_the_option_that_gives_more_tokens_is_the_model_s_own(service: Service, tmp_path: Path) -> None:
    service.reply = lambda body: said("Yes, I", "length")
    record = pope(service, tmp_path, limit="4")
    (folder,) = tmp_path.iterdir()
    for card, told in (({"max_new_tokens": 9}, ": -a max_new_tokens=N"), ({"length": 9}, ": -a length=N"), ({}, "")):
        shown = run_summary(replace(record, spec=replace(record.spec, model_card=card)), folder)
        assert f"give them more tokens{told}" in {line.rpartition("; ")[2] for line in shown}


# -- what is kept -------------------------------------------------------------------------------------


def test_how_an_answer_ended_and_what_it_took_stand_with_it_and_seconds_apart(service: Service, tmp_path: Path) -> None:
    service.reply = lambda body: said("Yes, I", "length") if len(service.asked) % 3 == 0 else said("yes")
    record = pope(service, tmp_path, concurrency="1")
    (folder,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in (folder / "predictions" / "0.jsonl").read_text().splitlines()]
    assert sorted(line["finish"] for line in lines) == ["length"] * 2 + ["stop"] * 4
    assert all(line["usage"] == {"prompt_tokens": 7, "completion_tokens": 2} for line in lines)
    assert record.counts["cut"] == 2
    assert sorted(each.finish for each in Stored(folder).predictions().values()) == ["length"] * 2 + ["stop"] * 4
    rows = [json.loads(line) for line in (folder / "latency.jsonl").read_text().splitlines()]
    assert {row["sample_id"] for row in rows} == {line["sample_id"] for line in lines}
    assert all(0 <= row["seconds"] < 5 for row in rows)
    asked = len(service.asked)
    again = pope(service, tmp_path)
    assert (again.counts, len(service.asked)) == (record.counts, asked)


def test_equal_runs_give_equal_bytes_whatever_the_server_s_speed(service: Service, tmp_path: Path) -> None:
    service.faults = [Fault(500, headers={"Retry-After": "0.2"})]
    for name in ("one", "two"):
        pope(service, tmp_path / name, retries="1")
    trees = [tree(tmp_path / name, "environment.json", "latency.jsonl") for name in ("one", "two")]
    assert trees[0] == trees[1] and any(name.endswith("0.jsonl") for name in trees[0])


def test_a_text_alone_is_stored_as_ever(tmp_path: Path) -> None:
    evaluate("always-yes", "pope", data="toy", limit="1", output=tmp_path)
    (folder,) = tmp_path.iterdir()
    line = json.loads((folder / "predictions" / "0.jsonl").read_text())
    assert line.keys() == {"for", "sum", "sample_id", "index", "kind", "text"}
    assert not (folder / "latency.jsonl").exists()


def test_what_is_no_text_in_an_answer_is_a_failure(tmp_path: Path) -> None:
    class Silent:
        kinds = frozenset(("text",))
        card = {"weights": "w"}

        def predict(self, jobs: Sequence[Job]) -> Sequence[Any]:
            return [Answer(None) for _ in jobs]  # pyright: ignore[reportArgumentType] -- what is tested

    record = evaluate(Silent(), "pope", data="toy", limit="2", output=tmp_path)
    assert (record.counts["predicted"], record.counts["errors"]) == (0, 2)


# -- what a fault does --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        said(""),
        said(None),
        said("", reasoning_content="No"),
        said(None, reasoning="No"),
        said("", "length"),
        said("", "content_filter"),
        {"choices": []},
        {"choices": [{"message": {"content": []}}]},
        {"error": {"message": "overloaded"}},
    ],
    ids=repr,
)
@pytest.mark.claim("R9")
def test_what_is_no_answer_moves_no_metric(service: Service, tmp_path: Path, row: dict[str, Any]) -> None:
    service.reply = lambda body: row
    record = pope(service, tmp_path)
    assert not record.complete and record.counts["scored"] == 0
    assert all(metric.value is None for metric in record.metrics.values())
    (folder,) = tmp_path.iterdir()
    assert len((folder / "errors.jsonl").read_text().splitlines()) == 6


def test_a_refusal_that_repeats_is_not_told_to_be_asked_again(service: Service, tmp_path: Path) -> None:
    service.reply = lambda body: Fault(400, json.dumps({"error": {"message": "the context holds 4096 tokens"}}))
    record = pope(service, tmp_path)
    assert (record.counts["lasting"], record.counts["errors"]) == (6, 6)
    with pytest.raises(Incomplete, match=r"the context holds 4096 tokens.*would be refused again") as caught:
        evaluate("openai:m", "pope", data="toy", output=tmp_path, base_url=service.url, max_errors=3)
    assert "run the same command" not in str(caught.value)
    service.reply = lambda body: {"choices": []}
    with pytest.raises(Incomplete, match="run the same command again"):
        options = {"retries": "0"}
        evaluate(
            "openai:m", "mme", data="toy", output=tmp_path, base_url=service.url, max_errors=3, model_options=options
        )


def test_a_question_that_moderation_declines_is_a_refusal_asked_for_once(service: Service, tmp_path: Path) -> None:
    declined = json.dumps({"error": {"message": "filtered", "code": "content_filter"}})
    service.reply = lambda body: Fault(400, declined) if len(service.asked) == 2 else "yes"
    for _ in range(2):
        record = pope(service, tmp_path, concurrency="1")
    assert (record.counts["refused"], record.counts["errors"], len(service.asked)) == (1, 0, 6)


def test_a_broken_picture_is_no_verdict_and_no_error_of_the_endpoint(service: Service, tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((32, 32), 50).save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    rows = ["index\tcategory\timage_source\tquestion\tanswer\timage"]
    for number, data in enumerate((good, good[:-30], b"<html>no</html>" * 9)):
        image = base64.b64encode(data).decode()
        rows.append(f"{number}\trandom\t{number}.png\tIs there a cat in picture {number}?\tyes\t{image}")
    (tmp_path / "pope.tsv").write_text("\n".join(rows) + "\n")
    record = evaluate(
        "openai:m", "pope", data=tmp_path / "pope.tsv", output=tmp_path / "runs", base_url=service.url, max_errors=0
    )
    assert len(service.asked) == 1
    assert (record.counts["scored"], record.counts["errors"], record.complete) == (1, 0, False)
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "errors.jsonl").read_text().count("cannot be decoded") == 2


# -- judges -------------------------------------------------------------------------------------------

FAULTS: dict[str, Any] = {
    "reset": reset(),
    "429": Fault(429, headers={"Retry-After": "0"}),
    "429 for long": Fault(429, headers={"Retry-After": "3600"}),
    "500": Fault(500, "<h1>oops</h1>"),
    "time-out": Fault(wait=0.8),
    "half a JSON": Fault(200, '{"choices": [{"message": {"content": "1.0'),
    "no JSON": Fault(200, "1.0"),
    "HTML": Fault(200, "<p>1.0</p>", {"Content-Type": "text/html"}),
    "content filter": said("1.0", "content_filter"),
    "all filtered": said(None, "content_filter"),
    "empty": said(""),
    "thought": said("", reasoning_content="1.0"),
    "error in a success": {"error": {"message": "1.0"}},
    "400": Fault(400, '{"error": {"message": "1.0"}}'),
    "no choices": {"choices": []},
}


def judged(service: Service, folder: Path, **options: Any) -> RunRecord:
    judge = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0, "judge_timeout": 0.5, **options}
    return evaluate("always-yes", "mm_vet", data="toy", output=folder, observer_options=judge, max_errors=99)


def total(record: RunRecord) -> float | None:
    return record.metrics[f"{record.headline} (part)"].value  # the toy data lack some of MM-Vet's capabilities


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.claim("R9")
def test_a_fault_of_the_judge_moves_no_score(service: Service, tmp_path: Path, fault: str) -> None:
    service.reply = lambda body: FAULTS[fault] if len(service.asked) % 8 == 0 else "0.5"
    record = judged(service, tmp_path, judge_concurrency=1)
    assert (record.counts["scored"], record.counts["errors"]) == (28, 4) and not record.complete
    assert record.metrics[record.headline].value is None
    assert total(record) == 50
    service.reply = lambda body: "0.5"
    healed = judged(service, tmp_path, judge_concurrency=1)
    assert healed.complete and total(healed) == 50
    assert len(service.asked) == 32 + 4


def test_a_judge_that_is_not_there_gives_no_record(service: Service, tmp_path: Path) -> None:
    service.url = nowhere()
    with pytest.raises(EnvironmentProblem, match=r"judge: .* cannot be reached"):
        judged(service, tmp_path)
    assert not list(tmp_path.rglob("record.json"))
    assert list(tmp_path.rglob("predictions/0.jsonl"))


# -- secrets ------------------------------------------------------------------------------------------

ECHO = f"Incorrect key {KEY} of user planted-user with {PASSWORD}; {KEY[:14]}...{KEY[-10:]}\x1b[2J"
LEAKS: dict[str, Callable[[Service], Any]] = {
    "an answer": lambda service: said(f"the key {KEY} and the word {PASSWORD}"),
    "a name of the model": lambda service: {"model": KEY, **said("yes")},
    "400": lambda service: Fault(400, json.dumps({"error": {"message": ECHO}})),
    "401": lambda service: Fault(401, json.dumps({"error": {"message": ECHO}})),
    "403": lambda service: Fault(403, ECHO),
    "500": lambda service: Fault(500, f"<h1>{ECHO}</h1>"),
    "an error in a success": lambda service: {"error": {"message": ECHO}},
    "no JSON": lambda service: Fault(200, ECHO),
    "a redirect": lambda service: Fault(307, headers={"Location": f"http://planted-user:{PASSWORD}@h/{KEY}?t={KEY}"}),
    "a reset": lambda service: reset(),
    "a quota": lambda service: Fault(429, json.dumps({"error": {"message": ECHO, "code": "insufficient_quota"}})),
    "a parameter": lambda service: Fault(400, json.dumps({"error": {"message": f"{ECHO} max_tokens unsupported"}})),
}


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("who", ["model", "judge"])
@pytest.mark.claim("R17")
def test_no_secret_stands_anywhere(
    service: Service,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    leak: str,
    who: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    fault = LEAKS[leak](service)
    service.reply = lambda body: fault
    url = service.url.replace("//", f"//planted-user:{PASSWORD}@") + f"?token={KEY}"
    if who == "model":
        asked = ["-m", "openai:m", "-b", "pope", "--base-url", url, "-a", "retries=0"]
    else:
        asked = ["-m", "always-yes", "-b", "mm_vet", "--judge", "j", "--judge-base-url", url, "--judge-retries", "0"]
    command = ["run", *asked, "--data", "toy", "-l", "2", "-o", str(tmp_path)]
    for more in ([], ["--dry-run"], ["--json"]):
        cli.main([*command, *more])
    out, err = capsys.readouterr()
    texts = {"stdout": out.encode(), "stderr": err.encode(), "log": caplog.text.encode(), **tree(tmp_path)}
    assert len(texts) > 5
    secrets = (KEY, KEY[:14], KEY[-10:], PASSWORD, "planted-user")
    found = [(name, secret) for name, data in texts.items() for secret in secrets if secret.encode() in data]
    assert found == []
    assert b"\x1b[2J" not in texts["stdout"] + texts["stderr"]


@pytest.mark.parametrize(
    "url",
    [
        f"planted-user:{PASSWORD}@h/v1",
        f"http://planted-user:{PASSWORD}@h:99999/v1",
        f"http://planted-user:{PASSWORD}@h:abc/v1",
        f"http://planted-user:{PASSWORD}@[::1/v1",
        f"http://planted-user:{PASSWORD}@127.0.0.1:9/v1",
    ],
)
@pytest.mark.parametrize(
    "flags",
    [
        ["-m", "openai:m", "-a", "retries=0", "-b", "pope", "--base-url"],
        ["-m", "always-yes", "-b", "mm_vet", "--judge-retries", "0", "--judge", "j", "--judge-base-url"],
    ],
)
@pytest.mark.claim("R17")
def test_an_address_that_cannot_be_asked_is_one_line_without_its_secret(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, flags: list[str]
) -> None:
    code = cli.main(["run", *flags, url, "--data", "toy", "-l", "2", "-o", str(tmp_path)])
    out, err = capsys.readouterr()
    assert code == (6 if ":9/" in url else 2)
    assert err.count("\n") == 1 and err.startswith("janus-eval: error: ") and out == ""
    assert PASSWORD not in err + "".join(map(repr, tree(tmp_path).values()))
