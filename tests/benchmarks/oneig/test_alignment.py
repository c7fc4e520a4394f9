"""OneIG-Bench's alignment: replies of all kinds, the makers' rule by hand, their files, and a judge that sees JPEGs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.judging.judge import Judge
from janus_eval.benchmarks.oneig import rules
from janus_eval.benchmarks.oneig.benchmark import OneIgAlignment, OneIgAlignmentCn
from janus_eval.benchmarks.oneig.grader import ALIGNMENT, TEXT
from janus_eval.evals.assets.catalogue import CATALOGUE
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Evidence, Prediction, Sample
from PIL import Image
from support.chat_server import Service, serving

ASKED = {"1": "Is there a cat?", "2": "Is the cat red?", "3": "Is its eye blue?", "4": "Is there a dog?"}
ABOVE = {"1": [0], "2": [1], "3": [2], "4": [0]}
PARENTS = list(ABOVE.values())
COLUMNS = ("category", "id", "prompt_en", "type", "prompt_length", "class")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with serving(Service(reply=lambda body: "Yes")) as running:
        yield running


def row(number: int = 0, category: str = "Portrait", **more: Any) -> dict[str, Any]:
    told = {"category": category, "id": f"{number:03d}", "prompt_en": "a red cat", "type": "NP"}
    asked = {"question": json.dumps(ASKED), "dependency": json.dumps(ABOVE)}
    return {**told, "prompt_length": "short", **asked, **more}


def suite(folder: Path, *rows: dict[str, Any]) -> OneIgAlignment:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows or (row(),)))
    return OneIgAlignment(str(path))


def drawn(folder: Path, sample: Sample, index: int = 0, color: str = "red", mode: str = "RGB") -> Prediction:
    path = folder / f"{sample.id}_{index}.png"
    Image.new(mode, (16, 12), color).save(path)
    return Prediction(sample.id, index, kind="image", image=path)


def judge(service: Service, **options: Any) -> Judge:
    return Judge(
        "oneig_alignment", judge="vlm", judge_base_url=service.url, judge_timeout=5.0, judge_retries=0, **options
    )


def seen(*values: Any) -> Evidence:
    return Evidence("", data={"runs": [{"value": each, "calls": []} for each in values]})


def values(bench: OneIgAlignment, scores: Any) -> dict[str, Any]:
    return {key: each.value for key, each in bench.aggregate(scores).items()}


# -- rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "mark"),
    [
        ("Yes", "Yes"),
        ("No", "No"),
        *((each, "yes") for each in ("Yes.", "yes", " YES\n", "**Yes**", "Yes, there is.", "是", "是的。", "有", "对")),
        *((each, "no") for each in ("No.", "no", "'No'", "No, there are eyes only.", "不是", "没有。", "否")),
        *((each, None) for each in ("Yes and no", "No, yes.", "Yesterday", "Nothing", "Maybe", "The answer is Yes")),
        *(
            (each, None)
            for each in ("I'm sorry, I can't help.", "对不起，我无法回答", "有聚光灯", ".", "", "Yes" * 9999)
        ),
    ],
)
def test_what_a_reply_is(reply: str, mark: str | None) -> None:
    assert rules.mark(reply) == mark


def test_officially_the_one_word_is_a_yes_and_fixed_any_writing_of_it() -> None:
    marks = ["Yes", "yes", "No", "no"]
    assert rules.official(marks) == [True, False, False, False]
    assert rules.fixed(marks) == [True, True, False, False]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((True, True, True, True), 1.0),
        (
            (False, True, True, True),
            0.5,
        ),  # the colour falls with the cat; the eye stays: its parent said yes
        ((True, False, True, False), 0.25),
        ((False, False, False, False), 0.0),
    ],
)
def test_a_question_falls_with_its_parents_own_answer(answers: tuple[bool, ...], expected: float) -> None:
    assert rules.value(answers, PARENTS) == expected


def test_a_question_that_names_itself_as_its_parent_is_its_own() -> None:
    """As in the makers' anime 192 and object 038."""
    assert rules.value([True, False, True], [[0], [2], [1, 2]]) == pytest.approx(1 / 3)


