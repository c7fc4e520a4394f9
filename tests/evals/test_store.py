"""A run on disk: locks, torn lines, foreign folders, hostile content."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from janus_eval.evals.errors import EnvironmentProblem, Locked, UsageError
from janus_eval.evals.files import check_inside, publish, read_json, seal, sha256, unseal
from janus_eval.evals.records import find_runs, read_record, read_scores, scores_of
from janus_eval.evals.store import RunStore
from janus_eval.evals.stored import read_lines
from janus_eval.evals.types import Evidence, Prediction, RunRecord, RunSpec, Score
from PIL import Image
from support.worlds import spec


def add_text(folder: Path, *texts: str) -> None:
    with RunStore(folder, spec()) as store, ThreadPoolExecutor(1) as pool:
        store.add_predictions([(Prediction(str(n)), text) for n, text in enumerate(texts)], pool)


def read_text(folder: Path) -> dict[str, str | None]:
    with RunStore(folder, spec()) as store:
        return {key[1]: each.text for key, each in store.predictions().items()}


@pytest.mark.claim("R6")
def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    code = "import sys, time; sys.path.insert(0, sys.argv[2])\nfrom pathlib import Path\n"
    code += "from support.worlds import spec\nfrom janus_eval.evals.store import RunStore\n"
    code += "held = RunStore(Path(sys.argv[1]), spec()); print('held', flush=True); time.sleep(30)"
    root = str(Path(__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), root], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match=f"pid {other.pid} on "):
            RunStore(tmp_path, spec())
        other.kill()
        other.wait()
        RunStore(tmp_path, spec()).close()  # the kernel has let go


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize(
    "name",
    [
        *(".lock", "spec.json", "plan.json", "latency.jsonl", "errors.jsonl", "record.json", "scores.jsonl"),
        *("predictions", "predictions/0.jsonl", "evidence", "evidence/0.jsonl", "images"),
    ],
)
def test_a_link_or_a_pipe_in_a_run_is_neither_followed_nor_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (run / name).parent.mkdir(parents=True)
    if kind == "link":
        (run / name).symlink_to(elsewhere)
    else:
        os.mkfifo(run / name)
    with pytest.raises(UsageError, match=rf"{name} is (a link|no regular file)"):
        add_text(run, "a")
    assert not elsewhere.exists()


def test_a_neighbour_of_pipes_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spec.json")
    with pytest.raises(UsageError, match="no regular file"):
        read_json(tmp_path / "spec.json")


@pytest.mark.parametrize(
    "changed",
    [
        *({"text": None}, {"text": 1.5}, {"text": ["a"]}, {"index": "0"}, {"index": True}, {"index": None}),
        *({"sample_id": 1}, {"sample_id": None}, {"kind": "video"}, {"kind": []}, {"kind": "image"}),
        *({"kind": "image", "image": "a.png", "bytes": "4", "sha256": "x"}, {"kind": "likelihood"}),
        *({"kind": "likelihood", "likelihoods": ["a"]}, {"kind": "likelihood", "likelihoods": {"a": 1}}),
    ],
)
def test_a_line_under_a_right_checksum_that_is_no_prediction_is_damaged(tmp_path: Path, changed: Any) -> None:
    add_text(tmp_path, "a", "b")
    path = tmp_path / "predictions/0.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    row = unseal(second)
    assert row is not None
    path.write_bytes(first + seal({**row, **changed}).encode() + b"\n")
    with RunStore(tmp_path, spec()) as store:
        assert [key[1] for key in store.predictions()] == ["0"]
        assert ["line 2 is damaged" in each for each in store.damage] == [True]


def test_a_folder_of_another_spec_is_refused(tmp_path: Path) -> None:
    RunStore(tmp_path, spec(seed=0)).close()
    with pytest.raises(UsageError, match="holds another run"):
        RunStore(tmp_path, spec(seed=1))


def test_a_newer_harness_resumes_an_older_run(tmp_path: Path) -> None:
    RunStore(tmp_path, spec()).close()
    RunStore(tmp_path, replace(spec(), version="newer")).close()


def test_a_torn_last_line_is_passed_over_and_the_next_one_starts_clean(tmp_path: Path) -> None:
    add_text(tmp_path, "a", "b")
    path = tmp_path / "predictions/0.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert read_text(tmp_path) == {"0": "a"}
    add_text(tmp_path, "a", "c")
    assert read_text(tmp_path) == {"0": "a", "1": "c"}


@settings(deadline=None)  # each example makes a folder and syncs it to disk
@given(st.text() | st.just("\ud800 lone") | st.just("a\u2028b\nc\x00"))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        add_text(Path(folder), text)
        assert read_text(Path(folder)) == {"0": text}


def test_a_file_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="a file stands where"):
        RunStore(tmp_path / "file" / "run", spec())


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="the name is too long"):
        RunStore(tmp_path / ("a" * 300), spec())


def test_a_picture_that_vanished_is_not_blamed_on_the_output_folder(tmp_path: Path) -> None:
    asked = Prediction("x", kind="image", image=tmp_path / "run" / "images" / "0.png")
    with (
        RunStore(tmp_path / "run", spec()) as store,
        ThreadPoolExecutor(1) as pool,
        pytest.raises(EnvironmentProblem, match=r"gone\.png cannot be read"),
    ):
        store.add_predictions([(asked, tmp_path / "gone.png")], pool)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "x"}', "null", "[" * 100_000])
def test_a_damaged_spec_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(UsageError, match=r"spec\.json is damaged"):
        RunStore(tmp_path, spec())


@pytest.mark.parametrize("text", ["{", "[]", '{"predict": 0}', '{"predict": "4"}', '{"predict": true}'])
def test_a_damaged_plan_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with RunStore(tmp_path, spec()) as store, pytest.raises(UsageError, match=r"plan\.json is damaged"):
        store.plan()


@pytest.mark.claim("R4")
def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    add_text(tmp_path, "kept")
    code = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
from support.worlds import spec
from janus_eval.evals.store import RunStore
from janus_eval.evals.types import Prediction
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with RunStore(Path(sys.argv[1]), spec()) as store, ThreadPoolExecutor(1) as pool:
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    store.add_predictions([(Prediction("x"), "y" * 9000)], pool)
"""
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), root], capture_output=True, text=True, check=False
    )
    assert "EnvironmentProblem: cannot write to" in done.stderr
    assert read_text(tmp_path) == {"0": "kept"}


