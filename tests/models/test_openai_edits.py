"""Edits of an endpoint: a real server reads the form, edits, refuses, breaks off and overlooks the source."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from janus_eval.evals import evaluate
from janus_eval.evals.endpoint.forms import File, form
from janus_eval.evals.errors import EnvironmentProblem, InvalidImage, UsageError
from janus_eval.evals.stored import Stored
from janus_eval.evals.types import Drawn, Job, Picture, Refusal, RunRecord, Sample
from janus_eval.models.openai import OpenAIModel
from PIL import Image
from support.images_server import Studio, folder, journal, painting

COUNT = 4


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key-0123456789")
    with painting(Studio()) as running:
        yield running


def edit(studio: Studio, tmp_path: Path, count: int = COUNT, **more: Any) -> RunRecord:
    options = {"concurrency": "1", **more.pop("model_options", {})}
    return evaluate(
        "openai:editor",
        "imgedit_bench",
        data="toy",
        limit=count,
        observer_options={"judge": "rule"},
        output=tmp_path / "runs",
        base_url=studio.url,
        model_options=options,
        **{"canary": False, **more},
    )


def encoded(color: str = "red", format: str = "PNG") -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (24, 16), color).save(held, format)
    return held.getvalue()


def job(*sources: bytes, prompt: str = "make it blue", name: str = "one") -> Job:
    pictures = tuple(Picture(f"{n}.any", lambda data=data: data) for n, data in enumerate(sources))
    return Job(Sample(name, prompt, pictures), "edit", 0, 7)


def model(studio: Studio, **options: Any) -> OpenAIModel:
    return OpenAIModel("editor", base_url=studio.url, **{"canary": False, "retries": 1, **options})


# -- what is sent -------------------------------------------------------------------------------------


def test_an_edit_is_a_form_with_the_source_as_it_is_the_instruction_and_the_seed(studio: Studio) -> None:
    source, hostile = encoded(format="JPEG"), 'say "é"\r\n--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n9'
    (output,) = model(studio, quality="high", extra='{"b": [1], "c": true}').predict([job(source, prompt=hostile)])
    (body,) = studio.asked
    assert body.pop("files") == [("image", "image/jpeg", source)]
    assert body == {
        "model": "editor",
        "prompt": hostile,
        "n": "1",
        "quality": "high",
        "b": "[1]",
        "c": "true",
        "seed": "7",
        "response_format": "b64_json",
    }
    assert isinstance(output, Drawn)


def test_several_sources_go_in_order_and_what_the_service_cannot_read_goes_as_png(studio: Studio) -> None:
    model(studio).predict([job(encoded("red"), encoded("blue", "GIF"), encoded("green", "BMP"))])
    files = studio.asked[0]["files"]
    assert [(name, kind) for name, kind, _ in files] == [("image[]", "image/png")] * 3
    colors = [Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0)) for *_, data in files]
    assert colors == [(255, 0, 0), (0, 0, 255), (0, 128, 0)]


def test_a_size_is_sent_where_it_is_asked_for_and_stands_in_the_card(studio: Studio, tmp_path: Path) -> None:
    record = edit(studio, tmp_path, 1, model_options={"edit_size": "16x8"})
    assert studio.asked[0]["size"] == "16x8" and record.spec.model_card["edits"] == "size=16x8"
    assert "edits" not in model(studio).card
    studio.rejects = "size"
    with pytest.raises(UsageError, match=r"Unknown parameter: 'size'.*-a edit_size=none"):
        model(studio, edit_size="16x8").predict([job(encoded())])


def test_a_source_that_is_no_picture_is_never_sent(studio: Studio) -> None:
    for wrong in (job(b"no picture"), job(encoded()[:40]), job()):
        with pytest.raises(InvalidImage):
            model(studio).predict([wrong])
    assert studio.asked == []


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=30), max_size=3), st.binary(max_size=200))
def test_any_field_and_any_bytes_come_out_of_a_form_as_they_went_in(fields: dict[str, str], data: bytes) -> None:
    told, body = form(fields, [File("image", "png", data)])
    mark = told.partition("boundary=")[2].encode()
    first, *parts, last = body.split(b"--" + mark)
    assert (first, last) == (b"", b"--\r\n") and len(parts) == len(fields) + 1
    values = [each.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for each in parts]
    assert values == [*(each.encode() for each in fields.values()), data]
    assert all(b"\r" not in each.split(b"\r\n")[1] and each.split(b"\r\n")[1].count(b'"') in (2, 4) for each in parts)


# -- what comes ---------------------------------------------------------------------------------------


def test_edits_are_kept_billed_and_judged(studio: Studio, tmp_path: Path) -> None:
    studio.usage = {"input_tokens": 60, "input_tokens_details": {"image_tokens": 50}, "output_tokens": 400}
    record = edit(studio, tmp_path, model_options={"price": "5,8,30"})
    pictures = [each.image for each in Stored(folder(tmp_path)).predictions().values()]
    assert record.complete and studio.billed == COUNT and len({each.read_bytes() for each in pictures if each}) == COUNT
    assert record.environment["paid"]["usd"] == pytest.approx(COUNT * (10 * 5 + 50 * 8 + 400 * 30) / 1e6, abs=1e-4)
    assert (record.counts["scored"], record.counts["unscored"]) == (COUNT, 0)
    edit(studio, tmp_path, model_options={"price": "5,8,30"})
    assert studio.billed == COUNT


@pytest.mark.parametrize("draws_first", [False, True])
def test_a_refused_edit_is_no_error_and_is_asked_for_once(studio: Studio, draws_first: bool) -> None:
    studio.refuse, studio.draws_first = "knife", draws_first
    (output,) = model(studio).predict([job(encoded(), prompt="add a knife")])
    assert isinstance(output, Refusal) and len(studio.asked) == 1


@pytest.mark.parametrize(
    ("switch", "billed"), [({"url_only": True}, 1), ({"rejects": "response_format"}, 1), ({"limit_every": 2}, 1)]
)
def test_an_edit_comes_by_address_without_the_word_for_bytes_or_later(
    studio: Studio, switch: dict[str, Any], billed: int
) -> None:
    for name, value in switch.items():
        setattr(studio, name, value)
    if studio.limit_every:
        model(studio).predict([job(encoded())])
        studio.billed = 0
    (output,) = model(studio).predict([job(encoded())])
    assert isinstance(output, Drawn) and studio.billed == billed
    assert all(each["files"] for each in studio.asked)


def test_an_edit_that_comes_in_half_is_asked_for_once_more(studio: Studio, tmp_path: Path) -> None:
    studio.broken_every = 2
    record = edit(studio, tmp_path, 2)
    assert record.complete and studio.billed == 3
    assert sorted(row["event"] for row in journal(tmp_path)) == ["asked"] * 3 + ["got", "got", "lost"]


@pytest.mark.parametrize("revised", ["\x1b[2J\0\u202e" + "x" * 100_000])
def test_a_hostile_reply_harms_no_edit(studio: Studio, tmp_path: Path, revised: str) -> None:
    studio.revised, studio.draws_as = revised, (5, 9)
    assert edit(studio, tmp_path, 1).complete
    (prediction,) = Stored(folder(tmp_path)).predictions().values()
    with Image.open(prediction.image) as picture:
        assert picture.size == (5, 9)


def test_an_endpoint_without_edits_stops_the_run_at_its_first_word(studio: Studio, tmp_path: Path) -> None:
    studio.edits = False
    with pytest.raises(EnvironmentProblem, match="answered 404"):
        edit(studio, tmp_path, canary=True)
    assert (len(studio.asked), studio.billed) == (1, 0)


# -- the canary ---------------------------------------------------------------------------------------


def test_the_canary_of_edits_edits_two_sources_in_two_ways(studio: Studio, tmp_path: Path) -> None:
    record = edit(studio, tmp_path, 1, canary=True)
    assert studio.billed == 4 + 1 and all(body["files"] for body in studio.asked)
    assert record.environment["paid"]["canary"]["deterministic"] is True
    told = json.loads((folder(tmp_path) / "service" / "canary" / "canary.json").read_text())
    assert sorted(told["pictures"]) == ["again", "one", "other prompt", "other source"]


@pytest.mark.parametrize(("blind", "why"), [("source_blind", "ignores the source"), ("prompt_blind", "the prompt")])
def test_an_editor_that_overlooks_source_or_instruction_is_stopped(
    studio: Studio, tmp_path: Path, blind: str, why: str
) -> None:
    setattr(studio, blind, True)
    with pytest.raises(EnvironmentProblem, match=why):
        edit(studio, tmp_path, canary=True)
    assert studio.billed == 4


def test_an_editor_that_takes_no_seed_is_not_asked_to_differ_by_it(studio: Studio, tmp_path: Path) -> None:
    studio.seedless = True
    assert edit(studio, tmp_path, 1, canary=True).complete


def test_drawings_and_edits_of_one_model_lie_apart(studio: Studio) -> None:
    painter = model(studio, size="8x8")
    drawing = replace(job(name="drawn"), kind="image")
    painter.predict([drawing, job(encoded())])
    assert sorted("files" in body for body in studio.asked) == [False, True]
    assert [body.get("size") for body in studio.asked if "files" not in body] == ["8x8"]