def test_prompts_are_means_of_their_pictures_and_alignment_is_the_mean_of_prompts(tmp_path: Path) -> None:
    bench = suite(tmp_path, row(0), row(1, "General_Object", type="T, P"))
    marks = [["Yes"] * 4, ["yes", "Yes", "Yes", "Yes"], ["Yes", "No", "No", "Yes"]]
    places = [(0, 0), (0, 1), (1, 0)]
    scores = [
        score
        for (at, index), said in zip(places, marks, strict=True)
        for score in bench.score(
            bench.samples()[at], Prediction(bench.samples()[at].id, index, kind="image"), seen(said)
        )
    ]
    assert [each.value for each in scores] == [1.0, 0.5, 0.5]
    assert scores[1].reason == "no: Is there a cat?"
    found = values(bench, scores)
    assert found["official/human"] == 0.75 and found["official/object"] == 0.5  # 0.667 by pictures, 0.625 by prompts
    assert found["official/alignment"] is None and found["official/alignment (part)"] == 0.625
    assert "anime" in bench.aggregate(scores)["official/alignment"].absent
    assert (found["official/np"], found["official/tp"], found["official/short"]) == (0.75, 0.5, 0.75 / 2 + 0.25)
    assert found["fixed/alignment (part)"] == 0.75 and found["answers/other"] == pytest.approx(100 / 12)


@pytest.mark.parametrize("reply", ["I'm sorry, I can't help.", "Yes and no", "<html>502</html>", "5"])
def test_a_picture_of_which_a_reply_says_neither_has_no_verdict(tmp_path: Path, service: Service, reply: str) -> None:
    bench = suite(tmp_path, *(row(0, each) for each in ("Anime_Stylization", "Portrait", "General_Object")))
    pairs = [(sample, drawn(tmp_path, sample)) for sample in bench.samples()]
    observer = judge(service)
    found = list(observer.observe(pairs[:2]))
    service.reply = lambda body: reply if "cat" in body["messages"][0]["content"][1]["text"] else "Yes"
    found += observer.observe(pairs[2:])
    scores = [score for pair, seen in zip(pairs, found, strict=True) for score in bench.score(*pair, seen)]
    assert [each.value for each in scores] == [1.0, 1.0, None]
    assert scores[2].reason == f"unscored: 2 of 4 replies say neither yes nor no: {reply!r}"
    metrics = bench.aggregate(scores)
    for name in ("official/alignment", "fixed/alignment"):
        assert metrics[name].value is None and metrics[f"{name} (part)"].value == 1.0


def test_runs_of_a_judge_are_averaged_and_one_without_a_verdict_leaves_none(tmp_path: Path) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), seen(["Yes"] * 4, ["Yes", "Yes", "Yes", "No"]))
    assert score.value == 0.875
    (score,) = bench.score(sample, Prediction(sample.id, kind="image"), seen(["Yes"] * 4, None))
    assert score.value is None
    for wrong in (["Yes"], ["Yes", "Yes", "Yes", "perhaps"], [1, 1, 1, 1]):
        with pytest.raises(UsageError, match="remove it to judge again"):
            bench.score(sample, Prediction(sample.id, kind="image"), seen(wrong))


# -- data ---------------------------------------------------------------------------------------------


