"""The official results.jsonl as its owners have it, in every form."""

import json
import pickle
from pathlib import Path

import pytest
from janus_eval.benchmarks.geneval import prompts
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.score import score

VERDICTS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "fixtures" / "geneval" / "official_verdicts.jsonl")
    .read_text()
    .splitlines()
]


def official(row, correct, *, number=0, boxes=None):
    return {
        "filename": f"images/{row['prompt']}/{number:04d}.png",
        "tag": row["tag"],
        "prompt": row["prompt"],
        "correct": correct,
        "reason": "",
        "metadata": json.dumps(row),
        "details": json.dumps(boxes),
    }


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def whole():
    """Every third picture of the official suite is right."""
    rows = [(row, number) for row in prompts.suite() for number in range(4)]
    return [official(row, place % 3 == 0, number=number) for place, (row, number) in enumerate(rows)]


def value(scored, key):
    return scored.metrics[key].value


def test_a_whole_file_gives_what_the_official_summary_prints(tmp_path):
    rows = whole()
    scored = score("geneval", write(tmp_path / "results.jsonl", rows))
    by_tag = {tag: [each["correct"] for each in rows if each["tag"] == tag] for tag in prompts.TASKS}
    shares = {tag: sum(each) / len(each) for tag, each in by_tag.items()}
    assert {tag: value(scored, f"official/{tag}") for tag in shares} == pytest.approx(shares)
    assert value(scored, "official/overall") == pytest.approx(sum(shares.values()) / 6)
    assert scored.n == 2212 and scored.extra["suite"] == "official" and "contradicted" not in scored.extra
    assert value(scored, "official/correct_images") == sum(each["correct"] for each in rows) / 2212


def test_a_part_is_marked_and_says_which_tasks_it_holds(tmp_path, capsys):
    rows = [each for each in whole() if each["tag"] in ("colors", "position")][:500]
    assert main(["score", "-b", "geneval", str(write(tmp_path / "r.jsonl", rows))]) == 0
    said = capsys.readouterr().out
    assert "official/correct_images (part) " in said and "official/colors  " in said
    assert "position 31 of 100 prompts and 124 of 400 pictures" in said
    assert "counting 0 of 80 prompts and 0 of 320 pictures" in said


def test_one_picture_a_prompt_is_whole_where_one_was_asked_for(tmp_path):
    path = write(tmp_path / "r.jsonl", [official(row, True) for row in prompts.suite()])
    assert value(score("geneval", path), "official/overall (part)") == 1
    assert value(score("geneval", path, options={"images_per_prompt": 1}), "official/overall") == 1


def test_other_words_for_the_official_tasks_are_told(tmp_path):
    rows = [official({**row, "prompt": f"A rich view of {row['prompt']}"}, True) for row in prompts.suite()]
    scored = score("geneval", write(tmp_path / "r.jsonl", rows), options={"images_per_prompt": 1})
    assert scored.extra["suite"] == "the official tasks, other words in the prompts"
    own = {"tag": "colors", "include": [{"class": "unicorn", "count": 1}], "prompt": "a unicorn"}
    assert (
        score("geneval", write(tmp_path / "o.jsonl", [official(own, True)])).extra["suite"].startswith("not GenEval's")
    )


@pytest.mark.parametrize("form", ["list", "csv", "objects", "numbers"])
def test_other_ways_to_write_the_same_rows(tmp_path, form):
    rows = whole()[:40]
    want = score("geneval", write(tmp_path / "r.jsonl", rows)).metrics
    path = tmp_path / {"list": "r.json", "csv": "r.csv"}.get(form, "s.jsonl")
    if form == "list":
        path.write_text(json.dumps(rows))
    elif form == "csv":
        import csv

        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    elif form == "objects":
        write(path, [{**each, "metadata": json.loads(each["metadata"]), "details": {}} for each in rows])
    else:
        write(path, [{**each, "correct": int(each["correct"])} for each in rows])
    assert score("geneval", path).metrics == want


