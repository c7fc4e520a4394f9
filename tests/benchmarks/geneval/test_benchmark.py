"""GenEval as a benchmark: samples, metrics, stored evidence, the official layout."""

import json

import pytest
from janus_eval.benchmarks.geneval import prompts
from janus_eval.benchmarks.geneval.benchmark import GenEval
from janus_eval.evals.errors import UsageError
from janus_eval.evals.types import Evidence, Prediction
from PIL import Image
from support.geneval_rows import PROMPTS, seen

SURE = [0, 0, 9, 9, 0.95]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def suite(tmp_path):
    return str(write_lines(tmp_path / "prompts.jsonl", PROMPTS))


def row(number, prompt, boxes, colors=None, **more):
    return {"id": number, "metadata": PROMPTS[prompt], "boxes": boxes, "colors": colors or {}, "options": {}, **more}


def score(benchmark, sample, index, data, error=None):
    evidence = Evidence(sample.id, index, data, error)
    (found,) = benchmark.score(sample, Prediction(sample.id, index, "image"), evidence)
    return found


# -- samples ------------------------------------------------------------------------------------------


def test_the_official_prompts_are_the_default_and_ids_are_the_folder_names():
    samples = GenEval().samples()
    assert len(samples) == 553 and len({each.cluster for each in samples}) == 553
    assert (samples[0].id, samples[-1].id) == ("00000", "00552")
    assert samples[0].prompt == "a photo of a bench" and samples[0].tags == {"task": "single_object"}
    assert GenEval().image_path(0, samples[7], 2) == "00007/samples/0002.png"
    assert GenEval().card["suite"] == "official"


def test_another_suite_has_another_card(suite):
    cards = [GenEval().card, GenEval(suite_seed=7).card, GenEval(data=suite).card, GenEval(threshold=0.2).card]
    assert all(a != b for k, a in enumerate(cards) for b in cards[:k])


def test_equal_metadata_make_one_cluster(tmp_path):
    path = write_lines(tmp_path / "twice.jsonl", [PROMPTS[0], PROMPTS[1], PROMPTS[0]])
    assert [each.cluster for each in GenEval(data=str(path)).samples()] == ["00000", "00001", "00000"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"tag": "x", "include": []}\n', "line 1: prompt is missing"),
        ('\n{"tag": "x", "prompt": "y"}\n', "line 2: include is missing"),
        ('{"tag": "x"', "line 1: no JSON object"),
        ("[]", "line 1: metadata: expected an object"),
        ("", "holds no prompts"),
    ],
)
def test_a_metadata_file_that_is_wrong_names_file_line_and_field(tmp_path, text, names):
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(UsageError, match=f"m.jsonl.*{names}"):
        GenEval(data=str(tmp_path / "m.jsonl")).samples()


def test_a_prompt_may_hold_any_line_separator(tmp_path):
    strange = {**PROMPTS[0], "prompt": "a cat\u2028and\x85more"}
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps(strange, ensure_ascii=False) + "\r\n\r\n", encoding="utf-8")
    assert [each.prompt for each in GenEval(data=str(path)).samples()] == [strange["prompt"]]


def test_a_missing_data_file_is_named():
    with pytest.raises(UsageError, match="nowhere"):
        GenEval(data="nowhere.jsonl").samples()


def layout(folder, prompts):
    for name, prompt in prompts.items():
        (folder / name / "samples").mkdir(parents=True)
        (folder / name / "metadata.jsonl").write_text(json.dumps(prompt))
    return str(folder)


def test_a_folder_brings_its_prompts(tmp_path):
    folder = layout(tmp_path, {"00010": PROMPTS[1], "00002": PROMPTS[0]})
    (tmp_path / "notes").mkdir()
    assert [(each.id, each.prompt) for each in GenEval(data=folder).samples()] == [
        ("00002", "a photo of a cat"),
        ("00010", "a photo of a red dog"),
    ]


def test_a_folder_with_a_part_of_the_official_suite_misses_the_rest(tmp_path):
    official = GenEval().samples()
    folder = layout(tmp_path, {each.id: each.target for each in official[:3]})
    assert len(GenEval(data=folder).samples()) == 553


def test_a_folder_is_asked_for_as_many_pictures_as_it_has(tmp_path):
    folder = layout(tmp_path, {"00000": PROMPTS[0], "00001": PROMPTS[1]})
    assert GenEval().outputs == GenEval(data=folder).outputs == 4
    for name in ("00000/samples/0000.png", "00000/samples/grid.png", "00001/samples/00000.png"):
        (tmp_path / name).write_bytes(b"")
    assert GenEval(data=folder).outputs == 1 and GenEval(data=folder).card["images"] == 1
    for number in range(8):
        (tmp_path / f"00001/samples/{number:05d}.png").write_bytes(b"")
    assert GenEval(data=folder).outputs == 8
    assert GenEval(data=folder, images_per_prompt=2).outputs == 2


