"""The toy suites: in each suite's schema, the same bytes every time, read by the suites' own loaders."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections import Counter
from pathlib import Path

import pytest
from janus_eval.benchmarks.geneval import suite
from janus_eval.benchmarks.reading.rows import is_picture_column
from janus_eval.benchmarks.toy import data, tables
from janus_eval.benchmarks.toy.edits import understood
from janus_eval.evals import registry
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from PIL import Image

TABLES = {
    "geneval": "a3de81654ed38553",
    "dpg_bench": "2c751141998721fa",
    "pope": "3da74f861cddc9b4",
    "mme": "2ed6959619db5722",
    "mmbench": "9e50d5fc186157eb",
    "seed_bench": "3ef57de16cabbcc5",
    "gqa": "6b761528181f0f7b",
    "mmmu": "dde8469e8c9f9c11",
    "mm_vet": "524b667474986fc1",
    "mmstar": "f5b4766b60610a17",
    "realworldqa": "97fa8ef5b5fde005",
    "ai2d": "46b24b8e3cb226ec",
    "chartqa": "deaa38d201dbd349",
    "ocrbench": "17e7f5baf0573592",
    "mmbench_cn": "9e70d2ffcf71ecc6",
    "mmvp": "865c49477038cef3",
    "mathvista": "720d911914dc0b73",
    "mmmu_pro": "40fa9c048849d4b7",
    "mmmu_pro_vision": "661881ebe31f8434",
    "wise": "1e1851409379dd0f",
    "wise_rewritten": "7473a8cd9d5bf887",
    "wise_verified": "a527bcc3ccbddfc9",
    "genai_bench": "1fe37b1f0ff6a273",
    "t2i_compbench": "c2f8640b8c1b50fa",
    "unigenbench": "2434fec4b58d46e6",
    "unigenbench_long": "e09e88c455460367",
    "unigenbench_cn": "471138b0cd8e6941",
    "unigenbench_cn_long": "450bfa94e8a110a3",
    "oneig_alignment": "4d10d5201b225b35",
    "oneig_alignment_cn": "2c51686f3e8ebe3a",
    "oneig_text": "166172d50d61ecdc",
    "oneig_text_cn": "20b3b7fad9601e69",
    "tiif": "f044812ef2646adc",
    "tiif_mini": "f77c39ba319b5716",
    "geneval_long": "03fb4fdeb212eaa4",
    "geneval2": "87e64e2c30ab5163",
    "gedit_bench": "869898a2f24449a2",
    "gedit_bench_cn": "b3ab44625ea28944",
    "imgedit_bench": "47ec9015d212dcf0",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


def test_geneval_has_enough_different_prompts_a_task_and_its_loader_takes_them() -> None:
    rows = suite.load(str(data.file("geneval")), 0, 0).rows
    tasks = Counter(row["tag"] for row in rows.values())
    assert list(tasks) == ["single_object", "two_object", "counting", "colors", "position", "color_attr"]
    assert tasks.pop("single_object") == 18
    assert set(tasks.values()) == {54}
    assert len({json.dumps(row) for row in rows.values()}) == len(rows)


def test_the_same_bytes_every_time() -> None:
    first = data.file("gqa").read_bytes()
    assert first == data.table("GQA_TestDev_Balanced.tsv", tables.gqa())


EDITED = ("gedit_bench", "gedit_bench_cn", "imgedit_bench")
DRAWN = (
    *("geneval", "geneval_long", "geneval2", "dpg_bench", "wise", "wise_rewritten", "wise_verified"),
    *("tiif", "tiif_mini", "unigenbench", "genai_bench", "t2i_compbench"),
    *("unigenbench_long", "unigenbench_cn", "unigenbench_cn_long"),
    *("oneig_alignment", "oneig_alignment_cn", "oneig_text", "oneig_text_cn"),
)


@pytest.mark.parametrize("name", DRAWN)
def test_a_suite_of_drawings_has_different_prompts_that_its_loader_takes(name: str) -> None:
    samples = registry.create("benchmarks", name, data="toy").samples()
    assert len(samples) >= 30
    assert len({each.prompt for each in samples}) >= len(samples) - 1


@pytest.mark.parametrize("name", EDITED)
def test_a_suite_of_edits_has_pictures_and_instructions_that_the_editor_understands(name: str) -> None:
    samples = registry.create("benchmarks", name, data="toy").samples()
    assert len(samples) >= 30
    for each in samples:
        assert Image.open(io.BytesIO(each.images[0].read())).size == (256, 256)
        assert understood(each.prompt), each.prompt


@pytest.mark.parametrize("name", [each for each in data.SUITES if each not in (*DRAWN, *EDITED)])
def test_every_picture_can_be_decoded(name: str) -> None:
    rows = read(data.file(name))
    assert len(rows) >= 30
    for row in rows[:40]:
        if len(row["image"]) > 64:  # shorter cells name the row that holds the picture
            assert Image.open(io.BytesIO(base64.b64decode(row["image"]))).size == (64, 64)


def test_pope_asks_as_many_yes_as_no_in_each_split() -> None:
    answers: Counter[tuple[str, str]] = Counter()
    for row in read(data.file("pope")):
        answers.update((split, row["answer"]) for split in row["category"].split(","))
    for split in ("random", "popular", "adversarial"):
        assert answers[split, "Yes"] == answers[split, "No"] >= 50


def test_mme_asks_a_yes_and_a_no_about_each_picture() -> None:
    rows = read(data.file("mme"))
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    assert all((a["answer"], b["answer"]) == ("Yes", "No") for a, b in pairs)
    assert all(a["image_path"] == b["image_path"] and a["image"] == b["image"] for a, b in pairs)


def test_mmbench_rolls_options_and_answer_together() -> None:
    rows = read(data.file("mmbench"))
    first = {int(row["index"]): row for row in rows if int(row["index"]) < 1_000_000}
    assert len(rows) == 4 * len(first)
    for row in rows:
        original = first[int(row["index"]) % 1_000_000]
        assert row[row["answer"]] == original[original["answer"]]
        roll = int(row["index"]) // 1_000_000
        assert row["ABCD"[roll]] == original["A"]


def test_dpg_questions_depend_on_earlier_ones() -> None:
    rows = read(data.file("dpg_bench"))
    items = {row["item_id"] for row in rows}
    assert len(items) == 40
    for item in items:
        own = [row for row in rows if row["item_id"] == item]
        assert [int(row["proposition_id"]) for row in own] == list(range(1, len(own) + 1))
        for row in own:
            parents = [int(each) for each in row["dependency"].split(",")]
            assert all(parent < int(row["proposition_id"]) for parent in parents)


def test_an_unknown_suite_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no data for 'vqav3'; it has geneval, dpg_bench, pope"):
        data.folder("vqav3")


def test_a_cache_that_cannot_be_written_is_an_environment_problem(cache: Path) -> None:
    cache.write_text("a file stands where the folder should be")
    with pytest.raises(EnvironmentProblem, match=r"toy data cannot be written .*JANUS_EVAL_CACHE"):
        data.folder("pope")


def test_a_table_cut_short_by_a_crash_is_never_seen(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:100])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "write_bytes", cut)
        data.folder("mm_vet")
    assert list((cache / "toy").iterdir()) == []
    place = data.folder("mm_vet")
    assert sorted(each.name for each in place.iterdir()) == ["MMVet.tsv", "SHA256SUMS"]
    assert list(place.parent.iterdir()) == [place]


def test_a_damaged_table_is_made_again() -> None:
    path = data.file("geneval")
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:20]))
    assert data.file("geneval").read_bytes() == whole
    path.with_name("of another program").write_text("")
    made = path.stat().st_ino
    assert data.file("geneval").stat().st_ino == made


def test_the_tables_have_changed_only_with_their_version() -> None:
    """Who changes a table counts VERSION up, else an older copy in a cache is taken for it. Pictures left out."""
    shown: dict[str, str] = {}
    for name in data.SUITES:
        path = data.file(name)
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".jsonl":
            told = [{key: cell for key, cell in row.items() if not is_picture_column(key)} for row in read(path)]
            text = json.dumps(told)
        shown[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (data.VERSION, shown) == ("1", TABLES)
