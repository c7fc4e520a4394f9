"""A suite of questions in a table: it states what it is, and what all such suites share is written here once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Final, Literal

from ...evals import stats
from ...evals.blanks import shows
from ...evals.errors import UsageError, hint
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Kind, Metric, Picture, Prediction, Sample, Score, Scored
from .agreement import QUESTION, agreeing, must_count_alike
from .cells import listed, plain
from .elsewhere import RESPONSE, Answers, elsewhere, given, hint_for, must_be_few, no_verdict, placed, readable, unique
from .importers import Taken, lent, take, taken_all, with_columns
from .pictures import Gallery
from .rows import Row
from .sources import Source, find_world
from .tables import read_tables

PRESETS: Final = ("janus-pr541", "official", "llava", "lmms-eval", "vlmevalkit")
"""The prompts in which the field asks: the Janus authors' (VLMEvalKit pull request 541), the suite's own, others'."""

NO_GOLD: Final = "no right answer: the table tells none (a test split?): hand the answers in (janus-eval export RUN)"
"""Why the answers to a table without right ones have no verdict."""

Estimates = Callable[[Sequence[Score]], Mapping[str, Estimate]]


@dataclass(frozen=True, slots=True)
class Asked:
    """How a row is asked: in a preset with its pictures, or, to score what was answered elsewhere, in none.

    `place` counts the rows from 0; `hint` ends the message about a column that a row lacks; `unanswered` says
    that no row of the table tells the right answer, as in test splits.
    """

    preset: str = ""
    gallery: Gallery | None = None
    place: int = 0
    hint: str = ""
    unanswered: bool = False

    def gold(self, row: Row, *names: str) -> Json:
        """Return the right answer, in the first of the named columns; None where the table has none for any row."""
        value = None if self.unanswered else row.need(*names, hint=self.hint)
        if isinstance(value, str) and not shows(value):
            raise row.wrong(next(each for each in names if row.fields.get(each) == value), value, "a right answer")
        return value

    def golds(self, row: Row, *names: str, in_brackets: bool = True) -> list[str]:
        """Return the right answers, of which any will do: a list, a text that holds one `in_brackets`, or a text."""
        value = self.gold(row, *names)
        if in_brackets and isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            with suppress(ValueError):
                value = listed(value)
        found: list[Json] = value if isinstance(value, list) else [value]
        if not self.unanswered and not (found and all(map(plain, found))):
            raise row.wrong(names[0], value, "a text or a list of texts")
        return [str(each) for each in found]

    def text(self, make: Callable[[], str]) -> str:
        """Return the prompt that `make` makes; empty where nothing is asked."""
        return make() if self.preset else ""

    def pictures(
        self, row: Row, columns: Sequence[str] | None = None, *, optional: bool = False
    ) -> tuple[Picture, ...]:
        """Return a row's pictures, of the named columns or of all; none where nothing is asked.

        A row without a picture is asked without where they are `optional`; else it has one that is invalid.
        """
        return self.gallery.of(row, columns, optional=optional) if self.gallery else ()


def row_id(row: Row) -> str:
    """Return the id of a row as most tables have it."""
    return row.identity("id", "question_id", "index")


def row_number(row: Row) -> str:
    """Return the id of a row of a suite whose ids are whole numbers."""
    return row.identity("id", "question_id", "index", numbers=True)


def every_row(rows: Sequence[Row], asked: bool) -> Sequence[Row]:
    """Return the rows as they are."""
    del asked
    return rows


def numbered(rows: Sequence[Row], asked: bool) -> Sequence[Row]:
    """Return rows with an id each: a hub's table without ids has its places, from 0; answers need ids of their own."""
    del asked
    known = ("id", "question_id", "index", *RESPONSE)
    named = (any(name in row.fields for name in known) for row in rows)
    return [
        row if has else with_columns(row, id=str(at)) for at, (row, has) in enumerate(zip(rows, named, strict=True))
    ]


def any_of(row: Row, same: Sequence[Sample]) -> Sequence[Sample]:
    """Return all samples of one id: the row does not tell."""
    del row
    return same


