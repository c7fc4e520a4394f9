"""Ten files as ten harnesses leave them, each scored by one command and no conversion.

    python examples/open_door.py [FOLDER]

The files are made here, with two to eight rows each, in the shapes that the harnesses write (docs/i-have.md).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

Rows = Sequence[Mapping[str, Any]]
Harness = Callable[[Path], list[str]]
"""What makes a file as a harness does, and returns the arguments that score it."""


def lines(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def sheet(path: Path, rows: Rows) -> None:
    """Write a workbook of one sheet of texts, as pandas' to_excel does."""
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in ([*rows[0]], *(row.values() for row in rows)))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    book = (
        f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="Sheet1" r:id="rId1"/></sheets></workbook>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", book)
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        sheet_xml = f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        archive.writestr("xl/worksheets/sheet1.xml", sheet_xml)


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


# -- what the suites ask, two questions each ----------------------------------------------------------

POPE = (("Is there a dog in the image?", "yes", "Yes"), ("Is there a cat in the image?", "no", "Yes, there is."))
MME = (("Is there a dog? Please answer yes or no.", "Yes"), ("Is there a cat? Please answer yes or no.", "No"))
CAPABILITY = {"v1_0": "ocr,math", "v1_1": "rec"}


def rolled(question: int) -> Iterable[dict[str, Any]]:
    """Yield one MMBench question in its four rolls, each answered right."""
    colours = ["red", "blue", "green", "grey"]
    for roll in range(4):
        options = dict(zip("ABCD", colours[roll:] + colours[:roll], strict=True))
        right = next(letter for letter, colour in options.items() if colour == "red")
        yield {"index": question + roll * 1_000_000, "question": "Which?", **options, "answer": right}


def mmbench() -> Rows:
    wrong = [{**row, "prediction": "A"} for row in rolled(2)]
    return [{**row, "prediction": row["answer"]} for row in rolled(1)] + wrong


def vlmevalkit(folder: Path) -> list[str]:
    """outputs/MODEL of VLMEvalKit: one of two questions is right in every roll, 50."""
    home = folder / "outputs" / "my-model"
    home.mkdir(parents=True)
    sheet(home / "my-model_MMBench_DEV_EN.xlsx", [{**row, "category": "colour"} for row in mmbench()])
    return ["-b", "mmbench", str(home)]


def mmbench_upload(folder: Path) -> list[str]:
    """The table that MMBench's server takes: the same rows without a category."""
    sheet(folder / "my-model.xlsx", mmbench())
    return ["-b", "mmbench", str(folder / "my-model.xlsx")]


def lmms_eval(folder: Path) -> list[str]:
    """lmms-eval --log_samples."""
    rows = [
        {
            "doc_id": at,
            "doc": {"question_id": str(at + 1), "question": question, "answer": gold, "category": "random"},
            "target": gold,
            "filtered_resps": [said],
            "input": question,
        }
        for at, (question, gold, said) in enumerate(POPE)
    ]
    lines(folder / "20260101_000000_samples_pope.jsonl", rows)
    return ["-b", "pope", str(folder / "20260101_000000_samples_pope.jsonl")]


def inspect_log(folder: Path) -> list[str]:
    """inspect log convert --to json."""
    samples = [
        {
            "id": f"validation_Art_{at}",
            "epoch": 1,
            "input": [{"role": "user", "content": [{"type": "text", "text": "Which?"}]}],
            "choices": ["red", "blue"],
            "target": "A",
            "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": said}}]},
        }
        for at, said in enumerate(("A", "B"), 1)
    ]
    (folder / "log.json").write_text(json.dumps({"version": 2, "eval": {"task": "mmmu"}, "samples": samples}))
    return ["-b", "mmmu", str(folder / "log.json")]


def evalscope(folder: Path) -> list[str]:
    """evalscope's predictions/MODEL/pope_random.jsonl."""
    rows = [
        {
            "index": at,
            "model": "m",
            "model_output": {"choices": [{"message": {"role": "assistant", "content": said}}]},
            "messages": [{"role": "user", "content": [{"type": "text", "text": question}]}],
            "metadata": {"id": str(at), "answer": gold.upper(), "category": "random", "question_id": str(at + 1)},
        }
        for at, (question, gold, said) in enumerate(POPE)
    ]
    lines(folder / "pope_random.jsonl", rows)
    return ["-b", "pope", str(folder / "pope_random.jsonl")]