@pytest.mark.parametrize("name", ["record.json", "scores.jsonl", "predictions/0.jsonl"])
def test_a_folder_in_the_place_of_a_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    record = RunRecord(spec(), "acc", {}, {}, complete=False)
    with RunStore(tmp_path, spec()) as store, pytest.raises(EnvironmentProblem, match="a folder stands"):
        store.predictions()
        store.finish([], record)


@pytest.mark.parametrize("change", [{"value": "1"}, {"index": "0"}, {"sample_id": 1}, {"protocol": None}, {"more": 1}])
def test_a_damaged_score_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    row = {"sample_id": "0", "index": 0, "protocol": "p", "value": None} | change
    (tmp_path / "scores.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UsageError, match="line 1 is damaged"):
        read_scores(tmp_path)


def test_a_score_that_nests_too_deeply_is_named(tmp_path: Path) -> None:
    (tmp_path / "scores.jsonl").write_text("[" * 200_000 + "\n")
    with pytest.raises(UsageError, match="line 1 is damaged"):
        read_scores(tmp_path)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(UsageError, match=r"record\.json is damaged"):
        read_record(tmp_path)


@pytest.mark.parametrize("change", [{"limit": [3]}, {"version": 1}, {"tag": {}}, {"model": None}])
def test_a_spec_whose_words_are_no_text_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="is no text"):
        RunSpec.from_json(spec().to_json() | change)


@pytest.mark.parametrize(
    "change",
    [{"observer_card": 3}, {"model_card": []}, {"model_options": None}, {"seed": "0"}, {"seed": True}, {"step": 1.5}],
)
def test_a_spec_whose_cards_and_numbers_are_none_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"no object|no whole number"):
        RunSpec.from_json(spec().to_json() | change)


