"""OCRBench: 1000 questions about text in pictures; right where a right answer stands in what was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ..evals import stats
from ..evals.stats import Estimate
from ..evals.types import Json, Sample, Score
from .reading.rows import Row
from .reading.scores import Read, accuracy, by_protocol, judged, percent, slug
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableSuite, numbered, row_id

PROTOCOLS: Final = ("official", "vlmevalkit-2026", "lmms-eval")
RECOGNITION: Final = tuple(
    f"{kind} Recognition"
    for kind in ("Regular Text", "Irregular Text", "Artistic Text", "Handwriting", "Digit String", "Non-Semantic Text")
)
FORMULA: Final = "Handwritten Mathematical Expression Recognition"
TYPES: Final = (*RECOGNITION, "Scene Text-centric VQA", "Doc-oriented VQA", "Key Information Extraction", FORMULA)
_FILES: Final = ("OCRBench.tsv", "OCRBench.json", "data/test-*.parquet")
GOLDS: Final = ("answer", "answers", "gold")
_NARROW: Final = {0xFF01 + at: 0x21 + at for at in range(94)} | {0x3000: 0x20}
"""Full-width ASCII and the ideographic space, and what lmms-eval takes them for."""


def read(text: str, target: Json) -> dict[str, Read]:
    """Return whether a right answer is found, as Yuliang-Liu/MultimodalOCR 794c36d OCRBench/example.py looks for it:
    case apart, or, for formulas, blanks apart. lmms-eval makes full-width characters of other answers narrow."""
    formula: bool = target["formula"]

    def found(form: Callable[[str], str]) -> Read:
        said = _clean(form(text), formula)
        return text, float(any(_clean(form(each), formula) in said for each in target["answers"])), not text.strip()

    narrow = found(str if formula else lambda each: each.translate(_NARROW))
    return {"official": found(str), "vlmevalkit-2026": found(str), "lmms-eval": narrow}


def _clean(text: str, formula: bool) -> str:
    line = (text if formula else text.lower()).strip().replace("\n", " ")
    return line.replace(" ", "") if formula else line


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return `score` of 1000, `accuracy` in percent, each question type, and `text_recognition` over six of them."""
    found = accuracy(PROTOCOLS, "category", named=slug, parts=TYPES)(scores)
    for name, mine in by_protocol(scores, PROTOCOLS).items():
        whole = found[f"{name}/accuracy"]
        reading = percent([each for each in mine if each.tags.get("category") in RECOGNITION])
        found[f"{name}/text_recognition"] = stats.lacking(
            reading, [each for each in RECOGNITION if each in whole.absent]
        )
        found[f"{name}/score"] = whole.times(10)
    return found


def _sample(row: Row, asked: Asked) -> Sample:
    kind, source = row.label("category", "question_type", "type") or "", row.label("dataset", "dataset_name")
    return Sample(
        id=row_id(row),
        prompt=asked.text(lambda: row.text("question").strip()),
        images=asked.pictures(row),
        target={"answers": asked.golds(row, *GOLDS), "formula": source == "HME100k" if source else kind == FORMULA},
        tags={"category": kind} if kind else {},
    )


OcrBench = TableSuite(
    name="ocrbench",
    sizes=(1000,),
    about="OCRBench (1000 questions). Every preset asks the bare question: so do the official script and other tools.",
    source=Source("ocrbench", hub="ocrbench", tsv="ocrbench-tsv", files=_FILES),
    headline="official/score",
    presets=PRESETS,
    worlds=("toy",),
    golds=GOLDS,
    rows=numbered,
    folders=("OCRBench_Images",),
    decimals=0,
    sample=_sample,
    score=judged(read),
    estimates=estimates,
)
