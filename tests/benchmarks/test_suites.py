"""The seven understanding suites: scoring predictions made elsewhere, by hand-made files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.mm_vet import MmVet
from janus_eval.benchmarks.mmbench.benchmark import MmBench
from janus_eval.benchmarks.mme import SUBTASKS, Mme
from janus_eval.benchmarks.mmmu import Mmmu
from janus_eval.benchmarks.pope import Pope
from janus_eval.benchmarks.seed_bench import SeedBench
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Prediction, Score, Scored
from support.chat_server import Fault, Service, serving


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def value(scored: Scored, key: str) -> float | None:
    return scored.metrics[key].value


def lines(scored: Scored) -> list[dict[str, Any]]:
    return [dict(row) for row in scored.rows]


# -- POPE -----------------------------------------------------------------------------------------------


def pope_rows(split: str, *pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"id": n, "category": split, "answer": gold, "response": said} for n, (gold, said) in enumerate(pairs)]


def test_f1_of_always_yes_on_one_yes_in_three_is_50(tmp_path: Path) -> None:
    rows = pope_rows("random", ("yes", "Yes"), ("no", "Yes"), ("no", "Yes"))
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/random_f1") == pytest.approx(50)
    assert value(scored, "official/random_accuracy") == pytest.approx(100 / 3)
    assert value(scored, "official/random_yes_ratio") == 100
    assert value(scored, "lmms-eval/random_yes_ratio") == pytest.approx(100 / 3)  # of the gold answers


def test_popes_headline_is_the_mean_over_the_splits(tmp_path: Path) -> None:
    rows = pope_rows("random", ("yes", "Yes")) + pope_rows("popular", ("yes", "No"), ("yes", "Yes"))
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/mean_f1") == pytest.approx((100 + 100 * 2 / 3) / 2)
    assert value(scored, "official/micro_f1") == pytest.approx(80)


def test_an_unreadable_answer_is_what_each_protocol_makes_of_it(tmp_path: Path) -> None:
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *pope_rows("random", ("no", "A cat"))))
    (line,) = lines(scored)
    assert line["read"] == {
        "official": "yes",
        "vlmevalkit-2024": "Unknown",
        "vlmevalkit-2026": "Unknown",
        "lmms-eval": "a cat",
    }
    assert not any(line["correct"].values())
    assert scored.unparsed == 1


def test_a_row_of_several_splits_counts_in_each(tmp_path: Path) -> None:
    row = {"index": 0, "category": "random,popular", "answer": "Yes", "response": "Yes"}
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", row))
    assert value(scored, "vlmevalkit-2024/random_f1") == value(scored, "vlmevalkit-2024/popular_f1") == 100
    assert scored.metrics["official/micro_f1"].n == 2


def test_a_model_that_never_says_yes_has_f1_0_and_no_precision(tmp_path: Path) -> None:
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *pope_rows("random", ("yes", "No"), ("no", "No"))))
    assert value(scored, "official/random_f1") == 0
    assert value(scored, "official/random_precision") is None


def test_the_key_of_pope_is_category_and_id(tmp_path: Path) -> None:
    rows = pope_rows("random", ("yes", "Yes")) + pope_rows("popular", ("yes", "Yes"))
    assert Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows)).n == 2
    with pytest.raises(UsageError, match=r"p.jsonl line 3: duplicate key 'random/0'"):
        Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows, rows[0]))


def test_pope_joins_its_official_label_files(tmp_path: Path) -> None:
    for split in ("random", "popular"):
        row = {"question_id": 1, "image": "a.jpg", "text": "Is there a cat in the image?", "label": "yes"}
        write(tmp_path / f"coco_pope_{split}.json", row)
    path = write(tmp_path / "answers.txt.jsonl", {"question_id": 1, "category": "random", "text": "Yes"})
    scored = Pope().rescore(predictions=path, data=tmp_path)
    assert scored.n == 2
    assert scored.extra["missing"] == ["popular/1"]
    assert value(scored, "official/random_f1") == 100
    assert value(scored, "official/popular_f1") == 0
    assert value(scored, "official/accuracy") == 50


# -- MME ------------------------------------------------------------------------------------------------


def mme_rows(category: str, image: str, first: str, second: str) -> list[dict[str, Any]]:
    pair = (("Yes", first), ("No", second))
    return [
        {"id": n, "category": category, "image": image, "question": f"q{n}", "answer": gold, "response": said}
        for n, (gold, said) in enumerate(pair)
    ]


def test_mme_adds_accuracy_and_pairs_with_both_right(tmp_path: Path) -> None:
    rows = mme_rows("color", "a.jpg", "yes", "no") + mme_rows("color", "b.jpg", "yes", "yes")
    rows += mme_rows("count", "a.jpg", "Yes.", "Noo") + mme_rows("code_reasoning", "a.jpg", "I say yes", "no")
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/color") == 75 + 50
    assert value(scored, "official/count") == 200
    assert value(scored, "official/perception") == 325
    assert value(scored, "official/cognition") == 50
    assert value(scored, "vlmevalkit-2024/cognition") == 200  # "I say yes" holds the word
    assert scored.unparsed == 1


def test_mme_reads_the_official_folder(tmp_path: Path) -> None:
    (tmp_path / "OCR.txt").write_text("1.jpg\tq?\tYes\tyes, it is\n1.jpg\tr?\tNo\tno\n")
    scored = Mme().rescore(predictions=tmp_path)
    assert value(scored, "official/OCR") == 200
    assert set(scored.extra["absent_subtasks"]) == {*SUBTASKS} - {"OCR"}


def test_a_tab_in_an_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "OCR.txt").write_text("1.jpg\tq?\tYes\tyes\tit is\n")
    with pytest.raises(UsageError, match=r"OCR.txt line 1: 5 cells between tabs"):
        Mme().rescore(predictions=tmp_path)


def test_the_missing_half_of_a_pair_is_counted_and_named(tmp_path: Path) -> None:
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", mme_rows("color", "a.jpg", "yes", "no")[0]))
    assert scored.extra["missing"] == ["color/a.jpg/1"]
    assert value(scored, "official/color") == 50


def test_a_third_question_about_a_picture_is_an_error(tmp_path: Path) -> None:
    rows = mme_rows("color", "a.jpg", "yes", "no")
    with pytest.raises(UsageError, match="has 3 questions"):
        Mme().rescore(predictions=write(tmp_path / "p.jsonl", *rows, rows[0]))
    with pytest.raises(UsageError, match="twice"):
        Mme().rescore(predictions=write(tmp_path / "p.jsonl", rows[0], rows[0]))


def test_mme_joins_by_question_whatever_the_order(tmp_path: Path) -> None:
    rows = mme_rows("color", "a.jpg", "yes", "no")
    data = write(tmp_path / "mme.jsonl", *({k: v for k, v in row.items() if k != "response"} for row in rows))
    answers = [{k: v for k, v in row.items() if k != "answer"} for row in reversed(rows)]
    scored = Mme().rescore(predictions=write(tmp_path / "p.jsonl", *answers), data=data)
    assert value(scored, "official/color") == 200


# -- MMBench --------------------------------------------------------------------------------------------

FRUIT = ("apple", "banana", "cherry", "durian")


def rolled(index: int, answers: tuple[str, ...], **more: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for k, said in enumerate(answers):
        options = {"ABCD"[(at + k) % 4]: fruit for at, fruit in enumerate(FRUIT)}
        row = {"index": index + k * 1_000_000, "question": "q", **options, "answer": "ABCD"[(1 + k) % 4]}
        rows.append({**row, "response": said, **more})
    return rows


def test_circular_needs_every_roll(tmp_path: Path) -> None:
    rows = rolled(1, ("B", "C", "D", "A"), category="cp") + rolled(2, ("banana", "B", "D", "A"), category="lr")
    scored = MmBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/circular") == 50
    assert value(scored, "vlmevalkit-2024/vanilla_all") == 87.5
    assert value(scored, "vlmevalkit-2024/vanilla_unrolled") == 100
    assert value(scored, "official/circular_cp") == 100
    assert value(scored, "official/circular_lr") == 0


def test_an_answer_that_is_no_option_is_a_wrong_label(tmp_path: Path) -> None:
    row = {"index": 1, "A": "x", "B": "y", "C": None, "D": "nan", "answer": "D", "response": "A"}
    with pytest.raises(UsageError, match=r"line 1: column 'answer' holds 'D', expected one of the options A, B"):
        MmBench().rescore(predictions=write(tmp_path / "p.jsonl", row))


def test_lmms_eval_takes_nan_for_an_option(tmp_path: Path) -> None:
    row = {"index": 1, "A": "x", "B": "y", "C": "nan", "D": None, "answer": "A", "response": "banana"}
    scored = MmBench().rescore(predictions=write(tmp_path / "p.jsonl", row))
    assert lines(scored)[0]["read"]["lmms-eval"] == "C"
    assert lines(scored)[0]["read"]["official"] is None


def test_an_index_may_be_a_text(tmp_path: Path) -> None:
    rows = [{**row, "index": str(row["index"])} for row in rolled(1, ("B", "C", "D", "A"))]
    assert value(MmBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows)), "official/circular") == 100


# -- SEED-Bench, GQA ------------------------------------------------------------------------------------


def test_seed_bench_wants_the_letter_alone(tmp_path: Path) -> None:
    said = ("A", "A.", "b", "C")
    rows = [{"id": n, "answer": "A", "response": text, "type": 1} for n, text in enumerate(said)]
    scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/image_accuracy") == 25
    assert value(scored, "lmms-eval/image_accuracy") == 50
    assert value(scored, "official/scene_understanding") == 25
    assert set(scored.extra["absent"]) == {"vlmevalkit-2024", "vlmevalkit-2026"}
    assert not any(key.startswith("vlmevalkit") for key in scored.metrics)


def test_a_seed_id_may_occur_twice_and_no_more(tmp_path: Path) -> None:
    rows = [{"question_id": "49914", "gt_answer": "A", "prediction": text} for text in ("A", "B")]
    scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert (scored.n, value(scored, "official/image_accuracy")) == (2, 50)
    assert scored.extra["duplicate_ids"] == ["49914"]
    with pytest.raises(UsageError, match="duplicate key '49914'"):
        SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows, rows[0]))


def test_videos_of_seed_bench_are_apart(tmp_path: Path) -> None:
    rows = [{"id": "1", "answer": "A", "response": "A"}, {"id": "v1", "answer": "A", "response": "B"}]
    scored = SeedBench().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/image_accuracy") == 100
    assert value(scored, "official/video_accuracy") == 0
    assert value(scored, "official/accuracy") == 50


def test_seed_bench_by_likelihood_takes_the_largest(tmp_path: Path) -> None:
    row = {"id": 1, "question": "q", "A": "x", "B": "y", "C": "z", "D": "w", "answer": "B"}
    suite = SeedBench(data=str(write(tmp_path / "seed.jsonl", row)), preset="official")
    (sample,) = suite.samples()
    assert (sample.prompt, sample.options) == ("q", ("x", "y", "z", "w"))
    prediction = Prediction(sample.id, kind="likelihood", likelihoods=(-2.0, -1.0, -9.0, -1.5))
    (score,) = suite.score(sample, prediction)
    assert (score.protocol, score.answer, score.value) == ("likelihood", "B", 1)
    assert suite.extra_kinds == {"likelihood"}
    assert not SeedBench().extra_kinds


def test_gqa_has_a_number_for_each_normalisation(tmp_path: Path) -> None:
    said = ("Dog.", "dog", " dog", "dog!")
    rows = [{"id": n, "answer": "dog", "response": text} for n, text in enumerate(said)]
    scored = Gqa().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    expected = {"official": 50, "official-raw": 25, "lmms-eval": 75, "vlmevalkit-2024": 50}
    assert {name: value(scored, f"{name}/accuracy") for name in expected} == expected


def test_gqa_reads_its_official_file(tmp_path: Path) -> None:
    balanced = {
        "question": "q",
        "answer": "yes",
        "imageId": "n1",
        "isBalanced": True,
        "types": {"structural": "verify"},
    }
    content = {"1": balanced, "2": {**balanced, "isBalanced": False}}
    (tmp_path / "testdev_balanced_questions.json").write_text(json.dumps(content))
    (tmp_path / "n1.jpg").write_bytes(b"picture")
    (sample,) = Gqa(data=str(tmp_path)).samples()
    assert sample.images[0].read() == b"picture"
    scored = Gqa().rescore(
        predictions=write(tmp_path / "p.jsonl", {"questionId": "1", "prediction": "yes"}), data=tmp_path
    )
    assert value(scored, "official/verify") == 100


# -- MMMU -----------------------------------------------------------------------------------------------


def mmmu_row(number: int, said: str, answer: str = "A") -> dict[str, Any]:
    row = {"id": f"validation_Art_{number}", "question_type": "multiple-choice", "options": "['w', 'x', 'y', 'z']"}
    return {**row, "answer": answer, "response": said}


def test_guesses_come_from_one_stream_seeded_with_42(tmp_path: Path) -> None:
    # random.seed(42), random.choice("ABCD") five times: A A C B B.
    rows = [mmmu_row(n, "?") for n in range(5)]
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert [line["guessed"]["official"] for line in lines(scored)] == ["A", "A", "C", "B", "B"]
    assert [line["correct"]["official"] for line in lines(scored)] == [True, True, False, False, False]
    assert {line["read"]["official"] for line in lines(scored)} == {None}
    assert value(scored, "official/accuracy") == 40
    assert value(scored, "official/accuracy_no_fallback") == 0
    assert value(scored, "official/fallbacks") == 5
    assert scored.unparsed == 5


def test_guesses_do_not_depend_on_the_order_in_which_scores_come(tmp_path: Path) -> None:
    suite = Mmmu(data=str(write(tmp_path / "d.jsonl", *({**mmmu_row(n, ""), "question": "q"} for n in range(12)))))
    scores: list[Score] = []
    for sample in suite.samples():
        scores += suite.score(sample, Prediction(sample.id, text="?"))
    by_name = sorted(scores, key=lambda each: (each.sample_id, each.protocol))
    assert suite.aggregate(scores) == suite.aggregate(by_name)


def test_mmmu_by_subject_and_domain(tmp_path: Path) -> None:
    rows = [mmmu_row(1, "A"), mmmu_row(2, "B"), {**mmmu_row(3, "A"), "id": "validation_Math_1"}]
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/Art") == 50
    assert value(scored, "official/domain_art_and_design") == 50
    assert value(scored, "official/domain_science") == 100


def test_an_open_question_of_mmmu(tmp_path: Path) -> None:
    row = {"id": "validation_Math_2", "question_type": "short-answer", "answer": "['24/7', '3.429']"}
    scored = Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", {**row, "response": "It is 3.43"}))
    (line,) = lines(scored)
    assert line["read"]["official"] == [3.43]
    assert line["correct"] == {
        "official": True,
        "vlmevalkit-2024": False,
        "vlmevalkit-2026": False,
        "lmms-eval": False,
    }


def test_a_gold_answer_that_is_a_capital_letter_defeats_vlmevalkit(tmp_path: Path) -> None:
    row = {"id": "validation_Math_2", "question_type": "open", "answer": "C", "response": "C"}
    (line,) = lines(Mmmu().rescore(predictions=write(tmp_path / "p.jsonl", row)))
    assert line["correct"]["official"] is True
    assert line["correct"]["vlmevalkit-2024"] is False


def test_mmmu_presets(tmp_path: Path) -> None:
    row = {**mmmu_row(1, ""), "question": "<image 2> q", "options": ["x", "y"], "image_1": "a.png", "image_2": "b.png"}
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    path = str(write(tmp_path / "d.jsonl", row))
    instruction = "Answer with the option's letter from the given choices directly."
    janus, official, lmms = (
        Mmmu(data=path, preset=each).samples()[0] for each in ("janus-pr541", "official", "lmms-eval")
    )
    assert janus.prompt == f"\n<image 2> q\nA. x\nB. y\n\n{instruction}"
    assert official.prompt == f"<image 2> q\n(A) x\n(B) y\n\n{instruction}"
    assert lmms.prompt == f"<image 2> q\nA. x\nB. y\n\n{instruction}"
    assert [[picture.read() for picture in each.images] for each in (janus, official, lmms)] == [
        [b"a.png", b"b.png"],
        [b"a.png"],
        [b"b.png"],
    ]


# -- MM-Vet ---------------------------------------------------------------------------------------------


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with serving(Service(reply=lambda body: "0.5")) as running:
        yield running


def vet_rows() -> list[dict[str, Any]]:
    return [
        {"id": "v1", "capability": ["rec"], "question": "q", "answer": "a", "response": "x"},
        {"id": "v2", "capability": "ocr,rec", "question": "q", "answer": "b", "response": "y"},
    ]


def test_mm_vet_by_capability_with_std_over_runs(tmp_path: Path) -> None:
    rows = [{**row, "grades": grades} for row, grades in zip(vet_rows(), ([1.0, 0.8], [0.2, 0.0]), strict=True)]
    scored = MmVet().rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert value(scored, "official/total") == pytest.approx(50)  # runs: 60 and 40
    assert value(scored, "official/std") == pytest.approx(10)
    assert value(scored, "official/ocr") == pytest.approx(10)
    assert value(scored, "official/set_ocr_rec") == pytest.approx(10)
    assert lines(scored)[1]["correct"]["official"] == pytest.approx(0.1)


def test_mm_vet_reads_the_official_tools_files(tmp_path: Path) -> None:
    (tmp_path / "mm-vet.json").write_text(json.dumps({r["id"]: {**r, "imagename": "a.png"} for r in vet_rows()}))
    (tmp_path / "answers.json").write_text(json.dumps({"v1": "x", "v2": "y"}))
    (tmp_path / "grades.json").write_text(json.dumps({"v1": {"score": [1.0]}, "v2": {"score": [0.5]}}))
    data = tmp_path / "mm-vet.json"
    scored = MmVet().rescore(predictions=tmp_path / "answers.json", grades=tmp_path / "grades.json", data=data)
    assert value(scored, "official/total") == 75
    assert value(MmVet().rescore(predictions=tmp_path / "grades.json", data=data), "official/total") == 75


def test_a_grade_that_is_missing_withholds_the_total(tmp_path: Path) -> None:
    rows = [{**vet_rows()[0], "grades": [1.0]}, {**vet_rows()[1], "grades": [None]}]
    path = write(tmp_path / "p.jsonl", *rows)
    scored = MmVet().rescore(predictions=path)
    assert (scored.unscored, value(scored, "official/total")) == (1, None)
    assert value(MmVet().rescore(predictions=path, allow_unscored=True), "official/total") == 100


@pytest.mark.parametrize(("grades", "message"), [([1.5], "0 to 1"), (["0.5"], "0 to 1"), ([0.1, 0.2], "1 grades")])
def test_a_grade_that_is_none_is_named(tmp_path: Path, grades: list[Any], message: str) -> None:
    rows = [{**vet_rows()[0], "grades": [1.0]}, {**vet_rows()[1], "grades": grades}]
    with pytest.raises(UsageError, match=f"p.jsonl line 2: column 'grades' .*{message}"):
        MmVet().rescore(predictions=write(tmp_path / "p.jsonl", *rows))


def test_answers_without_grades_or_judge_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--judge MODEL"):
        MmVet().rescore(predictions=write(tmp_path / "p.jsonl", *vet_rows()))


def test_a_judges_replies_are_kept_and_replayed(tmp_path: Path, service: Service) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    first = MmVet().rescore(predictions=path, **options)
    asked = len(service.asked)
    assert value(first, "official/total") == 50
    assert asked == 2
    assert MmVet().rescore(predictions=path, **options).metrics == first.metrics
    assert len(service.asked) == asked
    assert "served-model" in (tmp_path / "p.jsonl.judge.jsonl").read_text()


def test_a_failed_judgement_is_unscored_and_asked_again(tmp_path: Path, service: Service) -> None:
    path = write(tmp_path / "p.jsonl", *vet_rows())
    service.faults = [Fault(400)]
    options: dict[str, Any] = {"judge": "gpt-x", "judge_base_url": service.url, "judge_retries": 0}
    scored = MmVet().rescore(predictions=path, **options, judge_concurrency=1)
    assert (scored.unscored, value(scored, "official/total")) == (1, None)
    assert value(MmVet().rescore(predictions=path, **options), "official/total") == 50


def test_a_judge_finds_the_option_that_an_answer_means(tmp_path: Path, service: Service) -> None:
    service.reply = lambda body: "B" if "the yellow one" in body["messages"][0]["content"] else "none"
    rows = rolled(1, ("the yellow one", "C", "D", "A")) + rolled(2, ("B", "C", "no idea", "A"))
    path = write(tmp_path / "p.jsonl", *rows)
    scored = MmBench().rescore(predictions=path, judge="gpt-x", judge_base_url=service.url, judge_retries=0)
    assert value(scored, "official/circular") == 0
    assert value(scored, "official-judge/circular") == 50
    assert len(service.asked) == 1 + 3  # what exact matching reads is not asked about; three tries at most
    assert scored.unscored == 1


# -- all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "row", "column"),
    [
        (Pope, {"id": 1, "category": "random", "response": "x"}, "answer"),
        (Mme, {"category": "OCR", "image": "a", "response": "x"}, "answer"),
        (MmBench, {"index": 1, "A": "x", "B": "y", "response": "x"}, "answer"),
        (MmBench, {"index": 1, "answer": "A", "response": "x"}, "A"),
        (SeedBench, {"id": 1, "response": "x"}, "answer"),
        (Gqa, {"id": 1, "response": "x"}, "answer"),
        (Mmmu, {"id": 1, "options": ["x", "y"], "response": "x"}, "answer"),
        (MmVet, {"id": 1, "response": "x"}, "capability"),
    ],
)
def test_a_missing_column_is_named_with_file_and_line(tmp_path: Path, suite: Any, row: Any, column: str) -> None:
    with pytest.raises(UsageError, match=rf"p.jsonl line 1: no column '{column}'.*--data PATH"):
        suite().rescore(predictions=write(tmp_path / "p.jsonl", row))


@pytest.mark.parametrize(
    ("suite", "row"),
    [
        (Pope, {"id": 1, "category": "random", "answer": "maybe"}),
        (Mme, {"category": "OCR", "image": "a", "answer": "maybe"}),
        (SeedBench, {"id": 1, "answer": "E"}),
        (Mmmu, {"id": 1, "options": ["x", "y"], "answer": "C"}),
    ],
)
def test_a_wrong_label_is_named(tmp_path: Path, suite: Any, row: Any) -> None:
    with pytest.raises(UsageError, match=r"p.jsonl line 1: column 'answer' holds"):
        suite().rescore(predictions=write(tmp_path / "p.jsonl", {**row, "response": "x"}))


def test_an_id_that_the_data_lacks_is_named(tmp_path: Path) -> None:
    data = write(tmp_path / "gqa.jsonl", {"id": "1", "question": "q", "answer": "a"})
    with pytest.raises(UsageError, match=r"p.jsonl line 1: id '2' is not in the data set \(1 samples\)"):
        Gqa().rescore(predictions=write(tmp_path / "p.jsonl", {"id": "2", "response": "a"}), data=data)


def test_scoring_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from janus_eval.benchmarks import gqa, mm_vet, mme, mmmu, pope, seed_bench\n"
        "from janus_eval.benchmarks.mmbench import benchmark\n"
        "heavy = {'torch', 'transformers', 'pandas', 'datasets', 'openai', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("suite", [Pope, Mme, MmBench, SeedBench, Gqa, Mmmu, MmVet])
def test_the_toy_world_runs_through_every_suite(suite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path))
    made = suite(data="toy")
    samples = made.samples()
    assert all(each.images and each.images[0].read()[:4] == b"\x89PNG" for each in samples)
    assert len({each.id for each in samples}) == len(samples) == made.card["rows"]
    scores = [score for each in samples for score in made.score(each, Prediction(each.id, text="A"))]
    assert made.headline in made.aggregate(scores)
    assert suite(data="toy").card == made.card


# -- as on the hub --------------------------------------------------------------------------------------


def on_the_hub(path: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", path.parents[1] / "cache")
    path.parent.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_list(rows)
    for name in table.column_names:
        if name.startswith("image") and name != "imageId":
            table = table.cast_column(name, datasets.Image())
    table.to_parquet(str(path))


def picture(name: str) -> dict[str, Any]:
    return {"bytes": name.encode(), "path": name}


def test_gqa_joins_the_hubs_two_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [{"id": "20", "imageId": "n1", "question": "q?", "answer": "yes", "isBalanced": True}]
    on_the_hub(tmp_path / "testdev_balanced_instructions" / "testdev-00000-of-00001.parquet", questions, monkeypatch)
    images = [{"id": "n0", "image": picture("n0")}, {"id": "n1", "image": picture("n1")}]
    on_the_hub(tmp_path / "testdev_balanced_images" / "testdev-00000-of-00001.parquet", images, monkeypatch)
    (sample,) = Gqa(data=str(tmp_path)).samples()
    assert sample.prompt == "q?\nAnswer the question using a single word or phrase."
    assert [each.read() for each in sample.images] == [b"n1"]


def test_mmmu_reads_the_hubs_subjects_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for subject in ("Math", "Art"):
        row = {**mmmu_row(1, ""), "id": f"validation_{subject}_1", "question": "<image 1> q"}
        pictures = {f"image_{n}": picture(f"{subject}{n}") if n <= 2 else None for n in range(1, 8)}
        on_the_hub(tmp_path / subject / "validation-00000-of-00001.parquet", [row | pictures], monkeypatch)
    samples = Mmmu(data=str(tmp_path)).samples()
    assert [each.tags["subject"] for each in samples] == ["Art", "Math"]
    assert [each.read() for each in samples[0].images] == [b"Art1", b"Art2"]
    assert samples[0].target["options"] == {"A": "w", "B": "x", "C": "y", "D": "z"}


def test_mmbench_on_the_hub_has_texts_for_indices_and_nan_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"index": "241", "question": "q?", "hint": "nan", "A": "x", "B": "y", "C": "nan", "D": "nan", "answer": "B"}
    row |= {"category": "image_style", "L2-category": "coarse_perception", "image": picture("a")}
    on_the_hub(tmp_path / "en" / "dev-00000-of-00001.parquet", [row], monkeypatch)
    (sample,) = MmBench(data=str(tmp_path)).samples()
    instruction = "Answer with the option's letter from the given choices directly."
    assert sample.prompt == f"\nq?\nA. x\nB. y\n\n{instruction}"
    assert sample.tags == {"category": "image_style", "l2-category": "coarse_perception"}
    generic = MmBench(data=str(tmp_path), preset="official").samples()[0].prompt
    assert generic == "Question: q?\nOptions:\nA. x\nB. y\nPlease select the correct answer from the options above. \n"
    lmms = MmBench(data=str(tmp_path), preset="lmms-eval").samples()[0].prompt
    assert lmms == f"q? There are several options:\nA. x\nB. y\n\n{instruction}"