def test_a_folder_that_is_no_layout_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"holds no pictures; expected 00000/samples/0000.png"):
        GenEval(data=str(tmp_path)).samples()
    layout(tmp_path, {"00000": PROMPTS[1]})
    (tmp_path / "00001").mkdir()
    with pytest.raises(UsageError, match=r"00001 has no metadata\.jsonl"):
        GenEval(data=str(tmp_path)).samples()


# -- scores and metrics -------------------------------------------------------------------------------


def test_the_toy_worlds_name_wins_over_a_folder_which_a_path_still_reaches(tmp_path, monkeypatch):
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "toy" / "00000" / "samples").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "toy" / "00000" / "samples" / "0000.png")
    monkeypatch.chdir(tmp_path)
    assert len(GenEval(data="toy").samples()) == 288 and GenEval(data="toy").outputs == 4
    assert len(GenEval(data="./toy").samples()) == 553 and GenEval(data="./toy").outputs == 1


@pytest.mark.claim("R7")
def test_a_picture_that_cannot_be_decoded_is_no_wrong_answer(suite):
    benchmark = GenEval(data=suite)
    sample = benchmark.samples()[0]
    assert score(benchmark, sample, 0, {"invalid": "cut in half"}).value is None
    assert score(benchmark, sample, 0, {"invalid": "cut in half"}).reason == "invalid image: cut in half"
    assert score(benchmark, sample, 0, None, error="cut in half").reason == "invalid image: cut in half"
    assert score(benchmark, sample, 0, seen()).value == 0.0


def test_metrics_by_hand(suite):
    benchmark = GenEval(data=suite)
    cat, dog, ties = benchmark.samples()
    one, none = seen(cat=[SURE], dog=[SURE], tie=[SURE, SURE]), seen()
    # cat: 4 of 4, dog: 1 of 4, ties: 0 of 3 and a picture that cannot be read
    scores = [score(benchmark, cat, k, one) for k in range(4)]
    scores += [score(benchmark, dog, k, one if k == 2 else none) for k in range(4)]
    scores += [score(benchmark, ties, k, none) for k in range(3)] + [score(benchmark, ties, 3, {"invalid": "x"})]
    metrics = benchmark.aggregate(scores)
    others = {"two_object", "position", "color_attr"}
    assert {*metrics["official/overall"].absent} == {"1 with an invalid picture", *others}
    assert metrics["official/counting"].absent == ("1 with an invalid picture",)
    assert {key: (each.value, each.n) for key, each in metrics.items() if each.value is not None} == {
        "official/overall (part)": (pytest.approx((1 + 0.25 + 0) / 3), 11),
        "official/single_object": (1.0, 4),
        "official/counting (part)": (0.0, 3),
        "official/colors": (0.25, 4),
        "official/correct_images (part)": (pytest.approx(5 / 11), 11),
        "official/correct_prompts (part)": (pytest.approx(2 / 3), 3),
    }


def test_overall_is_withheld_where_a_task_has_no_verdict(suite):
    benchmark = GenEval(data=suite)
    cat, dog, _ = benchmark.samples()
    scores = [score(benchmark, cat, 0, seen(cat=[SURE])), score(benchmark, dog, 0, {"invalid": "x"})]
    metrics = benchmark.aggregate(scores)
    assert metrics["official/overall"].value is None and metrics["official/colors"].value is None
    assert metrics["official/single_object"].value == 1.0


def test_a_threshold_below_the_stored_floor_is_refused(suite):
    benchmark = GenEval(data=suite, threshold=0.05)
    with pytest.raises(UsageError, match=r"00000/0: threshold 0.05 lies below 0.1"):
        score(benchmark, benchmark.samples()[0], 0, seen())


# -- stored evidence ----------------------------------------------------------------------------------


def test_stored_rows_are_judged_with_their_own_options_and_flags_win(tmp_path):
    weak = [0, 0, 9, 9, 0.35]
    path = write_lines(
        tmp_path / "e.jsonl",
        [
            row(0, 0, {"cat": [weak]}),
            row(1, 0, {"cat": [weak]}, options={"threshold": 0.5}),
            row("two", 1, {"dog": [SURE]}, {"dog": ["blue"]}),
        ],
    )
    found = GenEval().rescore(evidence=path)
    assert [(each["id"], each["correct"]) for each in found.rows] == [(0, True), (1, False), ("two", False)]
    assert list(found.rows)[1] == {"id": 1, "correct": False, "reason": "expected cat>=1, found 0", "details": {}}
    assert found.metrics["official/overall"].value is None
    assert found.metrics["official/single_object (part)"].value == 0.5
    assert found.metrics["official/correct_prompts (part)"].value == 0.5  # both cats are one prompt
    lowered = GenEval().rescore(evidence=path, threshold=0.3)
    assert [each["correct"] for each in lowered.rows] == [True, True, False]