def as_they_are(rows: Sequence[Row], known: Sequence[Sample], gold: Taken) -> Sequence[Row]:
    """Return rows of answers that say themselves which sample of the data set they answer."""
    del known, gold
    return rows


def one_by_one(suite: TableSuite, rows: Sequence[Row], asked: Asked) -> list[Sample]:
    """Return the sample of each row; raise UsageError where more rows than may have one id."""
    samples = [suite.sample(row, replace(asked, place=at)) for at, row in enumerate(rows)]
    unique(samples, rows, most=suite.rows_of_an_id)
    return samples


def _slim(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with one object for equal tags: a million rows of a few categories then fit into memory."""
    tags: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    return [replace(each, tags=tags.setdefault(tuple(each.tags.items()), each.tags)) for each in samples]


def rescored(suite: TableBenchmark, *, predictions: Path | None = None, data: str | Path | None = None) -> Scored:
    """Score answers made elsewhere: rows with the suite's own columns, or with ids and the data set."""
    return elsewhere(suite, suite.answers(predictions, data))


def own_name(shape: str, name: str) -> str:
    """Return what a suite is called: as its shape, or as its shape and the name that the user gave it."""
    if name and not _OWN_NAME.fullmatch(name):
        raise UsageError(f"{shape}: the name {name!r}: expected letters, digits, blanks, . _ + or -, at most 60")
    return f"{shape}:{name}" if name else shape


_OWN_NAME: Final = re.compile(r"\w[\w .+-]{0,59}")


@dataclass(frozen=True)
class TableSuite:
    """What a suite of questions is; called, it makes the benchmark. Registered under its name.

    `sample` makes a row a sample, `score` judges an answer, `estimates` says what its metrics are made of.
    `rows` picks and completes the table's rows, knowing whether they are to be asked. Their pictures lie in
    the table, beside it, in `folders` there, or in tables apart: a pattern, and the column that names a
    picture's id. `samples` is for suites whose samples depend on each other, `named` for ids that repeat; of
    several samples of one id `meant` returns those that a row of answers can mean; `joined` completes rows of answers
    that name their samples in another way than the data set does.
    `golds` are the columns that may hold the right answer; a table with none in any row, as test splits are, is
    asked and not scored, and `submission` writes its answers as the suite's own server takes them. `sizes` are the
    numbers of rows in which the whole suite is met.
    `likelihoods` are the presets in which options are weighed too. `judge` names the judge's task of a
    suite that may have its answers matched by one; `observer` an observer that it always needs. `own` says that it
    is a shape for tables of the user's, who may give it a name.
    """

    name: str
    about: str
    source: Source
    headline: str
    sample: Callable[[Row, Asked], Sample]
    score: Callable[[Sample, Prediction, Evidence | None], Sequence[Score]]
    estimates: Estimates
    presets: tuple[str, ...] = ("official",)
    key: Callable[[Row], str] = row_id
    golds: tuple[str, ...] = ("answer",)
    rows: Callable[[Sequence[Row], bool], Sequence[Row]] = every_row
    folders: tuple[str, ...] = ()
    pictures_apart: tuple[str, str] | None = None
    samples: Callable[[TableSuite, Sequence[Row], Asked], list[Sample]] = one_by_one
    named: Callable[[Sequence[Sample]], Sequence[Sample]] = list
    rows_of_an_id: int = 1
    meant: Callable[[Row, Sequence[Sample]], Sequence[Sample]] = any_of
    joined: Callable[[Sequence[Row], Sequence[Sample], Taken], Sequence[Row]] = as_they_are
    likelihoods: Collection[str] = ()
    submission: Callable[[Sequence[Sample], Sequence[str]], bytes] | None = None
    judge: str = ""
    observer: str | None = None
    title: str = ""
    decimals: int | None = None
    rescored: Callable[..., Scored] = rescored
    worlds: tuple[str, ...] = ()
    own: bool = False
    sizes: tuple[int, ...] = ()

    def __call__(
        self,
        *,
        name: str = "",
        data: str = "",
        preset: str = "",
        judge: str | None = None,
        reasoning: Literal["keep", "strip"] = "keep",
        offline: bool = False,
    ) -> TableBenchmark:
        """Return the suite over its data: a table, a folder, a hub data set, a data world, or empty for its own.

        `reasoning` strip: a thinking model's answers are scored without what they write before the answer.
        """
        if preset and preset not in self.presets:
            raise UsageError(
                f"{self.name} has no preset {preset!r}{hint(preset, self.presets, f'; known: {self.presets}')}"
            )
        return TableBenchmark(
            self, own_name(self.name, name), data, preset or self.presets[0], judge, reasoning, offline
        )

    @property
    def __signature__(self) -> inspect.Signature:
        """The options as they are for this suite: its own presets, and a judge only where it may have one."""
        own = inspect.signature(type(self).__call__, eval_str=True).parameters
        preset = own["preset"].replace(annotation=Literal[self.presets], default=self.presets[0])
        kept = {**own, "preset": preset}
        dropped = {"self", *(() if self.judge else ("judge",)), *(() if self.own else ("name",))}
        return inspect.Signature([each for name, each in kept.items() if name not in dropped])

    @property
    def optional_observers(self) -> tuple[str, ...]:
        """The judge, where the suite can do without."""
        return ("judge",) if self.judge else ()

    @property
    def rescore(self) -> Callable[..., Scored]:
        """`rescored` over no data: what `janus-eval score` takes its flags from."""
        return partial(self.rescored, self())


@dataclass
class TableBenchmark:
    """A suite of questions over its data: the benchmark that a `TableSuite` makes."""

    suite: TableSuite
    name: str
    data: str
    preset: str
    judge: str | None
    reasoning: Literal["keep", "strip"]
    offline: bool
    unanswered: bool = field(default=False, init=False)
    """Whether the data, once they are read, tell no right answer."""
    _samples: list[Sample] = field(default_factory=list[Sample], repr=False)

    def __post_init__(self) -> None:
        self.rescore = partial(self.suite.rescored, self)
        """Score answers made elsewhere."""

    kind: Kind = "text"
    outputs: int = 1
    inert = ("data", "preset", "judge", "reasoning", "offline")
    scoring = ("match", "reasoning")

    @property
    def headline(self) -> str:
        return self.suite.headline

    @property
    def title(self) -> str:
        return self.suite.title

    @property
    def sizes(self) -> Sequence[int]:
        return self.suite.sizes

    @property
    def decimals(self) -> int | None:
        return self.suite.decimals

    @property
    def observer(self) -> str | None:
        name = self.suite.observer or ("judge" if self.judge else None)
        return None if name and self.samples() and self.unanswered else name  # nothing to judge by

    @property
    def extra_kinds(self) -> Collection[Kind]:
        return frozenset[Kind](("likelihood",) if self.preset in self.suite.likelihoods else ())

    @property
    def card(self) -> Mapping[str, Json]:
        """The preset, whether a judge matches, how many rows there are, and the data's world or origin."""
        knobs: dict[str, Json] = {"preset": self.preset} | ({"match": "judge"} if self.judge else {})
        knobs |= {"reasoning": self.reasoning} if self.reasoning != "keep" else {}
        world = {"world": self.data} if self.data and find_world(self.data) else {}
        world |= {"origin": "given"} if self.suite.source.is_given(self.data) else {}
        rows = {"rows": len(self.samples())}
        return knobs | rows | world | ({"answers": "none"} if self.unanswered else {})

    def assets(self) -> Sequence[str]:
        """Return the table or the hub's data set that it reads."""
        return self.suite.source.assets(self.data)

    def samples(self) -> Sequence[Sample]:
        """Return the samples, read once."""
        if not self._samples:
            self._samples = list(self.suite.named(self.load(self.data)))
        return self._samples

    def load(self, data: str) -> list[Sample]:
        """Return the samples of a table, with their prompts and pictures."""
        tables = self.suite.source.tables(data, offline=self.offline)
        rows = self.suite.rows(read_tables(tables), True)
        gallery = self._gallery(rows, tables[0])
        self.unanswered = all(row.find(*self.suite.golds) is None for row in rows)
        samples = self.suite.samples(self.suite, rows, Asked(self.preset, gallery, unanswered=self.unanswered))
        gallery.must_show()
        return _slim(samples)

    def _gallery(self, rows: Sequence[Row], table: Path) -> Gallery:
        """Return what finds the pictures of rows."""
        if self.suite.pictures_apart and table.suffix == ".parquet":
            pattern, column = self.suite.pictures_apart
            apart = sorted(table.parent.glob(pattern))
            if apart:
                return Gallery([*rows, *read_tables(apart)], index="id", columns=(column,))
        return Gallery(rows, [table.parent / each for each in self.suite.folders])

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None = None) -> Sequence[Score]:
        """Return one Score for each protocol that reads the answer; without a verdict where the data tell none."""
        if self.unanswered:
            return [replace(no_verdict(sample, NO_GOLD), index=prediction.index)]
        return self.suite.score(sample, prediction, evidence)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        """Return the metrics of the estimates, with their intervals."""
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics are made of."""
        return self.suite.estimates(scores)

    def submission(self, samples: Sequence[Sample], answers: Sequence[str]) -> bytes:
        """Return a file of the answers as the suite's own server takes it."""
        if self.suite.submission is None:
            raise UsageError(f"{self.name} has no server to hand answers in to")
        return self.suite.submission(samples, answers)

    def answers(self, predictions: Path | None, data: str | Path | None) -> Answers:
        """Return the rows of a file of answers, each with its sample: the data set's, or what the row says itself."""
        file = given(predictions)
        taken = take(file, self.name)
        kept = self.suite.rows(taken.rows, False)
        if not kept:
            raise UsageError(f"{file}: read as {taken.told}, none of which is one of {self.name}'s")
        taken = replace(taken, rows=kept)
        if not data and self.suite.source.carried is None:
            asked = Asked(hint=hint_for(file))
            read, odd = readable(taken.rows, lambda row: self.suite.sample(row, asked))
            must_be_few(odd, len(taken.rows), taken)
            return Answers(file, taken, [row for row, _ in read], [sample for _, sample in read], odd)
        gold, gold_rows, known = self.gold(str(data or ""), taken.rows)
        named = self.suite.named(known)
        asked = {id(each): row.words(*QUESTION) for each, row in zip(named, gold_rows, strict=False)}
        by_id: dict[str, list[Sample]] = {}
        for each, sample in zip(known, named, strict=True):
            by_id.setdefault(each.id, []).append(sample)
        rows = self.suite.joined(taken.rows, known, gold)
        found, odd = placed(rows, self.suite.key, by_id, self.suite.meant)
        taken = replace(taken, lacks="")  # the data set has what it lacks
        must_be_few(odd, len(rows), taken)
        made = Answers(file, taken, [row for row, _ in found], [sample for _, sample in found], odd, named, gold)
        must_count_alike(made, self.suite.golds)
        return agreeing(made, self.suite.golds, self._own(gold_rows), asked)

    def _own(self, gold: Sequence[Row]) -> Callable[[Row], Sample]:
        """Return what makes a row of answers a sample by its own columns, with the data set's options if need be."""
        key = self.suite.key
        of = cache(lambda: {key(row): [row] for row in gold})  # only rows that tell a right answer ask

        def own(row: Row) -> Sample:
            return self.suite.sample(lent([row], of().get(key(row), []), key)[0], Asked())

        return own

    def gold(self, data: str, answers: Sequence[Row] = ()) -> tuple[Taken, Sequence[Row], list[Sample]]:
        """Return what a data set's tables were taken for, its rows, and their samples without what only asking needs.

        Right answers alone are enough: columns of options that they lack are those of the answers' rows.
        """
        tables = self.suite.source.tables(data, offline=self.offline)
        taken = taken_all(tables, self.name)
        rows = lent(self.suite.rows(taken.rows, False), answers, self.suite.key)
        try:
            return taken, rows, self.suite.samples(self.suite, rows, Asked())
        except UsageError as error:
            lacks = f": {taken.lacks}" if taken.lacks else ""
            raise UsageError(f"{error}; --data was read as {taken.told}{lacks}") from error