def test_rows_of_ulmevalkit_find_their_metadata_by_the_prompt(tmp_path):
    rows = whole()
    theirs = [
        {"index": place // 4, "question": each["prompt"], "include_class": "x"}
        | {key: each[key] for key in ("tag", "correct", "reason", "details")}
        for place, each in enumerate(rows)
    ]
    ours, other = write(tmp_path / "o.jsonl", rows), write(tmp_path / "u.jsonl", theirs)
    assert score("geneval", other).metrics == score("geneval", ours).metrics


def test_a_pickle_is_never_loaded_and_says_what_to_export(tmp_path):
    path = tmp_path / "model_GenEval_eval.pkl"
    path.write_bytes(pickle.dumps({"correct": [True]}))
    with pytest.raises(UsageError, match=r"pickle.*never loaded.*to_json"):
        score("geneval", path)


def results_of_verdicts():
    """The fixture's rows under the official options, as evidence and as a results.jsonl."""
    plain = [each for each in VERDICTS if not each.get("options") or each["options"]["threshold"] == 0.3]
    expected = [(each, each["expected"]) for each in plain]
    rows = [official(each["metadata"], said["correct"], boxes=said["details"]) for each, said in expected]
    return [{**row, "filename": each["id"]} for row, each in zip(rows, plain, strict=True)], plain


def test_a_higher_threshold_judges_the_boxes_again_where_no_colour_is_asked(tmp_path):
    rows, plain = results_of_verdicts()
    flags = {"threshold": 0.6, "counting_threshold": 0.95}
    ours = score("geneval", write(tmp_path / "r.jsonl", rows), options=flags)
    evidence = write(tmp_path / "e.jsonl", [{**each, "options": {}} for each in plain])
    theirs = {each["id"]: each for each in score("geneval", evidence, options=flags).rows}
    for line in ours.rows:
        if line["correct"] is None:
            assert line["reason"] == "unscored: its colours are not in the file"
        else:
            assert line["correct"] == theirs[line["id"]]["correct"]
    assert any(line["correct"] is None for line in ours.rows) and ours.unscored < len(rows) / 2


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"threshold": 0.2}, "below 0.3"),
        ({"counting_threshold": 0.5}, "below 0.9"),
        ({"max_objects": 20}, "at most 16"),
    ],
)
def test_what_the_official_script_dropped_cannot_be_asked_for(tmp_path, flags, told):
    counting = next(row for row in prompts.suite() if row["tag"] == "counting")
    cow = next(row for row in prompts.suite() if row["tag"] == "single_object")
    with pytest.raises(UsageError, match=told):
        score(
            "geneval",
            write(tmp_path / "r.jsonl", [official(counting, True, boxes={}), official(cow, True, boxes={})]),
            options=flags,
        )


def test_verdicts_that_their_own_boxes_contradict_are_named(tmp_path):
    row = next(row for row in prompts.suite() if row["tag"] == "single_object")
    box = {row["include"][0]["class"]: [[0, 0, 9, 9, 0.8]]}
    rows = [official(row, True, boxes=box), official(row, False, number=1, boxes=box)]
    assert score("geneval", write(tmp_path / "r.jsonl", rows)).extra["contradicted"] == [rows[1]["filename"]]


def test_one_odd_row_has_no_verdict_and_the_exit_code_says_so(tmp_path, capsys):
    rows = whole()
    rows[7]["correct"] = "perhaps"
    assert main(["score", "-b", "geneval", str(write(tmp_path / "r.jsonl", rows))]) == 5
    said = capsys.readouterr().out
    assert "correct holds 'perhaps'" in said and "1 without a verdict" in said and "overall (part)" in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"correct": true}', "line 1: neither metadata nor tag and prompt"),
        ('{"correct": true, "metadata": "{"}', "line 1: metadata: holds no JSON"),
        ('{"correct": true, "metadata": "[1]"}', "line 1: metadata: "),
        ('{"tag": "a", "include": [], "prompt": "b"}', "line 1: id is missing"),
    ],
)
def test_what_is_no_row_of_it_is_named(tmp_path, text, told):
    (tmp_path / "r.jsonl").write_text(text + "\n")
    with pytest.raises(UsageError, match=told):
        score("geneval", tmp_path / "r.jsonl")


def test_a_picture_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"line 2: .* stands above already"):
        score("geneval", write(tmp_path / "r.jsonl", whole()[:1] * 2))