def makers(folder: Path, suffix: str = "") -> Path:
    """Write the makers' files: their table, which has other prompts too, and their files of questions."""
    categories = {"anime": "Anime_Stylization", "human": "Portrait", "object": "General_Object"}
    categories |= {"multilingualism": "Multilingualism"} if suffix else {}
    prompt = "prompt_cn" if suffix else "prompt_en"
    head = ("category", "id", prompt, "class") if suffix else COLUMNS
    lines = [",".join(head)]
    for name, title in categories.items():
        lines.append(f'{title},007,"a {name}, alone"' + ("," if suffix else ',"T, P",long,'))
        told = {"007": {"question": json.dumps(ASKED), "dependency": json.dumps(ABOVE)}}
        (folder / f"{name}{suffix}.json").write_text(json.dumps(told), encoding="utf-8")
    lines.append("Text_Rendering,007,a sign" + ("," if suffix else ",NP,short,poster design"))
    (folder / f"OneIG-Bench{'-ZH' if suffix else ''}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_the_makers_folder_is_read_by_category(tmp_path: Path) -> None:
    bench = OneIgAlignment(str(makers(tmp_path)))
    assert [each.id for each in bench.samples()] == ["anime_007", "human_007", "object_007"]
    first = bench.samples()[0]
    assert first.prompt == "a anime, alone" and first.tags == {"category": "anime", "type": "tp", "length": "long"}
    assert first.target == {"questions": [*ASKED.values()], "parents": [[0], [1], [2], [0]]}
    assert bench.card["prompts"] == 3 and bench.card["questions"] == 12
    chinese = OneIgAlignmentCn(str(makers(tmp_path, "_zh"))).samples()
    assert [each.id for each in chinese][-1] == "multilingualism_007"
    assert chinese[0].tags == {"category": "anime"}


def test_a_folder_that_lacks_a_file_or_a_prompt_says_so(tmp_path: Path) -> None:
    folder = makers(tmp_path)
    whole = (folder / "human.json").read_text()
    (folder / "human.json").write_text(json.dumps({**json.loads(whole), "008": {}}))
    with pytest.raises(UsageError, match=r"human\.json: 008 has questions and no prompt in OneIG-Bench\.csv"):
        OneIgAlignment(str(folder)).samples()
    (folder / "human.json").write_text('{"008": {}}')
    with pytest.raises(UsageError, match=r"human\.json, 007: question holds None"):
        OneIgAlignment(str(folder)).samples()
    for broken in ("{", "[]", "[" * 99_999):
        (folder / "human.json").write_text(broken)
        with pytest.raises(UsageError, match=r"human\.json"):
            OneIgAlignment(str(folder)).samples()
    (folder / "human.json").write_text(whole)
    table = (folder / "OneIG-Bench.csv").read_text()
    (folder / "OneIG-Bench.csv").write_text(table.replace("Portrait", "Portraits"))
    with pytest.raises(UsageError, match=r"line 3: column 'category' holds 'Portraits'"):
        OneIgAlignment(str(folder)).samples()
    (folder / "human.json").unlink()
    with pytest.raises(UsageError, match=r"no human\.json here"):
        OneIgAlignment(str(folder)).samples()


@pytest.mark.parametrize(
    "wrong",
    [
        {"category": "Text_Rendering"},
        {"type": "P"},
        {"prompt_length": "huge"},
        {"question": "{"},
        {"question": "[]"},
        {"question": "{}", "dependency": "{}"},
        {"question": json.dumps({**ASKED, "6": "Is it?"})},
        {"question": json.dumps({**ASKED, "x": "Is it?"})},
        {"question": json.dumps({**ASKED, "4": 3})},
        {"dependency": json.dumps({**ABOVE, "4": [5]})},
        {"dependency": json.dumps({**ABOVE, "4": 1})},
        {"dependency": json.dumps({**ABOVE, "4": [True]})},
        {"dependency": json.dumps({"1": [0]})},
        {"dependency": None},
    ],
)
def test_a_row_that_is_none_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"rows\.jsonl line 1"):
        suite(tmp_path, row(**wrong)).samples()


def test_a_prompt_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="human_000 stands twice"):
        suite(tmp_path, row(), row()).samples()


def test_what_is_fetched_are_the_makers_files_at_one_commit() -> None:
    found = {each.name: each for each in CATALOGUE if each.name.startswith("oneig")}
    assert sorted(found) == ["oneig-alignment", "oneig-alignment-cn", "oneig-text", "oneig-text-cn"]
    files = [part for each in found.values() for part in (each.files or (each,))]
    assert len(files) == 4 + 5 + 2 and all(each.sha256 and len(each.sha256) == 64 for each in files)
    assert all("/41b49831e79e6dde5323618c164da1c4cf0f699d/" in each.urls[0] for each in files)
    for bench in (OneIgAlignment(), OneIgAlignmentCn()):
        (name,) = bench.assets()
        listed = [bench.table, *(f"{each}{bench.suffix}.json" for each in bench.categories)]
        assert [each.filename for each in found[name].files] == [f"{name}/{each}" for each in listed]


# -- the judge ----------------------------------------------------------------------------------------