def test_a_record_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(UsageError, match="format 99"):
        read_record(tmp_path)


def test_a_folder_without_runs_is_an_error_not_an_empty_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished run"):
        find_runs([tmp_path])


def test_a_smaller_batch_that_is_asked_for_is_obeyed_and_a_larger_one_is_not(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", spec()) as store:
        assert store.settle_plan({"predict": 16}) == {"predict": 16}
        assert store.settle_plan({"predict": 8}) == {"predict": 16}  # what a model thinks today moves no run
        assert store.shrink_plan(4) == {"predict": 4}
        assert store.shrink_plan(32) == store.plan() == {"predict": 4}


def test_a_finished_runs_pictures_are_read_once_by_a_rerun_and_again_where_they_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from janus_eval.evals import files, stored

    with RunStore(tmp_path / "run", spec()) as store, ThreadPoolExecutor(1) as pool:
        path = store.folder / "images" / "a.png"
        store.add_predictions([(Prediction("a", 0, "image", image=path), Image.new("RGB", (4, 4)))], pool)
        made = store.predictions()
        store.add_evidence([(made["image", "a", 0], Evidence("a", 0, {}))])
    monkeypatch.setattr(files, "_STILL", -1.0)
    read: list[Path] = []
    monkeypatch.setattr(files, "sha256", lambda path: read.append(path) or sha256(path))
    again = stored.Stored(tmp_path / "run")
    for _ in range(3):
        assert len(again.evidence(again.predictions())) == 1
    assert len(read) == 1
    path.write_bytes(path.read_bytes()[::-1])
    assert again.predictions() == {} and len(read) == 2


def test_files_that_other_writers_rename_meanwhile_are_no_links(tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            publish(tmp_path / "plan.json", b"{}")

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write) for _ in range(2)]
        try:
            for _ in range(2000):
                check_inside(tmp_path)
        finally:
            stop.set()
        for each in writers:
            each.result()


def test_the_record_of_another_run_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    for name, asked in (("one", spec()), ("two", replace(spec(), seed=5))):
        with RunStore(tmp_path / name, asked) as store:
            store.finish([], RunRecord(asked, "acc", {}, {}, complete=False))
    (tmp_path / "two" / "record.json").write_bytes((tmp_path / "one" / "record.json").read_bytes())
    with pytest.raises(UsageError, match=r"record\.json is the record of another run"):
        read_record(tmp_path / "two")
    assert read_record(tmp_path / "one").spec == spec()


def test_one_samples_scores_are_those_of_the_record(tmp_path: Path) -> None:
    scores = [Score(each, 0, "acc", 1.0) for each in "ab"]
    with RunStore(tmp_path, spec()) as store:
        store.finish(scores, RunRecord(spec(), "acc", {}, {}, complete=False))
    assert scores_of(tmp_path, "a") == scores[:1]
    path = tmp_path / "scores.jsonl"
    path.write_text(path.read_text().replace("1.0", "0.0", 1))
    with pytest.raises(UsageError, match=r"is not the file that record\.json was written with"):
        scores_of(tmp_path, "a")


@pytest.mark.parametrize("where", ["predictions/0.jsonl", "predictions/001of002-deadbeef.jsonl"])
def test_lines_of_another_run_are_neither_read_nor_kept(tmp_path: Path, where: str) -> None:
    for name, asked, text in (("ours", spec(), "yes"), ("theirs", replace(spec(), seed=5), "no")):
        with RunStore(tmp_path / name, asked) as store, ThreadPoolExecutor(1) as pool:
            store.add_predictions([(Prediction(str(n)), text) for n in range(3)], pool)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / where).write_bytes((theirs / "predictions/0.jsonl").read_bytes())
    left = [] if where.endswith("/0.jsonl") else ["yes"] * 3
    with RunStore(ours, spec()) as store:
        assert [each.text for each in store.predictions().values()] == left
        assert store.damage == [f"{ours / where}: 3 lines are of another run: their samples are computed again"]
        store.settle([("text", str(n), 0) for n in range(3)], store.predictions())
    assert [each["text"] for each in read_lines(ours, "predictions")] == left
    assert b'"no"' not in b"".join(path.read_bytes() for path in (ours / "predictions").iterdir())