def test_it_reads_what_a_run_of_ours_writes(tmp_path):
    """`official.write_results` writes details and metadata as texts, like the official script."""
    from janus_eval.benchmarks.geneval import official as ours
    from janus_eval.evals.types import Sample, Score

    row = prompts.suite()[0]
    made = [Score("00000", index, "official", float(index < 3), details={}) for index in range(4)]
    ours.write_results(tmp_path / "results.jsonl", [Sample("00000", row["prompt"], target=row)], made)
    assert value(score("geneval", tmp_path / "results.jsonl"), "official/single_object (part)") == 0.75


def first(tag, correct, **more):
    row = next(row for row in prompts.suite() if row["tag"] == tag)
    return {**official(row, correct), **more}


@pytest.mark.parametrize(
    "other", ["./images/1//samples/a.png", "images/0/../1/./samples/a.png", "images\\1\\samples\\a.png"]
)
def test_a_picture_under_another_spelling_of_its_path_is_refused(tmp_path, other):
    rows = [first("counting", True, filename=name) for name in ("images/1/samples/a.png", other)]
    with pytest.raises(UsageError, match=r"line 2: .* stands above already"):
        score("geneval", write(tmp_path / "r.jsonl", rows))


def test_rows_of_one_prompt_with_and_without_filename_are_refused(tmp_path):
    rows = [first("counting", True), first("counting", True, filename=None)]
    with pytest.raises(UsageError, match="line 2: of the rows of one prompt some have a filename"):
        score("geneval", write(tmp_path / "r.jsonl", rows))


def test_rows_of_one_prompt_with_the_same_boxes_are_named(tmp_path):
    boxes = {"cow": [[0, 0, 9, 9, 0.93]]}
    rows = [first("counting", True, filename=name, details=json.dumps(boxes)) for name in ("a.png", "b.png")]
    assert score("geneval", write(tmp_path / "r.jsonl", rows)).extra["same_boxes"] == ["b.png"]


def test_more_pictures_than_expected_are_said(tmp_path):
    rows = [first("counting", True, filename=f"{number}.png") for number in range(5)]
    assert "5 pictures of a prompt where 4" in score("geneval", write(tmp_path / "r.jsonl", rows)).extra["suite"]


def test_pictures_of_two_folders_in_one_file_are_said(tmp_path, capsys):
    rows = whole()[::4]
    rows = [{**row, "filename": f"{'ab'[at % 2]}/{at:05d}/samples/0000.png"} for at, row in enumerate(rows)]
    scored = score("geneval", write(tmp_path / "results.jsonl", rows))
    assert scored.extra["folders"] == {"a": "(277 pictures)", "b": "(276 pictures)"}
    assert main(["score", "-b", "geneval", str(tmp_path / "results.jsonl")]) == 0
    assert "below several folders" in capsys.readouterr().err
    one = [{**row, "filename": f"a/{at:05d}/samples/0000.png"} for at, row in enumerate(rows)]
    assert "folders" not in score("geneval", write(tmp_path / "one.jsonl", one)).extra


def test_a_coloured_prompt_without_its_boxes_cannot_be_right(tmp_path):
    name = first("colors", True)["filename"]
    path = write(tmp_path / "r.jsonl", [first("colors", True, details="{}")])
    assert score("geneval", path).extra["contradicted"] == [name]
    path = write(tmp_path / "r.jsonl", [first("colors", False, details="{}")])
    assert "contradicted" not in score("geneval", path).extra


def test_a_right_picture_with_the_reason_of_a_wrong_one_is_contradicted(tmp_path):
    row = first("counting", True, reason="expected cow>=2, found 0", details=None)
    assert score("geneval", write(tmp_path / "r.jsonl", [row])).extra["contradicted"] == [row["filename"]]


@pytest.mark.parametrize("column", ["tag", "prompt"])
def test_columns_that_contradict_the_metadata_leave_no_verdict(tmp_path, capsys, column):
    row = first("counting", True)
    row[column] = "colors"
    assert main(["score", "-b", "geneval", str(write(tmp_path / "r.jsonl", [row]))]) == 5
    assert f"{column} holds 'colors', and its metadata" in capsys.readouterr().out
