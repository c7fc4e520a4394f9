"""What is fuzzed: for each reader a folder of small valid files, and the commands that read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.toy import weights as toy_weights
from janus_eval.evals.commands.cli import main
from janus_eval.evals.endpoint.replies import (
    NotTheApi,
    RequestFailed,
    ServerError,
    answer_of,
    error_code,
    read_body,
    read_drawing,
    read_reply,
    server_words,
)
from support.dpg_questions import HEAD
from support.dpg_questions import row as question_row
from support.predictions import write, write_tsv
from support.suite_rows import TABLES, data_of

Call = Sequence[str] | Callable[[Path], object]
"""A command line, `{}` in it the folder; or a reader that is called with the folder."""


@dataclass(frozen=True)
class Target:
    """`make` writes the valid files; those that match `hit` are made hostile; one of `calls` reads them.

    `heavy` ones load torch: they come after the others.
    """

    name: str
    make: Callable[[Path], None]
    hit: Sequence[str]
    calls: Sequence[Call]
    heavy: bool = False
    most: int = field(default=1 << 22)


def _answers(name: str, folder: Path) -> None:
    table = TABLES[name]()
    flat = [{k: v if isinstance(v, str | int | float) else json.dumps(v) for k, v in row.items()} for row in table.rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    flat = [{key: row.get(key, "") for key in columns} for row in flat]
    write(folder / "p.jsonl", *table.rows)
    (folder / "p.json").write_text(json.dumps(table.rows))
    (folder / "columns.json").write_text(json.dumps({key: [row[key] for row in flat] for key in columns}))
    write_tsv(folder / "p.tsv", *flat)
    data = data_of(table)
    write(folder / "d.jsonl", *data)
    write_tsv(folder / "d.tsv", *[{**row, "image": data[at]["image"]} for at, row in enumerate(flat)])


def of_suite(name: str) -> Target:
    score = ["score", "-b", name, "{}/p.jsonl"]
    calls = [
        score,
        [*score, "--json", "--out", "{}/rows.jsonl"],
        [*score, "--data", "{}/d.jsonl"],
        ["score", "-b", name, "{}/p.json", "--json"],
        ["score", "-b", name, "{}/columns.json"],
        ["score", "-b", name, "{}/p.tsv"],
        ["score", "-b", name, "{}/p.tsv", "--data", "{}/d.tsv"],
        ["run", "-m", "always-yes", "-b", name, "--data", "{}/d.jsonl", "-o", "{}/runs"],
        ["run", "-m", "first-option", "-b", name, "--data", "{}/d.tsv", "-o", "{}/runs", "--json"],
    ]
    return Target(name, partial(_answers, name), ("*.json", "*.jsonl", "*.tsv"), calls)


def _parquet(folder: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{k: v for k, v in row.items() if k != "types"} for row in data_of(TABLES["pope"]())]
    datasets.Dataset.from_list(rows).to_parquet(str(folder / "d.parquet"))
    write(folder / "p.jsonl", *TABLES["pope"]().rows)


def _geneval(folder: Path) -> None:
    include = [{"class": "cat", "count": 1, "color": "red"}, {"class": "dog", "count": 2, "position": ["left of", 0]}]
    asked = {"tag": "position", "prompt": "p", "include": include, "exclude": [{"class": "cat", "count": 3}]}
    boxes = {"cat": [[0, 0, 9, 9, 0.95]], "dog": [[0, 0, 9, 9, 0.95], [3, 3, 7, 7, 0.9]]}
    seen = {"boxes": boxes, "colors": {"cat": ["red"], "dog": ["red", None]}, "options": {"threshold": 0.3}}
    write(folder / "e.jsonl", *({"id": number, "metadata": asked, **seen, "floor": 0.1} for number in range(3)))
    write(folder / "m.jsonl", asked, {**asked, "tag": "colors"}, {**asked, "tag": "counting"})


def _dpg(folder: Path) -> None:
    rows = "".join(question_row(item, number, str(number - 1)) for item in "ab" for number in (1, 2))
    (folder / "q.csv").write_text(HEAD + rows)
    answers: list[dict[str, Any]] = [
        {"item_id": item, "image": image, "proposition_id": number, "answer": "yes", "cut": False, "scorer": "mplug"}
        for item in "ab"
        for image in (0, "mia")
        for number in (1, 2)
    ]
    write(folder / "a.jsonl", *answers)


def _runs(folder: Path) -> None:
    """Make two finished runs of pope, one of mm_vet with a judge's evidence, a baseline, and files beside them."""
    for name in ("pope", "mm_vet"):
        write(folder / f"{name}.jsonl", *data_of(TABLES[name]()))
    made = [
        main(["run", "-m", model, "-b", name, "--data", f"{folder}/{name}.jsonl", "-o", f"{folder}/runs", *more])
        for model, name, more in (
            ("always-yes", "pope", ()),
            ("first-option", "pope", ()),
            ("always-yes", "mm_vet", ("--judge", "rule")),
        )
    ]
    assert made == [0, 0, 0]
    for run, short in zip(sorted((folder / "runs").iterdir()), ("vet", "yes", "first"), strict=True):
        run.rename(folder / "runs" / short)
    assert main(["gate", f"{folder}/runs", "--baseline", f"{folder}/b.json.gz", "--update"]) == 0
    (folder / "gate.toml").write_text(
        'alpha = 0.05\nwatch = ["a*"]\nknobs = ["m.*"]\n[tolerance]\n"official/accuracy" = 1\n'
    )
    (folder / "own.csv").write_text("suite,column,model,value,source\nunderstanding,pope,Mine,87.5,a book\n")
    (folder / "claims.toml").write_text('[[claims]]\nid = "x"\n')


