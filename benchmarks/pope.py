"""POPE: yes/no questions about objects in a picture, in three splits; scored by F1 (RUCAIBox/POPE 3df3ba1b)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..evals import stats
from ..evals.errors import UsageError
from ..evals.stats import Estimate
from ..evals.types import Json, Sample, Score, Scored
from .reading.answers import PROTOCOLS, YES_NO_VLMEVALKIT, says_yes_or_no, yes_no_pope, yes_no_pope_lmms
from .reading.cells import nowhere
from .reading.choices import SHORT_LINE
from .reading.elsewhere import bare, elsewhere
from .reading.importers import Taken, with_columns
from .reading.rows import Row
from .reading.scores import Read, by_protocol, judged, percent
from .reading.sources import Source
from .reading.suite import PRESETS, Asked, TableBenchmark, TableSuite
from .reading.tables import read_rows

PLEASE: Final = " Please answer yes or no."
SPLITS: Final = ("random", "popular", "adversarial")
_ASKED: Final = "llava_pope_test.jsonl"
"""LLaVA's question file: the split and the picture of each number that its answers have."""


def prompt_of(question: str, preset: str) -> str:
    """Return the user text of a question in a preset."""
    bare = question.replace(PLEASE, "")
    if preset == "janus-pr541":
        return "\n" + bare + SHORT_LINE
    return {"official": bare, "vlmevalkit": bare + PLEASE}.get(preset, bare + SHORT_LINE)


def read(text: str, gold: Json) -> dict[str, Read]:
    """Return what each protocol reads in an answer, whether it is right, whether it was unreadable."""
    official, lmms = yes_no_pope(text), yes_no_pope_lmms(text)
    reads: dict[str, Read] = {"official": (official, float(official == gold), not says_yes_or_no(text))}
    for protocol, reader in YES_NO_VLMEVALKIT.items():
        word = reader(text)
        reads[protocol] = (word, float(word.lower() == gold), word == "Unknown")
    reads["lmms-eval"] = (lmms, float(lmms == gold), lmms not in ("yes", "no"))
    return reads


def estimates(scores: Sequence[Score]) -> Mapping[str, Estimate]:
    """Return, for each protocol, F1, accuracy, precision, recall and yes-ratio in percent.

    `<split>_f1` and so on for each split, `mean_f1` over the splits, `micro_f1` over all rows. Where official splits
    are there, those of other names stand by themselves and are in no mean.
    """
    found: dict[str, Estimate] = {}
    for protocol, mine in by_protocol(scores, PROTOCOLS).items():
        splits = {name: [each for each in mine if name in _splits(each)] for name in _names(mine)}
        by_split = {name: _rates(part, protocol) for name, part in splits.items()}
        absent = [name for name in SPLITS if name not in by_split]
        counted = [name for name in by_split if name in SPLITS] or list(by_split)
        for key in ("f1", "accuracy"):
            mean = stats.average([by_split[name][key] for name in counted])
            found[f"{protocol}/mean_{key}"] = stats.lacking(mean, absent)
        every = _rates([each for name in counted for each in splits[name]], protocol)
        overall = {key: stats.lacking(rate, absent) for key, rate in every.items()}
        found[f"{protocol}/micro_f1"] = overall.pop("f1")
        found |= {f"{protocol}/{key}": rate for key, rate in overall.items()}
        for name, rates in by_split.items():
            found |= {f"{protocol}/{name}_{key}": rate for key, rate in rates.items()}
    return found


def _splits(score: Score) -> list[str]:
    return [name.strip() for name in score.tags["category"].split(",") if name.strip()]


def _names(scores: Sequence[Score]) -> list[str]:
    found = {name for each in scores for name in _splits(each)}
    return [name for name in SPLITS if name in found] + sorted(found - set(SPLITS))


