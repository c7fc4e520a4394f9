"""Files of other harnesses, in their true shapes: what they are taken for, what is scored, what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.mm_vet.benchmark import MmVet
from janus_eval.benchmarks.mmbench.benchmark import MmBench
from janus_eval.benchmarks.mme import Mme
from janus_eval.benchmarks.mmmu.benchmark import Mmmu
from janus_eval.benchmarks.pope import Pope
from janus_eval.benchmarks.reading.importers import take
from janus_eval.benchmarks.seed_bench import SeedBench
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from support.predictions import part, value, write, write_tsv


def answered(number: Any, said: str, prompt: str = "Which?") -> dict[str, Any]:
    """Return a line of LLaVA's answers."""
    return {"question_id": number, "prompt": prompt, "text": said, "answer_id": "a", "model_id": "m", "metadata": {}}


def label(number: int, question: str, gold: str, image: str = "COCO_val2014_1.jpg") -> dict[str, Any]:
    return {"question_id": number, "image": image, "text": question, "label": gold}


# -- lmms-eval ----------------------------------------------------------------------------------------


def sample(doc_id: int, target: str, said: Any, **told: Any) -> dict[str, Any]:
    """Return a line of lmms-eval 0.4 and later, which has no `doc`."""
    return {"doc_id": doc_id, "target": target, "filtered_resps": said, "doc_hash": "x", "input": "Is it?", **told}


def test_lmms_evals_samples_without_doc_are_read_by_what_the_tasks_keep(tmp_path: Path) -> None:
    rows = [
        sample(at, gold, "Yes", mme_perception_score={"question_id": "count/1.png", "category": "count", "score": 1.0})
        for at, gold in enumerate(("Yes", "No"))
    ]
    rows[1]["input"] = "Is it not?"
    assert (
        value(Mme().rescore(predictions=write(tmp_path / "a_samples_mme.jsonl", *rows)), "official/count (part)") == 50
    )
    rows = [sample(0, "A", ["A"], seed_image={"pred": "A", "answer": "A", "question_id": "7"})]
    assert value(SeedBench().rescore(predictions=write(tmp_path / "s.jsonl", *rows)), "lmms-eval/image_accuracy") == 100
    rows = [sample(0, "cat", ["Cat."]), sample(1, "dog", ["cat"])]
    assert value(Gqa().rescore(predictions=write(tmp_path / "g.jsonl", *rows)), "official/accuracy") == 50
    graded = {"question_id": "v1_0", "gt_answer": "a", "capabilities": "ocr,math", "score": 0.5, "eval_model": "gpt"}
    rows = [sample(0, "a", ["b"], gpt_eval_score=graded)]
    assert value(MmVet().rescore(predictions=write(tmp_path / "v.jsonl", *rows)), "official/ocr") == 50
    options = {"A": "red", "B": "blue", "C": "nan", "D": "nan"}
    rows = [
        sample(
            at,
            gold,
            ["A"],
            submission={"index": index, "question": "Which?", "prediction": "x", "answer": gold, **options},
        )
        for at, (index, gold) in enumerate(((1, "A"), (1_000_001, "B")))
    ]
    scored = MmBench().rescore(predictions=write(tmp_path / "b.jsonl", *rows))
    assert (value(scored, "official/circular"), value(scored, "vlmevalkit-2024/vanilla_all")) == (0, 50)


def test_lmms_evals_zero_of_a_judge_that_never_replied_is_no_grade(tmp_path: Path) -> None:
    graded = {"question_id": "v1_0", "gt_answer": "a", "capabilities": "ocr", "score": 0.0, "eval_model": ""}
    rows = [sample(at, "a", ["b"], gpt_eval_score={**graded, "question_id": f"v1_{at}"}) for at in range(2)]
    rows[1]["gpt_eval_score"]["eval_model"] = "gpt"
    assert MmVet().rescore(predictions=write(tmp_path / "v.jsonl", *rows)).unscored == 1


def test_lmms_evals_pope_is_placed_by_the_data_set_and_its_task(tmp_path: Path) -> None:
    kept = {"question_id": "1", "score": 1.0, "prediction": "yes", "ground_truth": "yes"}
    rows = [
        sample(0, "yes", ["Yes"], pope_accuracy=kept),
        sample(1, "no", ["Yes"], pope_accuracy={**kept, "ground_truth": "no"}),
    ]
    random = write(tmp_path / "1_samples_pope_random.jsonl", rows[0])
    assert value(Pope().rescore(predictions=random), "official/random_accuracy") == 100
    data = [
        {"question_id": "1", "question": "Is it?", "answer": gold, "category": category}
        for gold, category in (("yes", "adversarial"), ("no", "popular"))
    ]
    scored = Pope().rescore(predictions=write(tmp_path / "p.jsonl", *rows), data=write(tmp_path / "d.jsonl", *data))
    assert (value(scored, "official/adversarial_accuracy"), value(scored, "official/popular_accuracy")) == (100, 0)