def test_lines_that_do_not_say_whose_they_are_still_count(tmp_path: Path) -> None:
    add_text(tmp_path, "yes", "no")
    path = tmp_path / "predictions/0.jsonl"
    rows = [unseal(line) or {} for line in path.read_bytes().splitlines()]
    path.write_text("".join(seal({k: v for k, v in row.items() if k != "for"}) + "\n" for row in rows))
    assert read_text(tmp_path) == {"0": "yes", "1": "no"}


def test_a_line_without_a_mark_among_marked_ones_is_not_taken(tmp_path: Path) -> None:
    add_text(tmp_path, "yes", "no")
    path = tmp_path / "predictions/0.jsonl"
    rows = [unseal(line) or {} for line in path.read_bytes().splitlines()]
    forged = seal({key: value for key, value in rows[0].items() if key != "for"} | {"text": "no"})
    path.write_text("".join(f"{each}\n" for each in (forged, seal(rows[1]))))
    with RunStore(tmp_path, spec()) as store:
        assert [key[1] for key in store.predictions()] == ["1"]
        assert store.damage == [f"{path}: 1 lines are of another run: their samples are computed again"]


@pytest.mark.parametrize("where", ["predictions/0.jsonl", "predictions/9.jsonl"])
def test_two_answers_of_one_sample_are_damage_and_made_again(tmp_path: Path, where: str) -> None:
    add_text(tmp_path, "yes", "no")
    rows = [unseal(line) or {} for line in (tmp_path / "predictions/0.jsonl").read_bytes().splitlines()]
    keys = [("text", "0", 0), ("text", "1", 0)]
    for again in (False, True):  # where nobody made it again, a later look knows it still
        with (tmp_path / where).open("a") as file:
            file.write("".join(seal(row) + "\n" for row in ([rows[0]] if again else []) + [rows[0] | {"text": "no"}]))
        with RunStore(tmp_path, spec()) as store, ThreadPoolExecutor(1) as pool:
            assert [key[1] for key in store.predictions()] == ["1"]
            assert store.damage == [f"{tmp_path} has two text outputs of 0/0: it is made again"]
            if again:
                store.add_predictions([(Prediction("0"), "maybe")], pool)
            store.settle(keys, store.predictions(), ended=again)
        assert read_text(tmp_path) == ({"0": "maybe", "1": "no"} if again else {"1": "no"})


def test_two_observations_of_one_output_are_damage_and_made_again(tmp_path: Path) -> None:
    add_text(tmp_path, "yes", "no")
    keys = [("text", "0", 0), ("text", "1", 0)]

    def look(at: str, *data: Any) -> None:
        made = store.predictions()
        store.add_evidence([(made["text", at, 0], Evidence(at, data=each)) for each in data])

    with RunStore(tmp_path, spec()) as store:
        look("0", {"boxes": (1,)}, {"boxes": [2]})
        look("1", {"boxes": [1]}, {"boxes": [1]})
    for again in (False, True):
        with RunStore(tmp_path, spec()) as store:
            if again:
                look("0", {"boxes": [1]}, {"boxes": [2]})
            made = store.predictions()
            assert [key[1] for key in store.evidence(made)] == ["1"]
            assert store.damage == [f"{tmp_path / 'evidence'}: two observations of 0/0; it is looked at again"]
            if again:
                look("0", {"boxes": (3,)})
                assert [each.data for each in store.evidence(made).values()] == [{"boxes": [1]}, {"boxes": [3]}]
            store.settle(keys, made)
    with RunStore(tmp_path, spec()) as store:
        found = store.evidence(store.predictions())
        assert {key[1]: each.data for key, each in found.items()} == {"0": {"boxes": [3]}, "1": {"boxes": [1]}}