FORMATS = ("text", "markdown", "latex", "html", "csv", "json")
READING: list[Call] = [
    ["show", "{}/runs/yes"],
    ["show", "{}/runs/vet", "--json"],
    ["show", "{}/runs/vet", "--failed"],
    ["show", "{}/runs/yes", "--failed", "--json"],
    ["show", "{}/runs/vet", "--id", "v1_1"],
    ["show", "{}/runs/yes", "--id", "1/0", "--json"],
    *(["report", "{}/runs", "-f", form] for form in FORMATS),
    *(["compare", "{}/runs/yes", "{}/runs/first", "-f", form] for form in FORMATS),
    *(["explain", "{}/runs/yes", "{}/runs/vet", "-f", form] for form in FORMATS),
    *(["gate", "{}/runs", "--baseline", "{}/b.json.gz", "-f", form] for form in FORMATS),
    ["gate", "{}/runs", "--baseline", "{}/b.json.gz", "--junit", "{}/j.xml", "--comment", "{}/c.md"],
    ["gate", "{}/runs", "--baseline", "{}/b.json.gz", "--tolerances", "{}/gate.toml"],
    ["gate", "{}/runs", "--baseline", "{}/new.json.gz", "--update"],
    ["claims", "{}/runs"],
    ["claims", "--claims", "{}/claims.toml"],
    ["report", "{}/runs", "--reported", "{}/own.csv"],
    ["run", "-m", "always-yes", "-b", "pope", "--data", "{}/pope.jsonl", "-o", "{}/resumed"],
    ["run", "-m", "always-yes", "-b", "mm_vet", "--judge", "rule", "--data", "{}/mm_vet.jsonl", "-o", "{}/resumed"],
]


def _resumable(folder: Path) -> None:
    """Make the runs that the same commands take up again: their records are gone."""
    for name, more in (("pope", ()), ("mm_vet", ("--judge", "rule"))):
        write(folder / f"{name}.jsonl", *data_of(TABLES[name]()))
        assert main(_taken_up(folder, name, *more)) == 0
    for run in (folder / "runs").iterdir():
        (run / "record.json").unlink()


def _taken_up(folder: Path | str, name: str, *more: str) -> list[str]:
    return ["run", "-m", "always-yes", "-b", name, "--data", f"{folder}/{name}.jsonl", "-o", f"{folder}/runs", *more]


def _judged(folder: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "grades"} for row in TABLES["mm_vet"]().rows]
    write(folder / "p.jsonl", *rows)
    assert main(["score", "-b", "mm_vet", str(folder / "p.jsonl"), "--judge", "rule"]) == 0
    (folder / "grades.json").write_text(json.dumps({row["id"]: {"model": "m", "score": [0.5, 1.0]} for row in rows}))