def test_lmms_evals_mmmu_without_options_says_what_is_lacking(tmp_path: Path) -> None:
    kept = {"id": "validation_Art_1", "subdomain": "Art", "question_type": "multiple-choice", "answer": "A"}
    with pytest.raises(
        UsageError, match=r"no column 'options'.*lmms-eval's samples .*give the suite's data with --data"
    ):
        Mmmu().rescore(predictions=write(tmp_path / "m.jsonl", sample(0, "A", ["A"], mmmu_acc=kept)))


# -- LLaVA --------------------------------------------------------------------------------------------


def test_llavas_answers_are_scored_with_each_suites_own_questions(tmp_path: Path) -> None:
    gold = {"1": {"imageId": "n1", "question": "Which?", "answer": "cat", "isBalanced": True}}
    (tmp_path / "testdev_balanced_questions.json").write_text(json.dumps(gold))
    answers = write(tmp_path / "g.jsonl", answered("1", "Cat."))
    data = tmp_path / "testdev_balanced_questions.json"
    assert value(Gqa().rescore(predictions=answers, data=data), "official/accuracy") == 100
    (tmp_path / "g.json").write_text(json.dumps([{"questionId": "1", "prediction": "cat"}]))
    assert value(Gqa().rescore(predictions=tmp_path / "g.json", data=data), "official/accuracy") == 100
    seed = {
        "question_type": {"Scene Understanding": 1},
        "questions": [{"question_id": "7", "answer": "A", "question_type_id": 1}],
    }
    (tmp_path / "SEED-Bench.json").write_text(json.dumps(seed))
    answers = write(tmp_path / "s.jsonl", answered(7, "A"))
    scored = SeedBench().rescore(predictions=answers, data=tmp_path / "SEED-Bench.json")
    assert value(scored, "official/scene_understanding") == 100
    (tmp_path / "mm-vet.json").write_text(json.dumps({"v1_0": {"capability": ["ocr"]}}))
    grades = write(tmp_path / "grades.jsonl", {"id": "v1_0", "score": [1.0]})
    answers = write(tmp_path / "v.jsonl", answered(0, "x"))
    scored = MmVet().rescore(predictions=answers, data=tmp_path / "mm-vet.json", grades=grades)
    assert value(scored, "official/ocr") == 100


