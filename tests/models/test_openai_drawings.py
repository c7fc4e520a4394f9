"""Drawings of an endpoint that is paid by the picture: a real server bills, refuses, breaks off and ignores seeds."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import evaluate, registry
from janus_eval.evals.commands import cli
from janus_eval.evals.endpoint.address import Address
from janus_eval.evals.errors import EnvironmentProblem, Incomplete, UsageError
from janus_eval.evals.records import read_record
from janus_eval.evals.stored import Stored
from janus_eval.evals.types import RunRecord
from janus_eval.models.services import check_alive, price_of
from PIL import Image
from support.images_server import Studio, folder, journal, painting


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key-0123456789")
    with painting(Studio()) as running:
        yield running


def prompts(tmp_path: Path, count: int, special: str = "") -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"a photo of {n + 10} cats\n" for n in range(count)) + (special + "\n" if special else ""))
    return path


def draw(studio: Studio, tmp_path: Path, count: int = 4, special: str = "", **more: Any) -> RunRecord:
    options = {"size": "8x8", "concurrency": "1", **more.pop("model_options", {})}
    return evaluate(
        "openai:painter",
        "prompts",
        data=prompts(tmp_path, count, special),
        output=tmp_path / "runs",
        base_url=studio.url,
        model_options=options,
        **{"canary": False, **more},
    )


def distinct(tmp_path: Path) -> int:
    return len({each.image.read_bytes() for each in Stored(folder(tmp_path)).predictions().values() if each.image})


# -- what is sent -------------------------------------------------------------------------------------


def test_each_picture_of_a_prompt_has_a_seed_of_its_own(studio: Studio, tmp_path: Path) -> None:
    record = draw(studio, tmp_path, 1, benchmark_options={"per_prompt": 4})
    assert (studio.billed, distinct(tmp_path), record.complete) == (4, 4, True)
    assert len({body["seed"] for body in studio.asked}) == 4 and all(
        0 <= body["seed"] < 1 << 31 for body in studio.asked
    )
    assert record.spec.model_card["seed"] == "sent"


def test_a_service_that_takes_no_seed_gets_none_and_the_card_says_so(studio: Studio, tmp_path: Path) -> None:
    record = draw(studio, tmp_path, 1, model_options={"seed": "no"})
    assert "seed" not in studio.asked[0] and record.spec.model_card["seed"] == "service"
    studio.rejects = "seed"
    with pytest.raises(UsageError, match=r"Unknown parameter: 'seed'.*: type -a seed=no"):
        draw(studio, tmp_path, 3)


def test_knobs_go_into_the_request_and_into_the_card(studio: Studio, tmp_path: Path) -> None:
    knobs = {"steps": "20", "guidance": "3.5", "negative_prompt": "text", "extra": '{"true_cfg_scale": 4, "b": [1]}'}
    record = draw(studio, tmp_path, 1, model_options=knobs)
    body = studio.asked[0]
    assert (body["num_inference_steps"], body["guidance_scale"], body["negative_prompt"]) == (20, 3.5, "text")
    assert (body["true_cfg_scale"], body["b"], body["size"]) == (4, [1], "8x8")
    told = record.spec.model_card["images"]
    assert told == "b=[1],guidance_scale=3.5,negative_prompt=text,num_inference_steps=20,size=8x8,true_cfg_scale=4"


def test_a_rewritten_prompt_of_any_kind_harms_no_picture(studio: Studio, tmp_path: Path) -> None:
    studio.revised = "\x1b[2J\0\u202e\n" + "cats " * 100_000
    assert draw(studio, tmp_path, 1).complete
    (prediction,) = Stored(folder(tmp_path)).predictions().values()
    with Image.open(prediction.image) as picture:
        assert picture.text["revised_prompt"].startswith("\x1b[2J \u202e\ncats") and picture.size == (8, 8)


@pytest.mark.parametrize("extra", ["{", "[1]", '{"seed": 3}', '{"prompt": "a cat"}'])
def test_extra_fields_that_cannot_be_meant_are_refused(studio: Studio, tmp_path: Path, extra: str) -> None:
    with pytest.raises(UsageError, match="extra"):
        draw(studio, tmp_path, 1, model_options={"extra": extra})
    assert studio.asked == []


def test_the_word_for_bytes_is_left_out_once_a_reply_refuses_it(studio: Studio, tmp_path: Path) -> None:
    studio.rejects = "response_format"
    assert draw(studio, tmp_path, 3).complete
    assert ["response_format" in body for body in studio.asked] == [True, False, False, False]
    assert studio.billed == 3


def test_a_picture_that_comes_as_an_address_is_fetched(studio: Studio, tmp_path: Path) -> None:
    studio.url_only = True
    assert draw(studio, tmp_path, 2).complete and studio.fetched == 2
    texts = [path.read_bytes() for path in folder(tmp_path).rglob("*.json*")]
    assert not any(b"planted-signature" in each for each in texts)


# -- what is kept -------------------------------------------------------------------------------------


def test_what_a_service_says_of_a_picture_is_kept_with_it(studio: Studio, tmp_path: Path) -> None:
    studio.revised, studio.usage = "a café full of cats", {"input_tokens": 10, "output_tokens": 400}
    record = draw(studio, tmp_path, 1, model_options={"price": "5,8,30"})
    (prediction,) = Stored(folder(tmp_path)).predictions().values()
    with Image.open(prediction.image) as picture:
        assert picture.text["revised_prompt"] == "a café full of cats"
    (got,) = [row for row in journal(tmp_path) if row["event"] == "got"]
    assert got["usd"] == pytest.approx((10 * 5 + 400 * 30) / 1e6) and got["usage"]["output_tokens"] == 400
    assert (got["request_id"], got["tries"]) == ("req_0.png", 1)
    assert record.environment["paid"]["usd"] == pytest.approx(0.0121, abs=1e-4)
    assert [row["event"] for row in journal(tmp_path)] == ["asked", "got"]


def test_pictures_are_on_disk_while_the_others_are_drawn(studio: Studio, tmp_path: Path) -> None:
    studio.hold_from = 4
    thread = threading.Thread(target=draw, args=(studio, tmp_path, 4), daemon=True)
    thread.start()
    for _ in range(600):
        if len(studio.asked) >= 4:
            break
        thread.join(0.05)
    assert len(list((folder(tmp_path) / "service").glob("*.png"))) == 3
    studio.go.set()
    thread.join(30)
    assert list((folder(tmp_path) / "service").glob("*.png")) == [] and distinct(tmp_path) == 4


# -- refusals, money, pace ----------------------------------------------------------------------------


@pytest.mark.parametrize("draws_first", [False, True])
def test_a_refusal_is_asked_for_once_over_three_runs(studio: Studio, tmp_path: Path, draws_first: bool) -> None:
    studio.refuse, studio.draws_first = "knife", draws_first
    for _ in range(3):
        record = draw(studio, tmp_path, 2, special="a bloody knife", max_errors=0)
    assert (record.counts["refused"], record.counts["errors"], len(studio.asked)) == (1, 0, 3)
    (refused,) = [each.refused for each in Stored(folder(tmp_path)).predictions().values() if each.refused]
    assert refused.startswith("content_policy_violation: The picture" if draws_first else "moderation_blocked: Your")
    draw(studio, tmp_path, 2, special="a bloody knife", ask_refused=True)
    assert len(studio.asked) == 4


def test_an_empty_account_stops_the_run_at_its_first_word_and_the_run_goes_on_later(
    studio: Studio, tmp_path: Path
) -> None:
    studio.billing_after = 3
    with pytest.raises(EnvironmentProblem, match=r"no quota left.*billing_hard_limit_reached.*goes on from here"):
        draw(studio, tmp_path, 12)
    assert len(studio.asked) == 4
    studio.billing_after = None
    assert draw(studio, tmp_path, 12).complete
    assert (studio.billed, len(studio.asked)) == (12, 13)


def test_a_model_that_is_not_there_stops_the_run_at_its_first_word(studio: Studio, tmp_path: Path) -> None:
    studio.retired = True
    with pytest.raises(EnvironmentProblem, match=r"answered 404: The model painter has been deprecated"):
        draw(studio, tmp_path, 12, canary=True, model_options={"concurrency": "8"})
    assert (len(studio.asked), studio.billed) == (1, 0)


def test_pictures_under_way_come_though_the_account_is_empty(studio: Studio, tmp_path: Path) -> None:
    studio.billing_after, studio.delay = 5, 0.2
    with pytest.raises(EnvironmentProblem, match="no quota"):
        draw(studio, tmp_path, 12, model_options={"concurrency": "4"})
    assert len(list((folder(tmp_path) / "service").glob("*.png"))) == studio.billed == 5
    studio.billing_after = None
    assert draw(studio, tmp_path, 12).complete and studio.billed == 12


@pytest.mark.parametrize("headers", [{"Retry-After": "0.05"}, {}], ids=["with Retry-After", "without"])
def test_too_fast_is_no_failure_and_costs_nothing(studio: Studio, tmp_path: Path, headers: dict[str, str]) -> None:
    studio.limit_every, studio.limit_headers = 4, headers
    record = draw(studio, tmp_path, 6, model_options={"concurrency": "2"})
    assert record.complete and studio.billed == 6
    assert record.environment["paid"]["pictures"] == 6 and "perhaps_paid" not in record.environment["paid"]


def test_no_more_run_at_once_than_the_service_has_left(studio: Studio, tmp_path: Path) -> None:
    studio.delay = 0.2
    draw(studio, tmp_path, 8, model_options={"concurrency": "8"})
    assert studio.most_at_once > 2
    studio.delay = 0.05
    studio.most_at_once, studio.headers = 0, {"x-ratelimit-remaining-requests": "2"}
    # The canary's first picture goes alone: from then on it is known.
    draw(studio, tmp_path, 24, seed=1, canary=True, model_options={"concurrency": "8"})
    assert studio.most_at_once <= 2


def test_a_reply_that_comes_too_late_is_asked_for_once_more_and_counted(studio: Studio, tmp_path: Path) -> None:
    studio.late = {1: 1.5}
    record = draw(studio, tmp_path, 1, model_options={"timeout": "0.5", "price": "0.04"})
    assert record.complete and len(studio.asked) == 2
    paid = record.environment["paid"]
    assert (paid["pictures"], paid["perhaps_paid"], paid["usd"], paid["perhaps_usd"]) == (1, 1, 0.04, 0.04)


def test_a_reply_that_is_always_late_is_paid_for_twice_at_most(studio: Studio, tmp_path: Path) -> None:
    studio.delay = 1.0
    record = draw(studio, tmp_path, 1, model_options={"timeout": "0.2", "price": "0.04"})
    assert (len(studio.asked), record.counts["errors"], record.environment["paid"]["perhaps_paid"]) == (2, 1, 2)


def test_half_a_picture_is_none_and_may_be_paid(studio: Studio, tmp_path: Path) -> None:
    studio.broken_every = 3
    record = draw(studio, tmp_path, 4, model_options={"price": "0.04"})
    assert record.complete and studio.billed == 5 and distinct(tmp_path) == 4
    assert record.environment["paid"]["perhaps_paid"] == 1


# -- the ceiling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", ["1", "8"])
def test_no_drawing_is_asked_for_that_could_pass_the_ceiling(studio: Studio, tmp_path: Path, concurrency: str) -> None:
    studio.broken_every, studio.delay = 2, 0.01
    options = {"price": "0.04", "concurrency": concurrency}
    with pytest.raises(Incomplete, match=r"could pass --max-cost 0.8.*a higher one goes on"):
        draw(studio, tmp_path, 20, model_options=options, max_cost=0.8)
    assert studio.billed == 20
    studio.broken_every = 0
    record = draw(studio, tmp_path, 20, model_options=options, max_cost=4)
    paid = record.environment["paid"]
    assert record.complete and studio.billed == paid["pictures"] + paid["perhaps_paid"]


def test_a_price_by_tokens_learns_from_the_first_and_keeps_the_ceiling(studio: Studio, tmp_path: Path) -> None:
    studio.usage, studio.delay = {"input_tokens": 0, "output_tokens": 1000}, 0.02
    with pytest.raises(Incomplete, match="could pass"):
        draw(studio, tmp_path, 20, model_options={"price": "5,8,30", "concurrency": "8"}, max_cost=0.3)
    assert studio.billed == 10 and studio.most_at_once > 1
    assert read_record(folder(tmp_path)).state == "interrupted"
    studio.most_at_once = 0
    assert draw(studio, tmp_path, 20, model_options={"price": "5,8,30", "concurrency": "8"}, max_cost=0.6).complete
    assert studio.billed == 20 and studio.most_at_once > 1  # what a picture costs is known from before


def test_a_ceiling_below_the_price_of_the_whole_is_said_before_anything_is_asked(
    studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"24 pictures cost about 0\.96 US\$, more than --max-cost 0\.5"):
        draw(studio, tmp_path, 20, model_options={"price": "0.04"}, max_cost="0.5", canary=True)
    command = ["run", "-m", "openai:painter", "-b", "prompts", "--data", str(tmp_path / "prompts.txt"), "-n"]
    command += ["--base-url", studio.url, "-o", str(tmp_path / "runs"), "-a", "price=0.04"]
    assert cli.main([*command, "--max-cost", "2"]) == 0
    assert "about 0.96 US$ for 24 pictures of 0.0400; prices as given" in capsys.readouterr().out
    assert cli.main([*command, "--max-cost", "0.5"]) == 0
    assert "refused: openai:painter: 24 pictures cost about 0.96 US$" in capsys.readouterr().out
    assert studio.asked == []


@pytest.mark.parametrize("text", ["0", "-1", "much", "inf", "nan"])
def test_a_ceiling_that_is_none_is_refused(studio: Studio, tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="--max-cost"):
        draw(studio, tmp_path, 1, max_cost=text)


def test_a_ceiling_for_what_is_not_paid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is paid for here"):
        evaluate("blank-image", "prompts", data=prompts(tmp_path, 1), output=tmp_path, max_cost=1)


# -- the canary ---------------------------------------------------------------------------------------


def test_the_canary_draws_four_pictures_that_are_kept_and_counted(studio: Studio, tmp_path: Path) -> None:
    record = draw(studio, tmp_path, 2, canary=True, model_options={"price": "0.04"})
    assert studio.billed == 6 and record.environment["paid"]["usd"] == 0.24
    canary = record.environment["paid"]["canary"]
    assert canary == {"size": ["8x8"], "size_as_asked": True, "deterministic": True}
    assert len(list((folder(tmp_path) / "service" / "canary").glob("*.png"))) == 4
    draw(studio, tmp_path, 2, canary=True, model_options={"price": "0.04"})
    assert studio.billed == 6
    assert read_record(folder(tmp_path)).environment["paid"]["canary"] == canary


@pytest.mark.parametrize(
    ("switch", "options", "why"),
    [
        ("seedless", {}, "ignores the seed"),
        ("prompt_blind", {}, "ignores the prompt"),
        ("seedless", {"seed": "no"}, "draws a prompt always alike without one: -a seed=send"),
    ],
)
def test_the_canary_stops_a_run_whose_server_ignores_what_it_is_told(
    studio: Studio, tmp_path: Path, switch: str, options: dict[str, str], why: str
) -> None:
    setattr(studio, switch, True)
    with pytest.raises(EnvironmentProblem, match=why) as caught:
        draw(studio, tmp_path, 9, canary=True, model_options=options)
    assert studio.billed <= 4
    files = [word for word in str(caught.value).replace(":", " ").split() if word.endswith(".png")]
    assert len(files) == 2 and all(Path(each).is_file() for each in files)
    setattr(studio, switch, False)
    studio.random = "seed" in options
    assert draw(studio, tmp_path, 9, canary=True, model_options=options).complete


# -- models that are gone, prices ---------------------------------------------------------------------


def test_a_model_that_was_shut_down_is_named_with_its_date_and_successors_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert cli.main(["run", "-m", "openai:dall-e-3", "-b", "geneval", "-o", str(tmp_path), "-n"]) == 2
    told = capsys.readouterr().err
    assert "openai:dall-e-3 was shut down by OpenAI (Azure: 2026-03-04) on 2026-05-12" in told
    assert "successors: gpt-image-2" in told and "images:DIR" in told and told.count("\n") == 1


def test_a_name_ends_on_its_day_and_only_where_it_is_the_maker_s() -> None:
    maker, own = Address.parse("https://api.openai.com/v1"), Address.parse("http://localhost:8000/v1")
    check_alive("gpt-image-1.5", maker, date(2026, 11, 30))
    check_alive("dall-e-3", own, date(2027, 1, 1))
    for name in ("gpt-image-1.5", "gpt-image-1.5-2025-12-16"):
        with pytest.raises(UsageError, match="2026-12-01"):
            check_alive(name, maker, date(2026, 12, 1))


def test_the_maker_s_service_gets_no_seed_and_the_card_says_so(monkeypatch: pytest.MonkeyPatch, studio: Studio) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert registry.create("models", "openai:gpt-image-2").card["seed"] == "sent; drawings: service"
    assert registry.create("models", "openai:gpt-image-2", base_url=studio.url).card["seed"] == "sent"


def test_two_runs_without_seeds_are_not_called_equal(
    studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studio.random = True
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        draw(studio, tmp_path / name, 2, model_options={"seed": "no"})
        (tmp_path / name / "prompts.txt").unlink()
    assert cli.main(["compare", str(folder(tmp_path / "one")), str(folder(tmp_path / "two"))]) == 0
    assert "the service takes no seed: no two of its runs are equal" in " ".join(capsys.readouterr().out.split())


def test_a_price_comes_from_the_user_else_from_the_dated_table() -> None:
    maker, own = Address.parse("https://api.openai.com/v1"), Address.parse("http://localhost:8000/v1")
    flare = price_of("gpt-image-2.5-flare-2026-09-08", "1024x1024", "medium", maker, None)
    assert flare is not None and flare.picture == pytest.approx(439 * 30 / 1e6) and "2026-09-09" in flare.origin
    assert flare.of({"input_tokens": 20, "output_tokens": 500}) == pytest.approx((20 * 5 + 500 * 30) / 1e6)
    assert price_of("gpt-image-9", "1024x1024", "low", maker, None) is None
    free = price_of("gpt-image-9", "1024x1024", "low", own, None)
    assert free is not None and free.picture == 0
    for wrong in ("", "1,2", "-1", "nan", "cheap"):
        with pytest.raises(UsageError, match="price"):
            price_of("x", "1024x1024", None, own, wrong)


def test_a_paid_service_of_unknown_price_is_not_asked_unless_no_ceiling_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    command = ["run", "-m", "openai:gpt-image-9", "-b", "prompts", "--data", str(prompts(tmp_path, 1))]
    assert cli.main([*command, "-o", str(tmp_path)]) == 2
    assert "what a picture costs is not known: give -a price=" in capsys.readouterr().err
    assert cli.main([*command, "-o", str(tmp_path), "-n", "--max-cost", "none"]) == 0
    assert "unknown: no price is known" in capsys.readouterr().out


def test_the_summary_says_what_was_paid(studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studio.broken_every = 3
    draw(studio, tmp_path, 4, model_options={"price": "0.04"})
    assert cli.main(["show", str(folder(tmp_path))]) == 0
    told = capsys.readouterr().out
    assert "paid: 0.16 US$ for 4 pictures; perhaps 0.04 US$ more for 1 without an answer (price as given)" in told
    assert json.loads((folder(tmp_path) / "environment.json").read_text())["paid"]["usd"] == 0.16
