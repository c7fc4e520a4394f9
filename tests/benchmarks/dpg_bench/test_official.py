"""The text files that the official script leaves, read as they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.evals.errors import UsageError
from janus_eval.evals.score import score
from janus_eval.evals.types import Scored
from support.dpg_questions import HEAD

CROPS = [(0, 0, 8, 8), (8, 0, 16, 8), (0, 8, 8, 16), (8, 8, 16, 16)]
QUESTIONS = {
    "a": {1: "Is there a cat?", 2: "Is it red, or blue?"},
    "b": {1: "Is there a dog?", 2: "Is there a dog?", 3: "Is it big, black, and old?"},
}


def questions(folder: Path) -> Path:
    rows = ['skipped,p,x,1,0,entity,whole,"entity - whole (x)",Is there anything?\n']
    for item, asked in QUESTIONS.items():
        for number, text in asked.items():
            parent = 0 if number == 1 else 1
            rows.append(f'{item},a prompt,x,{number},{parent},entity,whole,"entity - whole (x)","{text}"\n')
    (folder / "questions.csv").write_text(HEAD + "".join(rows))
    return folder / "questions.csv"


def answer(item: str, picture: int, number: int) -> str:
    return ["yes", "no", "yes", "no, never"][(len(item) + ord(item[0]) + picture * 3 + number) % 4]


def lines(items: str = "ab") -> list[str]:
    return [
        f"out/my, model/{item}.png, {crop}, {text}, {answer(item, picture, number)}"
        for item in items
        for picture, crop in enumerate(CROPS)
        for number, text in QUESTIONS[item].items()
    ]


def read(folder: Path, rows: list[str], name: str = "run_detail.txt") -> Scored:
    (folder / name).write_text("".join(row + "\n" for row in rows))
    return score("dpg_bench", folder / name, options={"questions": questions(folder)})


def by_hand(item: str) -> float:
    """The item's score: the mean over pictures; a question counts where it and question 1 are answered yes."""
    pictures = []
    for picture in range(4):
        right = {number: answer(item, picture, number) == "yes" for number in QUESTIONS[item]}
        pictures.append(sum(each and right[1] for each in right.values()) / len(right))
    return sum(pictures) / 4


def test_the_answers_are_those_of_the_file(tmp_path: Path) -> None:
    found = read(tmp_path, lines())
    assert found.metrics["official/overall"].value == pytest.approx(100 * (by_hand("a") + by_hand("b")) / 2)
    assert found.extra["failed_items"] == [] and "odd_rows" not in found.extra and "holds" not in found.extra


def test_lines_of_several_processes_may_be_mixed(tmp_path: Path) -> None:
    a, b = lines("a"), lines("b")
    mixed = [each for pair in zip(b, [*a, *[""] * len(b)], strict=False) for each in pair]
    assert read(tmp_path, mixed).metrics == read(tmp_path, lines()).metrics


def test_an_item_without_lines_makes_a_part(tmp_path: Path) -> None:
    found = read(tmp_path, lines("a"))
    assert found.metrics["official/overall"].value is None
    assert found.metrics["official/overall (part)"].value == pytest.approx(100 * by_hand("a"))
    assert "4 without a row" in found.metrics["official/overall"].absent  # four pictures


def test_an_item_that_failed_half_way_is_left_out_as_officially(tmp_path: Path) -> None:
    found = read(tmp_path, lines("a") + lines("b")[:3])
    assert found.metrics["official/overall"].value == pytest.approx(100 * by_hand("a"))
    assert found.extra["failed_items"] == ["b"] and "1 of 4 pictures" in found.extra["failed_reasons"]["b"]


def test_odd_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, [*lines(), "half a li", "out/z.png, (0, 0, 8, 8), Is it?, yes"])
    assert len(found.extra["odd_rows"]) == 2 and found.metrics["official/overall"].value is not None