def test_llavas_pope_answers_find_their_split_by_its_question_file(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    asked: list[dict[str, Any]] = []
    for at, split in enumerate(("random", "popular", "adversarial")):
        write(
            tmp_path / "coco" / f"coco_pope_{split}.json",
            label(1, "Is there a dog in the image?", "yes" if at else "no"),
        )
        text = "Is there a dog in the image?\nAnswer the question using a single word or phrase."
        asked.append({"question_id": at + 40, "image": "COCO_val2014_1.jpg", "text": text, "category": split})
    answers = write(tmp_path / "a.jsonl", *(answered(at + 40, "Yes", each["text"]) for at, each in enumerate(asked)))
    with pytest.raises(UsageError, match=r"splits adversarial, popular, random: give the label file of the one split"):
        Pope().rescore(predictions=answers, data=tmp_path)
    write(tmp_path / "llava_pope_test.jsonl", *asked)
    scored = Pope().rescore(predictions=answers, data=tmp_path)
    assert [value(scored, f"official/{each}_accuracy") for each in ("random", "popular", "adversarial")] == [
        0,
        100,
        100,
    ]
    with pytest.raises(UsageError, match=r"--data was read as a question file .*without right answers"):
        Pope().rescore(predictions=answers, data=tmp_path / "llava_pope_test.jsonl")


def test_answers_to_another_split_than_the_labels_are_no_answers_to_these(tmp_path: Path) -> None:
    labels = write(tmp_path / "coco_pope_random.json", label(1, "Is there a dog in the image?", "yes"))
    answers = write(tmp_path / "a.jsonl", answered(1, "Yes", "Is there a cat in the image?"))
    with pytest.raises(UsageError, match=r"line 1: the row asks another question than the data set: labels of another"):
        Pope().rescore(predictions=answers, data=labels)


def test_llavas_mmbench_answers_need_the_table_that_was_asked(tmp_path: Path) -> None:
    data = [
        {"index": index, "question": "Which?", "A": first, "B": second, "answer": right, "category": "colour"}
        for index, first, second, right in ((1, "red", "blue", "A"), (1_000_001, "blue", "red", "B"))
    ]
    answers = [
        answered(index, said) | {"round_id": 0, "options": ["red", "blue"]}
        for index, said in ((1, "A"), (1_000_001, "B"))
    ]
    table = write_tsv(tmp_path / "mmbench_dev_20230712.tsv", *data)
    scored = MmBench().rescore(predictions=write(tmp_path / "a.jsonl", *answers), data=table)
    assert value(scored, "official/circular") == 100


# -- logs ---------------------------------------------------------------------------------------------


def test_evalscopes_reviews_have_the_right_answers_that_its_predictions_lack(tmp_path: Path) -> None:
    kept = {"index": 1, "category": "colour", "source": "s"}
    message = {"role": "assistant", "content": "A"}
    predicted = {"index": 0, "model": "m", "model_output": {"choices": [{"message": message}]}, "metadata": kept}
    with pytest.raises(UsageError, match=r"evalscope's predictions .*give its reviews"):
        Gqa().rescore(predictions=write(tmp_path / "p.jsonl", predicted))
    score = {"value": {"acc": 1}, "extracted_prediction": "a", "prediction": "A"}
    reviewed = {"index": 0, "target": "a", "sample_score": {"score": score, "sample_id": 0, "sample_metadata": kept}}
    assert value(Gqa().rescore(predictions=write(tmp_path / "r.jsonl", reviewed)), "official/accuracy") == 100


def test_inspects_log_of_open_questions_and_of_options(tmp_path: Path) -> None:
    samples = [
        {
            "id": name,
            "epoch": 1,
            "input": "Which?",
            "choices": options,
            "target": target,
            "output": {"completion": said},
        }
        for name, options, target, said in (
            ("validation_Art_1", ["red", "blue"], ["B"], "ANSWER: B"),
            ("validation_Math_1", None, "3", "It is 3."),
        )
    ]
    (tmp_path / "log.json").write_text(json.dumps({"version": 2, "eval": {"task": "mmmu"}, "samples": samples}))
    scored = Mmmu().rescore(predictions=tmp_path / "log.json")
    assert (value(scored, "official/Art"), value(scored, "official/Math")) == (100, 100)


# -- the suites' own tools ----------------------------------------------------------------------------


def test_popes_lines_without_labels_say_where_these_lie(tmp_path: Path) -> None:
    answers = write(tmp_path / "a.json", {"question": "Is there a dog?", "answer": "yes"})
    with pytest.raises(UsageError, match=r"read as POPE's official answers .*--data coco_pope_random\.json"):
        Pope().rescore(predictions=answers)


def test_mmmus_letters_are_compared_with_its_answers_alone(tmp_path: Path) -> None:
    kinds = {"validation_Art_1": ("multiple-choice", "A"), "validation_Art_2": ("multiple-choice", "B")}
    kinds["validation_Math_1"] = ("open", "3")
    gold = {name: {"question_type": kind, "ground_truth": right} for name, (kind, right) in kinds.items()}
    (tmp_path / "answer_dict_val.json").write_text(json.dumps(gold))
    said = {"validation_Art_1": "A", "validation_Art_2": "A", "validation_Math_1": "It is 3."}
    (tmp_path / "total_val_output.json").write_text(json.dumps(said))
    with pytest.raises(UsageError, match=r"read as answers by id .*--data PATH"):
        Mmmu().rescore(predictions=tmp_path / "total_val_output.json")
    scored = Mmmu().rescore(predictions=tmp_path / "total_val_output.json", data=tmp_path / "answer_dict_val.json")
    assert (value(scored, "official/Art"), value(scored, "official/Math")) == (50, 100)


def test_mmmus_answers_alone_are_enough_for_outputs_with_options(tmp_path: Path) -> None:
    gold = {"validation_Art_1": {"question_type": "multiple-choice", "ground_truth": "B"}}
    (tmp_path / "answer_dict_val.json").write_text(json.dumps(gold))
    output = {"id": "validation_Art_1", "all_choices": ["A", "B"], "index2ans": {"A": "x", "B": "y"}, "response": "(B)"}
    scored = Mmmu().rescore(
        predictions=write(tmp_path / "output.jsonl", output), data=tmp_path / "answer_dict_val.json"
    )
    assert value(scored, "official/Art") == 100


def test_mmes_release_and_your_results_are_gold(tmp_path: Path) -> None:
    release, results = tmp_path / "release", tmp_path / "Your_Results"
    (release / "count").mkdir(parents=True)
    results.mkdir()
    lines = ("Is it? Please answer yes or no.\tYes", "Is it not?  Please answer yes or no.\tNo")
    (release / "count" / "1.txt").write_text("\n".join(lines))
    (results / "count.txt").write_text("".join(f"1.jpg\t{line}\n" for line in lines))
    answers = write(
        tmp_path / "a.jsonl", answered("count/1.png", "Yes", "Is it?"), answered("count/1.png", "No", "Is it not?")
    )
    for gold in (release, results):
        assert value(Mme().rescore(predictions=answers, data=gold), "official/count") == 200


def test_a_line_of_mmes_folder_with_a_tab_too_many_has_no_verdict(tmp_path: Path) -> None:
    lines = [
        "1.jpg\tIs it?\tYes\tYes",
        "1.jpg\tIs it not?\tNo\tNo\tno",
        "2.jpg\tIs it?\tYes\tYes",
        "2.jpg\tNot?\tNo\tNo",
    ]
    (tmp_path / "count.txt").write_text("\n".join(lines))
    scored = Mme().rescore(predictions=tmp_path)
    assert scored.extra["odd_rows"] == [
        f"{tmp_path / 'count.txt'} line 2: 5 cells between tabs, expected image, question, answer, response"
    ]


# -- rows and tables ----------------------------------------------------------------------------------


def test_gold_needs_no_prompts(tmp_path: Path) -> None:
    data = write_tsv(tmp_path / "d.tsv", {"index": 1, "answer": "A"}, {"index": 2, "answer": "B"})
    answers = write(tmp_path / "a.jsonl", {"index": 1, "prediction": "A"}, {"index": 2, "prediction": "A"})
    assert value(SeedBench().rescore(predictions=answers, data=data), "official/image_accuracy") == 50
    assert value(Gqa().rescore(predictions=answers, data=data), "official-raw/accuracy") == 50
    options = [{"index": at, "A": "red", "B": "blue", "prediction": "A"} for at in (1, 2)]
    scored = MmBench().rescore(predictions=write(tmp_path / "o.jsonl", *options), data=data)
    assert part(scored, "official/circular") == 50


@pytest.mark.parametrize("orient", ["split", "table", "columns", "records"])
def test_every_way_in_which_pandas_writes_json_is_read(tmp_path: Path, orient: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"index": [1, 2], "answer": ["cat", "dog"], "prediction": ["cat", "cat"]})
    frame.to_json(tmp_path / "a.json", orient=orient, index=False if orient == "table" else None)
    assert value(Gqa().rescore(predictions=tmp_path / "a.json"), "official/accuracy") == 50


