"""The site of stored runs: hostile texts stay texts, pictures keep their budget, what is gone is said."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest
from janus_eval.evals import remade
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Metric, Score
from janus_eval.reports.view import overview, questions, rows, site
from janus_eval.reports.view.pictures import Wanted, small, thumbnails
from PIL import Image
from support import runs

EVIL = "</script><img src=x onerror=alert(1)>"


def noise(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(0).randbytes(3 * side * side)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_hostile_name_and_answer_are_escaped_everywhere(tmp_path: Path) -> None:
    rows = [Score("0", 0, "official", 0.0, reason=EVIL, tags={"task": EVIL})]
    runs.write(tmp_path / "runs", runs.spec("m", tag=EVIL), [*runs.scores(), *rows])
    site.build([tmp_path / "runs"], tmp_path / "site")
    for path in (tmp_path / "site").rglob("*.[hj]*"):
        if path.suffix == ".html":
            assert "<img src=x" not in path.read_text()
        elif path.parent.name == "data":
            assert "<" not in path.read_text(encoding="ascii")


def test_every_page_has_the_strict_policy_and_no_inline_code(tmp_path: Path) -> None:
    runs.write(tmp_path / "runs", runs.spec("m"), runs.scores(share=20))
    assert main(["view", str(tmp_path / "runs"), "-o", str(tmp_path / "site")]) == 0
    pages = list((tmp_path / "site").glob("*.html"))
    assert len(pages) == 4
    for page in pages:
        text = page.read_text()
        assert "default-src 'none'; script-src 'self'" in text
        assert "<script>" not in text
        assert " style=" not in text
        assert "http://" not in text.replace("http://www.w3.org", "")


def test_the_users_run_stands_before_the_published_ones_with_its_value(tmp_path: Path) -> None:
    runs.write(tmp_path / "runs", runs.spec("my-model"), runs.scores())
    site.build([tmp_path / "runs"], tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    chart = page[page.index("<figure>") :]
    assert chart.index("my-model") < chart.index("Janus-Pro-7B")


def test_a_run_without_a_record_is_shown_as_under_way(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "runs", runs.spec("m"), runs.scores(share=20))
    (folder / "record.json").unlink()
    site.build([tmp_path / "runs"], tmp_path / "site")
    assert "under way" in (tmp_path / "site" / "index.html").read_text()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    runs.write(tmp_path / "runs", runs.spec("m"), runs.scores(share=20))
    with pytest.raises(UsageError, match="holds something else"):
        site.build([tmp_path / "runs"], tmp_path / "runs")


def test_noise_fits_the_room_of_a_picture() -> None:
    assert len(small(noise(512), 27_000)) <= 27_000


def test_a_broken_picture_has_no_file(tmp_path: Path) -> None:
    assert thumbnails([Wanted("a", lambda: b"none"), Wanted("b", lambda: noise(8))], tmp_path).keys() == {"b"}


def test_data_are_ascii_and_hold_the_very_text(tmp_path: Path) -> None:
    site.put(tmp_path / "x.js", "x", {"text": EVIL + "\u2028\ud800"})
    body = (tmp_path / "x.js").read_text(encoding="ascii").removeprefix('janus.put("x",').removesuffix(");\n")
    assert json.loads(body)["text"] == EVIL + "\u2028\ud800"


def test_a_yes_below_a_no_counts_zero() -> None:
    rows = [{"id": each, "question": "?", "parents": [each - 1]} for each in (1, 2, 3)]
    sample = questions.Sample("a", "p", target=rows)
    found = questions.tree(sample, {"1": "yes", "2": "no", "3": "yes"})
    assert [each["zeroed"] for each in found] == [False, False, True]


def test_a_circle_an_odd_parent_and_a_deep_chain_are_no_end_of_the_site() -> None:
    rows = [{"id": 1, "question": "?", "parents": [2]}, {"id": 2, "question": "?", "parents": [1]}]
    rows += [{"id": 3, "question": "?", "parents": 0}, {"id": 4, "question": "?", "parents": {"a": 1}}]
    found = questions.tree(questions.Sample("a", "p", target=rows), dict.fromkeys("1234", "yes"))
    assert [each["zeroed"] for each in found] == [True, True, False, True]
    chain = [{"id": each, "question": "?", "parents": [each + 1] if each < 1500 else []} for each in range(1, 1501)]
    found = questions.tree(questions.Sample("a", "p", target=chain), {str(each): "yes" for each in range(1, 1501)})
    assert not any(each["zeroed"] for each in found)


def test_a_suite_that_breaks_costs_the_questions_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such data")

    monkeypatch.setattr(remade.registry, "create", broken)
    runs.write(tmp_path / "runs", runs.spec("m"), runs.scores(share=20))
    site.build([tmp_path / "runs"], tmp_path / "site")
    assert any("cannot be made again here: no such data" in each.read_text() for each in tmp_path.rglob("*.html"))


def test_ids_are_sorted_as_people_count_whatever_they_hold() -> None:
    names = ["10", "a10", "2", "a2", "", "²", "9" * 5000, "a2b", "002"]
    assert sorted(names, key=rows.natural) == ["", "2", "002", "10", "9" * 5000, "a2", "a2b", "a10", "²"]


def test_each_clause_of_a_prompt_says_whether_it_holds() -> None:
    include = [{"class": "cat", "count": 2, "color": "red"}, {"class": "dog", "count": 1, "position": ["above", 0]}]
    target = {"include": include, "exclude": [{"class": "tv", "count": 1}]}
    sample = questions.Sample("a", "p", target=target)
    why = "expected red cat>=2, found 1 red; and 1 blue"
    found = questions.judged(sample, [Score("a", 0, "official", 0.0, reason=why + "\nexpected tv<1, found 2")])
    assert [each[1] for each in found] == [why, "", "expected tv<1, found 2"]
    assert [each[1] for each in questions.judged(sample, [Score("a", 0, "official", None)])] == [None] * 3


def test_a_list_goes_by_the_protocol_of_the_headline(tmp_path: Path) -> None:
    fixed = [Score("0", 0, "fixed", 1.0, tags={"task": "counting"})]
    runs.write(tmp_path / "runs", runs.spec("m"), [*fixed, *runs.scores(share=200)])
    site.build([tmp_path / "runs"], tmp_path / "site")
    assert '"protocols":["official","fixed"]' in (tmp_path / "site" / "data" / "site.js").read_text()


def test_a_share_has_three_decimals_and_a_percentage_one() -> None:
    assert overview.number(Metric(0.5, 4, 0.25, 1.0)) == "0.500"
    assert overview.interval(Metric(100.0, 4, 1.824, 100.0)) == "[1.8, 100.0]"
    assert overview.number(Metric(0.0, 4, 0.0, 37.1)) == "0.0"


def test_a_reason_of_failure_leads_to_its_samples(tmp_path: Path) -> None:
    why = Score("0", 0, "official", 0.0, reason="expected cat>=1, found 0 & more", tags={"task": "counting"})
    folder = runs.write(tmp_path / "runs", runs.spec("m"), [why, *runs.scores(share=200)])
    site.build([folder], tmp_path / "site")
    page = next((tmp_path / "site").glob("run-*.html")).read_text()
    assert "verdict=wrong&amp;text=expected+cat%3E%3D1%2C+found+0+%26+more" in page