def _rates(scores: Sequence[Score], protocol: str) -> dict[str, Estimate]:
    """Return the rates of some scores in percent; F1 is 0 where no yes was said.

    VLMEvalKit and lmms-eval take an unreadable answer for "not yes"; lmms-eval's recall knows only
    a literal no as a miss and its yes-ratio is that of the gold answers.
    """
    lmms, absent = protocol == "lmms-eval", stats.lost(scores)
    scores = [each for each in scores if each.value is not None]
    golds = [each.tags["answer"] == "yes" for each in scores]
    said = [str(each.answer).lower() for each in scores]
    yes = [word == "yes" for word in said]
    no = [word == "no" if lmms else not each for word, each in zip(said, yes, strict=True)]
    true_yes = [float(each and gold) for each, gold in zip(yes, golds, strict=True)]
    false_yes = [float(each and not gold) for each, gold in zip(yes, golds, strict=True)]
    false_no = [float(each and gold) for each, gold in zip(no, golds, strict=True)]
    clusters = [stats.cluster(each) for each in scores]

    def share(tops: Sequence[float], *bottoms: Sequence[float]) -> Estimate:
        return stats.ratio(tops, [sum(parts) for parts in zip(*bottoms, strict=True)], clusters).times(100)

    twice = [2 * each for each in true_yes]
    rates = {
        "f1": share(twice, twice, false_yes, false_no),
        "accuracy": percent(scores),
        "precision": share(true_yes, true_yes, false_yes),
        "recall": share(true_yes, true_yes, false_no),
        "yes_ratio": share([float(each) for each in (golds if lmms else yes)], [1.0] * len(scores)),
    }
    return {name: replace(rate, absent=absent) for name, rate in rates.items()}


def _key(row: Row, category: str = "") -> str:
    # --ids is a list with commas: a row of several splits is named with "+".
    splits = (category or _category(row)).replace(",", "+")
    return f"{splits}/{_number(row)}"


def _category(row: Row, hint: str = "") -> str:
    """Return the splits of a row; the official files are one a split and have no column for it."""
    category = row.label("category") or row.file.stem.removeprefix("coco_pope_")
    category = category.lower() if category.lower() in SPLITS else category
    if row.label("category") is None and category not in SPLITS:
        raise row.lacks(("category",), hint)
    if not any(name.strip() for name in category.split(",")):
        raise row.wrong("category", category, f"one of {', '.join(SPLITS)}")
    return category


def _sample(row: Row, asked: Asked) -> Sample:
    answer = str(asked.gold(row, "answer", "label") or "").strip().lower()
    if answer not in ("yes", "no") and not asked.unanswered:
        raise row.wrong("answer", row.find("answer", "label"), "yes or no")
    category = _category(row, asked.hint)
    return Sample(
        id=_key(row, category),
        # The bare question of a row that is not asked tells it from another of its id.
        prompt=asked.text(lambda: prompt_of(row.text("question", "text"), asked.preset))
        or row.words("question", "text")
        or "",
        images=asked.pictures(row),
        tags={"category": category, "answer": answer},
        cluster=row.name("image_source", "image_path", "image"),
    )


def _joined(rows: Sequence[Row], known: Sequence[Sample], gold: Taken) -> Sequence[Row]:
    """Return rows of answers that do not say their split with that of the question which they answer.

    Raises UsageError where several splits were asked and a row may be of any.
    """
    unsaid = [row for row in rows if "" not in row.odd and not _says_its_split(row)]
    if not unsaid:
        return rows
    find = _finder(unsaid, known, gold.rows[0].file)
    if find is None:
        splits = ", ".join(dict.fromkeys(each.tags["category"] for each in known))
        raise UsageError(
            f"{unsaid[0].where}: no column 'category', and the data hold the splits {splits}: give the label file of "
            f"the one split that was asked (--data coco_pope_random.json), add the column, or put LLaVA's {_ASKED} "
            "beside the label files"
        )
    sought = set(map(id, unsaid))
    return [_in_its_split(row, find) if id(row) in sought else row for row in rows]


