"""ChartQA's test questions, 1250 by people and 1250 by a machine: relaxed accuracy, numbers within 5 percent."""

from __future__ import annotations

from ..evals.types import Json, Sample
from .reading.cells import listed
from .reading.choices import GOLDS, SHORT_LINE
from .reading.rows import Row
from .reading.scores import Read, accuracy, judged
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableSuite, numbered, row_id

PROTOCOLS = ("vlmevalkit-2026", "lmms-eval")
_ENDS = {"official": "", "lmms-eval": "\nAnswer the question with a single word."}


def relaxed(said: str, gold: str) -> bool:
    """Return whether two numbers differ by at most 5 percent of the right one; what is no number, or beside a right
    0, must be equal but for case. "12%" is 0.12 (section 5.1 of arXiv 2203.10244)."""
    given, right = _number(said), _number(gold)
    if given is not None and right:
        return abs(given - right) / abs(right) <= 0.05
    return said.lower() == gold.lower()


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def read(text: str, golds: Json) -> dict[str, Read]:
    """Return what each protocol makes of an answer: VLMEvalKit strips it and knows lists of right ones
    (utils/vqa_eval.py), lmms-eval compares it as it is (chartqa/utils.py)."""
    said = text.strip()
    return {
        "vlmevalkit-2026": (said, float(any(relaxed(said, each) for each in _several(golds))), not said),
        "lmms-eval": (text, float(any(relaxed(text, each) for each in golds)), not said),
    }


def _several(golds: list[str]) -> list[str]:
    """Return the right answers, those in a text that holds a list in brackets one by one."""
    if len(golds) == 1 and golds[0].startswith("[") and golds[0].endswith("]"):
        try:
            return listed(golds[0]) or golds
        except ValueError:
            return golds
    return golds


def _sample(row: Row, asked: Asked) -> Sample:
    split = row.label("split", "type") or ""
    split = next((name for name in ("human", "augmented") if name in split), split)
    return Sample(
        id=row_id(row),
        prompt=asked.text(lambda: row.text("question", "query") + _ENDS.get(asked.preset, SHORT_LINE)),
        images=asked.pictures(row),
        target=asked.golds(row, *GOLDS, "label", in_brackets=False),
        tags={"split": split} if split else {},
        cluster=row.name("imgname", "image_path"),
    )


ChartQa = TableSuite(
    name="chartqa",
    sizes=(2500, 1250),
    about="""ChartQA's test split (2500 questions). Preset `official` asks the bare question, the others add their
    tools' line that asks for a word.""",
    source=Source("chartqa", hub="chartqa", tsv="chartqa-tsv", files=("ChartQA_TEST.tsv", "data/test-*.parquet")),
    headline="vlmevalkit-2026/accuracy",
    presets=PRESETS,
    worlds=("toy",),
    golds=(*GOLDS, "label"),
    rows=numbered,
    sample=_sample,
    score=judged(read),
    estimates=accuracy(PROTOCOLS, "split"),
)