def test_a_row_counts_once_and_what_a_file_lacks_makes_parts(tmp_path):
    def all_of(pictures):
        return [
            {**row(f"{number}/{index}", 0, {}), "metadata": each}
            for number, each in enumerate(prompts.suite())
            for index in range(pictures)
        ]

    whole = all_of(4)
    found = GenEval().rescore(evidence=write_lines(tmp_path / "e.jsonl", whole))
    assert found.metrics["official/overall"].value == 0 and found.extra["suite"] == "official"
    for lacking in (whole[1:], whole[:-1], whole[4:], whole[:900] + whole[901:]):
        found = GenEval().rescore(evidence=write_lines(tmp_path / "e.jsonl", lacking))
        assert found.metrics["official/overall"].value is None
        assert f"{len(whole) - len(lacking)} without a row" in found.metrics["official/overall"].absent
    assert GenEval(images_per_prompt=1).rescore(evidence=write_lines(tmp_path / "e.jsonl", all_of(1))).n == 553
    with pytest.raises(UsageError, match=r"e.jsonl line 2213: id '0/0' stands above already"):
        GenEval().rescore(evidence=write_lines(tmp_path / "e.jsonl", [*whole, whole[0]]))


def test_rescoring_below_the_floor_is_refused_and_names_the_row(tmp_path):
    path = write_lines(tmp_path / "e.jsonl", [row(0, 0, {}), row(1, 2, {}, floor=0.2)])
    assert GenEval().rescore(evidence=path, counting_threshold=0.2).n == 2
    with pytest.raises(UsageError, match=r"e.jsonl line 2: counting_threshold 0.1 lies below 0.2"):
        GenEval().rescore(evidence=path, counting_threshold=0.1)


def without(row, name):
    return {key: value for key, value in row.items() if key != name}


GOOD = row(0, 1, {"dog": [SURE]}, {"dog": ["red"]})


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        (without(GOOD, "id"), "id is missing"),
        (without(GOOD, "metadata"), "metadata is missing"),
        (without(GOOD, "boxes"), "boxes is missing"),
        (without(GOOD, "colors"), "colors is missing"),
        ({**GOOD, "metadata": without(PROMPTS[1], "prompt")}, "metadata.prompt is missing"),
        ({**GOOD, "metadata": []}, "metadata: expected an object"),
        ({**GOOD, "boxes": {"dog": 3}}, 'boxes: expected a list for "dog"'),
        ({**GOOD, "boxes": {"dog": [[1, 2]]}}, 'box 0 of "dog"'),
        ({**GOOD, "colors": []}, "colors: expected an object"),
        ({**GOOD, "colors": {}}, "colours? of"),
        ({**GOOD, "options": {"treshold": 1}}, "did you mean threshold"),
        ({**GOOD, "options": {"threshold": "high"}}, "option threshold"),
        ({**GOOD, "floor": "low"}, "floor: expected a number"),
        ([GOOD], "expected an object"),
    ],
)
def test_a_row_that_is_wrong_names_file_line_and_field(tmp_path, bad, names):
    path = write_lines(tmp_path / "e.jsonl", [{**GOOD, "id": "first"}, bad])
    with pytest.raises(UsageError, match=f"e.jsonl line 2: .*{names}"):
        GenEval().rescore(evidence=path)


def test_files_that_hold_no_rows_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere.jsonl cannot be read: No such file"):
        GenEval().rescore(evidence=tmp_path / "nowhere.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UsageError, match=r"holds no rows"):
        GenEval().rescore(evidence=tmp_path / "empty.jsonl")
    (tmp_path / "cut.jsonl").write_bytes(b'{"id": "\xff')
    with pytest.raises(UsageError, match="no UTF-8 text"):
        GenEval().rescore(evidence=tmp_path / "cut.jsonl")
    with pytest.raises(UsageError, match="one FILE"):
        GenEval().rescore()


def test_the_official_tasks_in_other_words_are_told_and_geneval_2_is_not_taken_for_it(tmp_path):
    from janus_eval.benchmarks.geneval.prompts import suite as official

    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps({**row, "prompt": f"{row['prompt']}, in detail"}) + "\n" for row in official()))
    card = GenEval(data=str(path)).card
    assert card["clauses"] == "official" and card["suite"] != "official" and card["origin"] == "given"
    assert "clauses" not in GenEval().card
    path.write_text('{"prompt": "a green pig", "atom_count": 2, "vqa_list": [["Is it green?", "Yes"]], "skills": []}\n')
    with pytest.raises(UsageError, match="line 1: prompts of GenEval 2"):
        GenEval(data=str(path)).samples()