def llava(folder: Path) -> list[str]:
    """LLaVA's answers/MODEL.jsonl for MME; the right answers lie in the official tool's Your_Results."""
    gold = folder / "Your_Results"
    gold.mkdir()
    told = "".join(f"000000006040.jpg\t{question}\t{answer}\n" for question, answer in MME)
    (gold / "existence.txt").write_text(told)
    rows = [
        {
            "question_id": "existence/000000006040.jpg",
            "prompt": prompt,
            "text": "Yes",
            "answer_id": "a",
            "model_id": "m",
        }
        for prompt in ("Is there a dog?\nAnswer the question using a single word or phrase.", "Is there a cat?")
    ]
    lines(folder / "llava-v1.5-7b.jsonl", rows)
    return ["-b", "mme", str(folder / "llava-v1.5-7b.jsonl"), "--data", str(gold)]


def mmmu_tool(folder: Path) -> list[str]:
    """SUBJECT/output.json of MMMU's official code."""
    for subject, said in (("Art", "B"), ("Math", "The answer is (A).")):
        row = {"id": f"validation_{subject}_1", "question_type": "multiple-choice", "answer": "A", "response": said}
        (folder / subject).mkdir()
        options = {"all_choices": ["A", "B"], "index2ans": {"A": "red", "B": "blue"}}
        (folder / subject / "output.json").write_text(json.dumps([row | options]))
    return ["-b", "mmmu", str(folder)]


def pope_tool(folder: Path) -> list[str]:
    """The lines of POPE's evaluate.py, and the label file of the split that was asked."""
    lines(folder / "answers.json", [{"question": question, "answer": said} for question, _, said in POPE])
    labels = [
        {"question_id": at, "image": "COCO_val2014_1.jpg", "text": question, "label": gold}
        for at, (question, gold, _) in enumerate(POPE, 1)
    ]
    lines(folder / "coco_pope_random.json", labels)
    return ["-b", "pope", str(folder / "answers.json"), "--data", str(folder / "coco_pope_random.json")]


def mm_vet_tool(folder: Path) -> list[str]:
    """MM-Vet's answers by id, its grader's file, and mm-vet.json."""
    content = {
        "answers.json": dict.fromkeys(CAPABILITY, "x = -1"),
        "grades.json": {"v1_0": {"score": [0.5]}, "v1_1": {"score": [1.0]}},
        "mm-vet.json": {name: {"capability": skills.split(",")} for name, skills in CAPABILITY.items()},
    }
    for name, each in content.items():
        (folder / name).write_text(json.dumps(each))
    answers, grades, data = (str(folder / name) for name in content)
    return ["-b", "mm_vet", answers, "--grades", grades, "--data", data]


def mme_tool(folder: Path) -> list[str]:
    """The folder that MME's calculation.py reads."""
    rows = (f"1.jpg\t{question}\t{answer}\t{answer}\n" for question, answer in MME)
    (folder / "existence.txt").write_text("".join(rows))
    return ["-b", "mme", str(folder)]


HARNESSES: Sequence[Harness] = (
    *(vlmevalkit, mmbench_upload, lmms_eval, inspect_log, evalscope),
    *(llava, mmmu_tool, pope_tool, mm_vet_tool, mme_tool),
)


def main(folder: Path) -> int:
    """Make the ten files and score each; return how many could not be."""
    refused = 0
    for harness in HARNESSES:
        home = folder / harness.__name__
        home.mkdir(parents=True)
        command = ["score", *harness(home)]
        print("$ janus-eval " + " ".join(command), flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "janus_eval.evals.commands.cli", *command], capture_output=True, text=True
        )
        refused += done.returncode not in (0, 5)
        print("\n".join([*done.stderr.splitlines(), *done.stdout.splitlines()[:2]]) + "\n", flush=True)
    return refused


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else place)))