def _finder(rows: Sequence[Row], known: Sequence[Sample], file: Path) -> Callable[[Row], Sample | None] | None:
    """Return what finds the question that a row answers: in the labels of one split by number (POPE's own tool: by
    place), in all of them by LLaVA's question file beside `file`, or by lmms-eval's place in the data set."""
    by_place = dict(enumerate(known))
    if len({each.tags["category"] for each in known}) == 1:
        by_number = {each.id.partition("/")[2]: each for each in known}
        return lambda row: by_place.get(row.fields["place"]) if "place" in row.fields else by_number.get(_number(row))
    if any("place" in row.fields for row in rows):
        return None
    asked = next((each for each in (file.parent / _ASKED, file.parent.parent / _ASKED) if each.is_file()), None)
    if asked is not None:
        questions = {
            _number(row): _question(row.label("category") or "", row.name("image"), row.words("text") or "")
            for row in read_rows(asked)
        }
        by_question = {_question(each.tags["category"], each.cluster, each.prompt): each for each in known}
        return lambda row: by_question.get(questions.get(_number(row), ("", "", "")))
    if all("doc_id" in row.fields for row in rows):
        return lambda row: by_place.get(row.fields["doc_id"])
    return None


def _in_its_split(row: Row, find: Callable[[Row], Sample | None]) -> Row:
    """Return a row with the split and number of its question; one that repeats another question is odd."""
    try:
        found, said = find(row), row.words("question", "prompt")
    except UsageError:
        return row  # what is wrong with it is said when it is placed
    if found is None or (said and found.prompt and not bare(said).startswith(bare(found.prompt))):
        told = "asks another question than the data set" if found else "is not in the data set"
        return replace(row, odd={"": f"the row {told}: labels of another split, or another version?"})
    category, _, number = found.id.partition("/")
    return with_columns(row, category=category.replace("+", ","), question_id=number)


def _question(category: str, image: str, text: str) -> tuple[str, str, str]:
    return category, image, bare(text)


def _number(row: Row) -> str:
    return row.identity("question_id", "id", "index", numbers=True)


def _rescored(suite: TableBenchmark, *, predictions: Path | None = None, data: str | Path | None = None) -> Scored:
    """Score answers made elsewhere; a split with other rows than the official one has is said."""
    found = suite.answers(predictions, data)
    held = Counter(name.strip() for each in found.samples for name in each.tags["category"].split(","))
    odd = {name: count for name, count in held.items() if count not in _SIZES.get(name, (count,))}
    told = ", ".join(f"{name} {count:,} of {_SIZES[name][-1]:,}" for name, count in sorted(odd.items()))
    more = {"holds": f"{told} rows; --data PATH names those that lack"} if told and found.known is None else {}
    return elsewhere(suite, found, extra=more)


_SIZES: Final = {"random": (2910, 3000), "popular": (3000,), "adversarial": (3000,)}


def _says_its_split(row: Row) -> bool:
    return not nowhere(row.fields.get("category")) or row.file.stem.removeprefix("coco_pope_") in SPLITS


Pope = TableSuite(
    name="pope",
    rescored=_rescored,
    about="""POPE over the splits random, popular and adversarial (8910 or 9000 questions). Preset `official` asks the
    bare question, `llava` and `lmms-eval` add the short-answer line, `vlmevalkit` asks "Please answer yes or no.".""",
    source=Source(
        "pope",
        hub="pope",
        tsv="pope-tsv",
        files=("POPE.tsv", "coco_pope_*.json", "coco/coco_pope_*.json", "data/test-*.parquet"),
    ),
    headline="official/mean_f1",
    presets=PRESETS,
    worlds=("toy",),
    key=_key,
    joined=_joined,
    golds=("answer", "label"),
    sample=_sample,
    score=judged(read, lambda sample: sample.tags["answer"]),
    estimates=estimates,
)