def test_two_runs_in_one_file_are_refused_where_they_differ(tmp_path: Path) -> None:
    assert read(tmp_path, lines() * 2).metrics == read(tmp_path, lines()).metrics
    with pytest.raises(UsageError, match="two runs in one file"):
        read(tmp_path, [*lines(), f"out/a.png, (0, 0, 8, 8), Is there a cat?, not {answer('a', 0, 1)}"])


def test_a_detail_file_of_other_questions_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none of its lines.*--questions"):
        read(tmp_path, ["out/z.png, (0, 0, 8, 8), Is it?, yes"])


def test_a_results_file_gives_the_overall_score_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    items = [
        f"out/it{number}.png, 1.0, 0.5, 0.25, {number % 2}.0, {(1.75 + number % 2) / 4}\n" for number in range(1064)
    ]
    path.write_text("".join(items) + "Model: m\nL1 category scores:\n\tentity: 12.5\nDPG-Bench score: 56.25\n")
    found = score("dpg_bench", path)
    assert found.metrics["official/overall"].value == 56.25 and list(found.metrics) == ["official/overall"]
    assert found.extra["printed"] == {"entity": "12.5", "overall": "56.25"} and "contradicted" not in found.extra
    path.write_text(path.read_text().replace("score: 56.25", "score: 50.0"))
    assert score("dpg_bench", path).extra["contradicted"] == ["its summary says 50.0, its lines give 56.2500"]
    path.write_text("".join(items[:10]))
    assert score("dpg_bench", path).metrics["official/overall (part)"].value == 56.25


ODD = {
    "scores above one": "out/x.png, 5e-00, 5e-00, 5e-00, 5e-00, 5e-00",
    "a mean of other scores": "out/x.png, 1.0, 1.0, 1.0, 1.0, 0.5",
    "one picture less": "out/x.png, 1.0, 1.0, 1.0, 1.0",
    "no scores": "out/x.png, nan, 1.0, 1.0, 1.0, nan",
    "a score above 1": "out/x.png, 7.0, 1.0, 1.0, 1.0, 2.5",
    "cut within its mean": "out/x.png, 0.5, 1.0, 0.75, 0.25, 0.",
}


@pytest.mark.parametrize("line", ODD.values(), ids=ODD)
def test_a_damaged_line_of_a_results_file_counts_for_nothing_and_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.txt"
    path.write_text("".join(f"out/it{n}.png, 1.0, 0.5, 0.25, 0.25, 0.5\n" for n in range(1063)) + line + "\n")
    found = score("dpg_bench", path)
    assert found.metrics["official/overall"].value is None
    assert found.metrics["official/overall (part)"].value == 50
    assert len(found.extra["odd_rows"]) == 1 and "x" in found.extra["odd_rows"][0]


def test_a_results_file_of_damaged_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("out/a.png, 0,5, 1.0, 1.0, 1.0, 0,875\nout/b.png, 1.0, 1.0, 1.0, 1.0, 1.0\n")  # a decimal comma
    with pytest.raises(UsageError, match=r"line 1: .*no picture's scores"):
        score("dpg_bench", path)


def test_files_of_fewer_pictures_than_the_suites_say_so(tmp_path: Path) -> None:
    three = [each for each in lines() if "(8, 8, 16, 16)" not in each]
    assert read(tmp_path, three).extra["holds"] == "3 pictures an item, where 4 are asked for"
    (tmp_path / "r.txt").write_text("out/a.png, 1.0, 1.0, 0.25, 0.75\n")
    assert "3 pictures an item" in score("dpg_bench", tmp_path / "r.txt").extra["holds"]


def test_a_file_with_a_nul_byte_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 21: a NUL byte"):
        read(tmp_path, [*lines(), "\0\0"])


def test_a_results_file_of_two_runs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("out/a.png, 1.0, 1.0, 1.0\nout/a.png, 1.0, 0.0, 0.5\n")
    with pytest.raises(UsageError, match="line 2: 'a' stands above with other scores"):
        score("dpg_bench", path)
