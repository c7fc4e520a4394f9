"""What the suites' own tools read and write: MME's folder, MMMU's outputs and answers, POPE's lines, MM-Vet's answers.

BradyFU/Awesome-Multimodal-Large-Language-Models, branch Evaluation dd295090 (tools/eval_tool.zip, Your_Results);
MMMU-Benchmark/MMMU bb0b95a9 (eval/example_outputs, answer_dict_val.json); RUCAIBox/POPE 3df3ba1b (evaluate.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ....evals.errors import UsageError
from ....evals.types import Json
from ..rows import Row
from .form import Folder, Form, has, with_columns


def mme_lines(path: Path) -> Iterator[Row]:
    """Yield the rows of one subtask's file: picture, question, right answer and, once a model was asked, its own.

    A release's file is one picture's, in a folder of its subtask: question and right answer alone.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    names = ("image", "question", "answer", "response")
    for number, line in enumerate(text.split("\n"), 1):
        cells = line.removesuffix("\r").split("\t")
        if not line.strip():
            continue
        if len(cells) == 2:
            subtask = path.parent.parent if path.parent.name == "questions_answers_YN" else path.parent
            cells = [path.name, *cells]
            yield Row({"category": subtask.name, **dict(zip(names, cells, strict=False))}, path, number)
        elif len(cells) in (3, 4):
            yield Row({"category": path.stem, **dict(zip(names, cells, strict=False))}, path, number)
        else:
            why = f"{len(cells)} cells between tabs, expected {', '.join(names)}"
            yield Row({"category": path.stem, "image": cells[0]}, path, number, {"": why})


def _inside(folder: Path, patterns: Sequence[str]) -> list[Path]:
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        for path in found:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise UsageError(f"{path}: a link that leaves the folder: put the file itself there")
        if found:
            return found
    return []


def _mme_files(folder: Path, suite: str) -> list[Path]:
    return _inside(folder, MME_FILES) if suite in ("mme", "") else []


MME_FILES: Final = ("*.txt", "*/questions_answers_YN/*.txt", "*/*.txt")
"""Where MME's tool and its release have their rows."""


def _mmmu_files(folder: Path, suite: str) -> list[Path]:
    return _inside(folder, ("*/output.json", "total_val_output.json")) if suite in ("mmmu", "") else []


def _tool_of_pope(fields: Mapping[str, Json]) -> bool:
    return set(fields) == {"question", "answer"}


def _pope(row: Row, suite: str) -> Row:
    """Return a line of POPE's tool: its answer is the model's, and its place in the file all that names it."""
    return replace(
        row, fields={"place": row.line - 1, "question": row.fields["question"], "response": row.fields["answer"]}
    )


FORMS: Final = (
    Form(
        "POPE's official answers ({})",
        _tool_of_pope,
        lambda row, suite: _pope(row, suite) if suite in ("pope", "") else row,
        "the labels lie in that split's file: give --data coco_pope_random.json (or popular, adversarial)",
    ),
    Form("MMMU's official outputs ({})", has("id", "all_choices", "response")),
    Form(
        "MMMU's answers ({})",
        has("id", "question_type", "ground_truth"),
        lambda row, suite: with_columns(row, answer=row.fields["ground_truth"]),
        "these are the right answers: give them with --data, and a model's outputs as the file to score",
    ),
    Form(
        "answers by id ({})",
        lambda fields: set(fields) == {"id", "response"},
        lacks="it has no right answers: give the suite's data with --data PATH",
    ),
)
FOLDERS: Final = (
    Folder("MMMU's official outputs", "SUBJECT/output.json", _mmmu_files),
    Folder("MME's official folder", "existence.txt, count.txt, ...", _mme_files, mme_lines),
)
