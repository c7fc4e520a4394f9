"""VLMEvalKit: a table of the suite's columns and `prediction`, MODEL_DATASET.xlsx (or .tsv, .json) in outputs/MODEL.

open-compass/VLMEvalKit e8e78f05, vlmeval/inference.py and vlmeval/smp/file.py (get_pred_file_path); MMBench's upload
is the same table without the columns that its server knows (LLaVA c121f043, scripts/convert_mmbench_for_submission.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ....evals.errors import UsageError
from .form import Folder, Form, has

DATASETS: Final[Mapping[str, str]] = {
    "pope": "POPE",
    "mme": "MME",
    "mmbench": "MMBench_DEV_EN",
    "seed_bench": "SEEDBench_IMG",
    "gqa": "GQA_TestDev_Balanced",
    "mmmu": "MMMU_DEV_VAL",
    "mm_vet": "MMVet",
    "mmstar": "MMStar",
    "realworldqa": "RealWorldQA",
    "ai2d": "AI2D_TEST",
    "chartqa": "ChartQA_TEST",
    "ocrbench": "OCRBench",
    "mmbench_cn": "MMBench_DEV_CN",
    "mmvp": "MMVP",
    "mathvista": "MathVista_MINI",
    "mmmu_pro": "MMMU_Pro_10c",
    "mmmu_pro_vision": "MMMU_Pro_V",
}
"""What VLMEvalKit calls our suites."""
_RUN: Final = re.compile(r"T\d{8}[-_].+")


def files(folder: Path, suite: str) -> Sequence[Path]:
    """Return the newest table of a suite in a folder of results; of MM-Vet's the one with grades, where there is one.

    Raises UsageError where the folder holds several models' tables.
    """
    name = re.compile(rf"(.+)_{re.escape(DATASETS.get(suite, '?'))}(_\S+)?\.(xlsx|tsv|json)")
    tables = [path for path in sorted(folder.iterdir()) if (found := name.fullmatch(path.name)) and not _made(found[2])]
    runs = sorted((each for each in folder.iterdir() if _RUN.fullmatch(each.name) and each.is_dir()), reverse=True)
    models = sorted(
        {found[1] for each in (folder, *runs) for path in each.iterdir() if (found := name.fullmatch(path.name))}
    )
    if len(models) > 1:
        raise UsageError(f"{folder}: tables of {len(models)} models ({', '.join(models[:3])}): name the file of one")
    if not tables:
        return next((found for each in runs if (found := files(each, suite))), [])
    graded = [path for path in tables if (found := name.fullmatch(path.name)) and found[2]]
    chosen = graded[-1:] if suite == "mm_vet" and graded else [path for path in tables if path not in graded][:1]
    if chosen and not chosen[0].resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{chosen[0]}: a link that leaves the folder: name the file itself")
    return chosen


def _made(suffix: str | None) -> bool:
    """Return whether a file was made from answers: scores, what a judge matched."""
    return suffix is not None and suffix.endswith(("_score", "_acc", "_result", "_PREV", "_checkpoint", "_V11"))


FORMS: Final = (
    Form(
        "VLMEvalKit's {}",
        lambda fields: has("index", "prediction", "question")(fields) and ("category" in fields or "A" not in fields),
    ),
    Form(
        "MMBench's upload {}",
        has("index", "prediction", "question", "A"),
        lacks="an upload of a split whose answers are not published has none: --data brings those of dev",
    ),
)
FOLDERS: Final = (Folder("VLMEvalKit's outputs/MODEL", "MODEL_DATASET.xlsx", files),)
