"""colour-quiz: eight questions about the colours of pictures that are drawn from the table's own words."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from janus_eval.benchmarks.reading import choices, rows, scores, sources, suite
from janus_eval.benchmarks.reading.answers import short_lmms
from janus_eval.evals.types import Json, Picture, Sample

from .drawing import draw

TABLE = Path(__file__).with_name("colour_quiz.csv")


def read(text: str, gold: Json) -> dict[str, scores.Read]:
    """Return what the one protocol reads: the whole answer, lower case, without punctuation."""
    said = short_lmms(text).strip()
    return {"exact": (said, float(said == gold), not said)}


def sample(row: rows.Row, asked: suite.Asked) -> Sample:
    """Return a row's question. Its picture's name tells all that is drawn: names of pictures enter the run's key."""
    ground, spot = row.text("ground"), row.text("spot")
    name = f"{spot} on {ground}"
    images = (Picture(name, partial(draw, ground, spot)),) if asked.preset else ()
    prompt = asked.text(lambda: row.text("question") + choices.SHORT_LINE)
    tags = {"asks": row.text("asks")}
    return Sample(suite.row_id(row), prompt, images, target=row.text("answer"), tags=tags, cluster=name)


ColourQuiz = suite.TableSuite(
    name="colour-quiz",
    about="Five questions about the colour that fills a picture, three about the small square in it.",
    title="Colour quiz",
    decimals=2,
    source=sources.Source("colour-quiz", files=(TABLE.name,), carried=TABLE),
    headline="exact/accuracy",
    sample=sample,
    score=scores.judged(read),
    estimates=scores.accuracy(("exact",), "asks"),
)