def test_each_question_is_asked_of_a_jpeg_in_front_of_the_makers_words(tmp_path: Path, service: Service) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    pair = (sample, drawn(tmp_path, sample))
    (evidence,) = judge(service).observe([pair])
    mine = service.asked[-4:]
    told = [each["messages"][0]["content"] for each in mine]
    assert [text["text"] for _, text in told] == [
        f"{each}. Please answer 'Yes' or 'No' only." for each in ASKED.values()
    ]
    assert {(each["temperature"], each["max_tokens"]) for each in mine} == {(0.0, 128)}
    url = told[0][0]["image_url"]["url"]
    assert url.startswith("data:image/jpeg;")
    expected = io.BytesIO()
    with Image.open(tmp_path / f"{sample.id}_0.png") as picture:
        picture.save(expected, "JPEG")
    assert base64.b64decode(url.partition(",")[2]) == expected.getvalue()
    assert evidence.data["runs"][0]["value"] == ["Yes"] * 4
    assert evidence.data["calibration"]["marks"] == "0" * 8  # a judge that says yes to everything
    (score,) = bench.score(*pair, evidence)
    assert score.value == 1.0 and not score.unparsed


def test_another_writing_is_counted_and_named(tmp_path: Path, service: Service) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    pair = (sample, drawn(tmp_path, sample))
    service.reply = lambda body: "Yes."
    (evidence,) = judge(service).observe([pair])
    (score,) = bench.score(*pair, evidence)
    assert (score.value, score.unparsed, score.details["fixed"]) == (0.0, True, 1.0)
    assert score.reason == "4 of 4 replies are neither Yes nor No: 'Yes.'"


@pytest.mark.parametrize("reply", ["", "   ", "<think>a cat?", {"role": "assistant", "content": None, "refusal": "No"}])
def test_no_reply_is_no_verdict(tmp_path: Path, service: Service, reply: Any) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    pair = (sample, drawn(tmp_path, sample))
    task = judge(service)
    task.observe([pair])
    service.reply = lambda body: reply
    (evidence,) = task.observe([pair])
    (score,) = bench.score(*pair, evidence)
    assert score.value is None and bench.aggregate([score])["official/human"].value is None


def test_a_black_picture_and_one_that_is_none_are_not_judged(tmp_path: Path, service: Service) -> None:
    bench = suite(tmp_path)
    sample = bench.samples()[0]
    pairs = [(sample, drawn(tmp_path, sample, index, color)) for index, color in enumerate(("black", "red", "#000001"))]
    pairs.append((sample, drawn(tmp_path, sample, 3, mode="RGBA")))
    found = judge(service).observe(pairs)
    scores = [score for pair, each in zip(pairs, found, strict=True) for score in bench.score(*pair, each)]
    assert [each.value for each in scores] == [None, 1.0, 1.0, 1.0]
    assert "black all over" in scores[0].reason
    found = bench.aggregate(scores)
    assert found["official/human"].value is None and found["official/human (part)"].value == 1.0
    assert "1 with an invalid picture" in found["official/human"].absent
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    (evidence,) = judge(service).observe([(sample, Prediction(sample.id, kind="image", image=tmp_path / "broken.png"))])
    assert evidence.data["runs"][0]["reason"].startswith("invalid image")


def test_the_protocol_texts_are_the_makers() -> None:
    # SHA-256 of what follows a question, and of the request for a transcript: OneIG-Bench/OneIG-Benchmark 41b4983,
    # scripts/utils/inference.py.
    assert (ALIGNMENT.digest, TEXT.digest) == ("56523fb2", "10c070ac")


@pytest.mark.parametrize("kind", [OneIgAlignment, OneIgAlignmentCn])
def test_the_toy_is_drawn_and_judged_by_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[OneIgAlignment]
) -> None:
    (tmp_path / "drawn").mkdir()
    for sample in kind("toy").samples()[:6]:
        for index in range(4):
            drawn(tmp_path / "drawn", sample, index)
    asked = ["score", "-b", kind.name, "--images", str(tmp_path / "drawn"), "--data", "toy", "--judge", "rule"]
    assert cli.main([*asked, "-o", str(tmp_path / "runs"), "--json"]) == 5  # the other prompts have no picture
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["judge/calibration"]["value"] == 100.0
    assert 0 <= metrics["official/alignment (part)"]["value"] < 0.6
    assert metrics["answers/other (part)"]["value"] == 0.0
