"""lmms-eval: DATE_samples_TASK.jsonl (doc_id, doc, target, filtered_resps, input); since 0.4 without `doc`.

EvolvingLMMs-Lab/lmms-eval 75571cfe, loggers/evaluation_tracker.py save_results_samples (which drops `doc` and keeps
what a task's process_results returned) and tasks/*/utils.py; 5eacae27 wrote one JSON with the samples as `logs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ....evals.types import Json
from ..rows import Row
from .form import Folder, Form, has, inner

TASKS: Final[Mapping[str, str]] = {
    "pope": r"pope",
    "mme": r"mme",
    "mmbench": r"mmbench_en_dev(_static)?",
    "seed_bench": r"seedbench",
    "gqa": r"gqa",
    "mmmu": r"mmmu_val",
    "mm_vet": r"mmvet",
    "mmstar": r"mmstar",
    "realworldqa": r"realworldqa",
    "ai2d": r"ai2d(_no_mask)?",
    "chartqa": r"chartqa",
    "ocrbench": r"ocrbench",
    "mmbench_cn": r"mmbench_cn_dev",
    "mmvp": r"mmvp",
    "mathvista": r"mathvista_testmini_(cot|solution|format)",
    "mmmu_pro": r"mmmu_pro_standard",
    "mmmu_pro_vision": r"mmmu_pro_vision",
}
"""What lmms-eval calls our suites."""
_METRICS: Final = (
    *("pope_accuracy", "mme_perception_score", "mme_cognition_score", "seed_image", "seed_video"),
    *("submission", "mmmu_acc", "gpt_eval_score", "llm_as_judge_eval"),
)
"""Under which name a task leaves what it knew of a row: its id, its category, its right answer."""
_SPLITS: Final = {"adv": "adversarial", "pop": "popular", "random": "random"}
_FILE: Final = re.compile(r"(?:.*_)?samples_(.+)\.jsonl")


def _row(row: Row, suite: str) -> Row:
    known: dict[str, Json] = {}
    for name in ("doc", *_METRICS):
        value = row.fields.get(name)
        known = {**(value if isinstance(value, dict) else {}), **known}
    known |= {key: known[name] for key, name in _OURS if name in known and key not in known}
    known.setdefault("id", row.fields.get("doc_id"))
    if known.get("question") is None and isinstance(row.fields.get("input"), str):
        known["question"] = row.fields["input"]
    if known.get("answer") is None:
        known["answer"] = row.fields.get("target")
    if "category" not in known and (found := _FILE.fullmatch(row.file.name)):
        split = _SPLITS.get(found[1].removeprefix("pope_"))
        known |= {"category": split} if split and found[1].startswith("pope_") else {}
    if inner(known, "eval_model"):
        known["grades"] = [known["score"]]  # without the name of a model it is the 0 of a judge that never replied
    known.pop("score", None)
    known.pop("prediction", None)  # what the task read in the answer, not the answer
    known |= {"response": _response(row.fields["filtered_resps"]), "doc_id": row.fields.get("doc_id")}
    return replace(row, fields=known)


_OURS: Final = (
    *(("answer", "ground_truth"), ("answer", "gt_answer"), ("capability", "capabilities")),
    *(("l2-category", "L2-category"), ("id", "question_id")),
)


def _response(value: Json) -> Json:
    """Return the one answer in lists of lists; what is no text stays, for the message that says so."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def files(folder: Path, suite: str) -> Sequence[Path]:
    """Return the newest samples of a suite's task in a folder of results: names begin with their date."""
    task = re.compile(rf"(?:.*_)?samples_{TASKS.get(suite, '(?!)')}\.jsonl")
    return sorted(path for path in folder.iterdir() if task.fullmatch(path.name) and path.is_file())[-1:]


FORMS: Final = (
    Form(
        "lmms-eval's samples ({})",
        has("doc_id", "filtered_resps"),
        _row,
        "lmms-eval from 0.4 on leaves the questions out of its samples: give the suite's data with --data PATH",
    ),
)
FOLDERS: Final = (Folder("lmms-eval's results", "DATE_samples_TASK.jsonl", files),)