def test_what_a_file_is_its_content_says(tmp_path: Path) -> None:
    rows = ({"id": "1", "answer": "cat", "response": "cat"},)
    (tmp_path / "rows.txt").write_bytes(b"\xef\xbb\xbf" + write(tmp_path / "a.jsonl", *rows).read_bytes())
    (tmp_path / "rows.json").write_bytes(write_tsv(tmp_path / "a.tsv", *rows).read_bytes())
    (tmp_path / "list.jsonl").write_text(json.dumps(list(rows), indent=2))
    (tmp_path / "comma.json").write_text(json.dumps(rows[0]) + ",\n")
    for name in ("rows.txt", "rows.json", "list.jsonl", "comma.json"):
        assert value(Gqa().rescore(predictions=tmp_path / name), "official/accuracy") == 100


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"id": 3, "answ', "not JSON"),
        (b'{"id": 3}\n', "no column 'answer'"),
        (b"[]\n", "holds a list"),
        (b'"\xff"\n', "not JSON"),
    ],
)
def test_one_odd_row_refuses_no_file(tmp_path: Path, line: bytes, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole = b"".join(b'{"id": %d, "answer": "cat", "response": "cat"}\n' % at for at in range(2))
    (tmp_path / "a.jsonl").write_bytes(whole + line)
    out = tmp_path / "rows.jsonl"
    assert main(["score", "-b", "gqa", str(tmp_path / "a.jsonl"), "--json", "--out", str(out)]) == 5
    said = json.loads(capsys.readouterr().out)
    assert len(said["odd_rows"]) == 1 and f"line 3: {why}" in said["odd_rows"][0]
    assert (said["n"], said["unscored"]) == (3, 1)
    assert said["metrics"]["official/accuracy"]["value"] is None
    assert said["metrics"]["official/accuracy (part)"]["value"] == 100
    assert json.loads(out.read_text().splitlines()[2])["odd"] == said["odd_rows"][0]


def test_rows_of_one_id_have_no_verdict_and_the_others_have(tmp_path: Path) -> None:
    rows = [{"id": at, "answer": "cat", "response": "cat"} for at in (0, 1, 2, 3, 4, 4)]
    scored = Gqa().rescore(predictions=write(tmp_path / "a.jsonl", *rows))
    assert scored.unscored == 2 and scored.metrics["official/accuracy"].value is None
    assert all("duplicate key '4'" in why for why in scored.extra["odd_rows"])


def test_a_folder_that_is_nobodys_names_those_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("no answers")
    with pytest.raises(
        UsageError, match=r"a folder without answers of pope .*VLMEvalKit's outputs/MODEL \(MODEL_DATASET\.xlsx\)"
    ):
        take(tmp_path, "pope")


def test_a_folder_of_two_models_is_not_guessed_at(tmp_path: Path) -> None:
    for model in "ab":
        write_tsv(tmp_path / f"{model}_POPE.tsv", {"index": 1, "question": "q", "answer": "Yes", "prediction": "Yes"})
    with pytest.raises(UsageError, match=r"tables of 2 models \(a, b\): name the file of one"):
        take(tmp_path, "pope")


def test_vlmevalkits_newest_run_is_taken_and_its_scores_are_not(tmp_path: Path) -> None:
    row = {"index": 1, "question": "q", "answer": "Yes", "category": "random"}
    for at, said in enumerate(("No", "Yes")):
        (tmp_path / f"T2026010{at}_Gabc").mkdir()
        write_tsv(tmp_path / f"T2026010{at}_Gabc" / "m_POPE.tsv", {**row, "prediction": said})
        (tmp_path / f"T2026010{at}_Gabc" / "m_POPE_score.csv").write_text("split,Overall\n")
        (tmp_path / f"T2026010{at}_Gabc" / "m_POPE_PREV.pkl").write_bytes(b"\x80\x04")
    assert value(Pope().rescore(predictions=tmp_path), "official/random_accuracy") == 100


def test_another_models_table_above_vlmevalkits_runs_is_said(tmp_path: Path) -> None:
    row = {"index": 1, "question": "q", "answer": "Yes", "category": "random", "prediction": "Yes"}
    (tmp_path / "T20260101_Gabc").mkdir()
    write_tsv(tmp_path / "T20260101_Gabc" / "a_POPE.tsv", row)
    write_tsv(tmp_path / "b_POPE.tsv", row)
    with pytest.raises(UsageError, match=r"tables of 2 models \(a, b\)"):
        take(tmp_path, "pope")


def test_vlmevalkits_grades_of_mm_vet_are_those_of_its_table(tmp_path: Path) -> None:
    row = {"index": 0, "question": "q", "answer": "a", "category": "ocr,math", "prediction": "x"}
    write_tsv(tmp_path / "m_MMVet.tsv", row)
    write_tsv(tmp_path / "m_MMVet_gpt-4-turbo.tsv", row | {"log": "Succeed", "score": 0.5})
    assert value(MmVet().rescore(predictions=tmp_path), "official/math") == 50


def test_mmmus_dev_rows_are_not_of_its_validation(tmp_path: Path) -> None:
    row = {"question": "q", "A": "x", "B": "y", "answer": "A", "category": "Art", "prediction": "A"}
    rows = [{"index": at, **row, "split": split} for at, split in enumerate(("dev", "validation"))]
    assert Mmmu().rescore(predictions=write_tsv(tmp_path / "m.tsv", *rows)).n == 1
    with pytest.raises(UsageError, match="1 row, none of which is one of mmmu's"):
        Mmmu().rescore(predictions=write_tsv(tmp_path / "m.tsv", rows[0]))


def test_convert_writes_what_score_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [sample(at, "cat", [said]) for at, said in enumerate(("cat", "dog"))]
    source, out = write(tmp_path / "a.jsonl", *rows), tmp_path / "rows.jsonl"
    assert main(["convert", str(source), "-o", str(out)]) == 0
    assert "read as lmms-eval's samples (JSON), 2 rows" in capsys.readouterr().err
    assert value(Gqa().rescore(predictions=out), "official/accuracy") == 50
    source.write_text(source.read_text() + "{half")
    assert main(["convert", str(source), "-o", str(out)]) == 5
    assert Gqa().rescore(predictions=out).unscored == 1