def _replies(folder: Path) -> None:
    message = {"role": "assistant", "content": "yes", "reasoning_content": None, "refusal": None}
    parts = [{"type": "text", "text": "no"}, {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    whole = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    (folder / "chat.json").write_text(json.dumps(whole))
    (folder / "parts.json").write_text(json.dumps({"choices": [{"message": {"content": parts}}]}))
    (folder / "error.json").write_text(json.dumps({"error": {"message": "no", "code": 429, "param": "x"}}))
    (folder / "detail.json").write_text(json.dumps({"detail": [{"loc": ["body", "n"], "msg": "too many"}]}))
    (folder / "drawing.json").write_text(json.dumps({"data": [{"b64_json": "aGk=", "revised_prompt": "a cat"}]}))


def _read_replies(folder: Path) -> None:
    for path in folder.glob("*.json"):
        body = path.read_bytes()
        server_words(body)
        error_code(body)
        for read in (read_reply, read_drawing):
            try:
                found: Any = read(read_body(body, "application/json"))
                if read is read_reply:
                    answer_of(found, "w", remedy="r")
            except (NotTheApi, ServerError, RequestFailed):
                continue


def _janus(folder: Path) -> None:
    from janus_eval.models.janus import toy

    toy.build(folder / "native")
    write(folder / "pope.jsonl", *data_of(TABLES["pope"]())[:1])


def _read_janus(folder: Path) -> None:
    import torch
    from janus_eval.models.janus.checkpoint import Checkpoint
    from janus_eval.models.janus.prompts import Tokens

    tokens = Tokens(folder / "native")
    Checkpoint(folder / "native").network(tokens.image, device=torch.device("cpu"), dtype=torch.float32)


def _bins(folder: Path) -> None:
    import torch
    from support.mmdet_files import write_pth

    tensors = {"a": torch.zeros(4, 3), "b": torch.arange(5)}
    for name, zipped in (("new.bin", True), ("old.bin", False)):
        torch.save(tensors, folder / name, _use_new_zipfile_serialization=zipped)
    write_pth(folder / "detector.pth", zipped=True)
    write_pth(folder / "legacy.pth")


def _read_bin(folder: Path) -> None:
    from janus_eval.models.janus import weights

    for name in ("new.bin", "old.bin"):
        list(weights.tensors(folder / name))


def _read_detector(name: str, folder: Path) -> None:
    from janus_eval.benchmarks.geneval.detector import checkpoint

    checkpoint.read(folder / name)


def _toy_folder(name: str, folder: Path) -> None:
    shutil.copytree(Path(toy_weights.__file__).parent / "weights" / name, folder / name)


def _read_vqa(folder: Path) -> None:
    from janus_eval.benchmarks.dpg_bench.vqa import weights

    weights.load(folder / "vqa")


def _read_folder(folder: Path) -> None:
    from janus_eval.benchmarks.geneval.detector import folder as detector

    detector.settings_of(folder / "detector")
    detector.source_digest(folder / "detector")
    detector.recorded_response(folder / "detector")
    detector.load(str(folder / "detector"))


TARGETS: tuple[Target, ...] = (
    *(of_suite(name) for name in TABLES),
    Target("runs", _runs, ("runs/*/*.json*", "runs/*/*/*.jsonl", "*.gz", "*.toml", "*.csv"), READING),
    Target(
        "resumed",
        _resumable,
        ("runs/*/*.json*", "runs/*/*/*.jsonl", "*.jsonl"),
        [_taken_up("{}", "pope"), _taken_up("{}", "mm_vet", "--judge", "rule")],
    ),
    Target(
        "geneval",
        _geneval,
        ("*.jsonl",),
        [
            ["score", "-b", "geneval", "--evidence", "{}/e.jsonl"],
            ["score", "-b", "geneval", "--evidence", "{}/e.jsonl", "--json", "--out", "{}/rows.jsonl"],
            ["run", "-m", "noise-image", "-b", "geneval", "--data", "{}/m.jsonl", "-o", "{}/runs", "--dry-run"],
        ],
    ),
    Target(
        "dpg",
        _dpg,
        ("q.csv", "a.jsonl"),
        [
            ["score", "-b", "dpg_bench", "{}/a.jsonl", "--data", "{}/q.csv"],
            ["score", "-b", "dpg_bench", "{}/a.jsonl", "--data", "{}/q.csv", "--json", "--out", "{}/rows.jsonl"],
        ],
    ),
    Target(
        "judged",
        _judged,
        ("*.jsonl", "grades.json"),
        [
            ["score", "-b", "mm_vet", "{}/p.jsonl", "--judge", "rule"],
            ["score", "-b", "mm_vet", "{}/p.jsonl", "--judge", "rule", "--json"],
            ["score", "-b", "mm_vet", "{}/p.jsonl", "--grades", "{}/grades.json"],
            ["score", "-b", "mm_vet", "{}/grades.json"],
        ],
    ),
    Target("replies", _replies, ("*.json",), [_read_replies]),
    Target(
        "parquet",
        _parquet,
        ("*.parquet", "p.jsonl"),
        [
            ["score", "-b", "pope", "{}/p.jsonl", "--data", "{}/d.parquet"],
            ["run", "-m", "always-yes", "-b", "pope", "--data", "{}/d.parquet", "-o", "{}/runs"],
        ],
        heavy=True,
    ),
    Target("bins", _bins, ("*.bin",), [_read_bin], heavy=True),
    Target("pth", _bins, ("detector.pth",), [partial(_read_detector, "detector.pth")], heavy=True),
    Target("legacy", _bins, ("legacy.pth",), [partial(_read_detector, "legacy.pth")], heavy=True),
    Target("vqa", partial(_toy_folder, "vqa"), ("vqa/*",), [_read_vqa], heavy=True),
    Target("detector", partial(_toy_folder, "detector"), ("detector/*",), [_read_folder], heavy=True),
    Target(
        "janus",
        _janus,
        ("native/*.json", "native/*.safetensors"),
        [
            _read_janus,
            [
                *("run", "-m", "janus-pro-1b", "-a", "path={}/native", "-b", "pope", "--data", "{}/pope.jsonl"),
                *("-o", "{}/runs", "--device", "cpu", "-a", "max_new_tokens=4"),
            ],
        ],
        heavy=True,
        most=1 << 25,
    ),
)
