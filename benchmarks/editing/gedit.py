"""The benchmarks `gedit_bench` and `gedit_bench_cn`: real users' instructions to edit a picture, graded by VIEScore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Final, Literal

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Kind, Metric, Prediction, Sample, Score
from ..judging.calibration import trusted
from ..judging.graded import PROTOCOL, graded
from ..reading.pictures import Gallery
from ..reading.rows import Row
from ..reading.sources import Source
from ..reading.tables import read_tables
from . import viescore
from .gedit_grader import GRADER
from .verdicts import data_card, worth

TASKS: Final = (
    *("background_change", "color_alter", "material_alter", "motion_change", "ps_human", "style_change"),
    *("subject-add", "subject-remove", "subject-replace", "text_change", "tone_transfer"),
)
MEASURES: Final = ("overall", "semantics", "quality")
_SOURCE: Final = Source("gedit_bench", hub="gedit-bench", files=("**/*.arrow", "**/*.parquet"))


class GEditBench:
    """GEdit-Bench's English half (arXiv 2504.17761, stepfun-ai/Step1X-Edit 570eba6): VIEScore from 0 to 10.

    `data` is a table in the form of stepfun-ai/GEdit-Bench, a folder of such, "toy", or empty: the hub's. The model
    and the judge are shown the picture of the column `source`, of the other column where a row has no such. The
    makers' judges are gpt-4.1 and Qwen2.5-VL-72B-Instruct. Without a judge the pictures stay ungraded.
    """

    kind: Kind = "edit"
    outputs = 1
    observer = "judge"
    worlds = ("toy",)
    decimals = 2
    headline = f"{PROTOCOL}/overall"
    inert = ("data", "source", "offline")
    name = "gedit_bench"
    title = "GEdit-Bench-EN"
    language = "en"

    def __init__(
        self,
        data: str = "",
        *,
        source: Literal["input_image_raw", "input_image"] = "input_image_raw",
        offline: bool = False,
    ) -> None:
        self.data, self.source, self.offline = data, source, offline

    def assets(self) -> Sequence[str]:
        """Return the hub's data set, where it is read."""
        return _SOURCE.assets(self.data)

    @property
    def card(self) -> Mapping[str, Json]:
        return {"rows": len(self._samples), "source": self.source, **data_card(_SOURCE, self.data)}

    def samples(self) -> Sequence[Sample]:
        """Return this language's instructions in the order of the table."""
        return self._samples

    @cached_property
    def _samples(self) -> tuple[Sample, ...]:
        data = replace(_SOURCE, suite=self.name).tables(self.data, offline=self.offline)
        rows = read_tables(data)
        gallery = Gallery(rows)
        mine = [each for each in rows if each.text("instruction_language") == self.language]
        if not mine:
            raise UsageError(f"{data[0]}: no row with instruction_language {self.language!r}")
        found = tuple(self._sample(each, gallery) for each in mine)
        gallery.must_show()
        return found

    def _sample(self, row: Row, gallery: Gallery) -> Sample:
        task, key, within = row.text("task_type"), row.identity("key"), row.need("Intersection_exist")
        if task not in TASKS:
            raise row.wrong("task_type", task, f"one of {', '.join(TASKS)}")
        shared = {"true": True, "false": False}.get(str(within).lower())
        if shared is None:
            raise row.wrong("Intersection_exist", within, "true or false")
        other = "input_image" if self.source == "input_image_raw" else "input_image_raw"
        column = self.source if row.fields.get(self.source) is not None else other
        return Sample(
            key,
            row.text("instruction"),
            gallery.of(row, (column,)),
            tags={"task": task, "intersection": "yes" if shared else "no"},
            cluster=key,
        )

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the official scripts look for a picture: fullset/TASK/LANGUAGE/KEY.png."""
        del position, index
        return f"fullset/{sample.tags['task']}/{self.language}/{sample.id}.png"

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the overall grade as a share of 10; no verdict where the judge has none."""
        return graded(GRADER, sample, prediction, evidence, _WORTH, dict)

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return the means over the eleven tasks' means, from 0 to 10, of all edits and of the intersection's; each
        task's; and how far the judge can be trusted."""
        within = [each for each in scores if each.tags.get("intersection") == "yes"]
        found: dict[str, Estimate] = {}
        for name in MEASURES:
            found[f"{PROTOCOL}/{name}"] = _over_tasks(scores, name)
        for name in MEASURES:
            found[f"{PROTOCOL}/intersection_{name}"] = _over_tasks(within, name)
        for task in TASKS:
            found[f"{PROTOCOL}/{task}"] = _mean([each for each in scores if each.tags.get("task") == task], "overall")
        return trusted(scores, found)


class GEditBenchCn(GEditBench):
    """GEdit-Bench's Chinese half: the same pictures, tasks and judge as `gedit_bench`, instructions in Chinese."""

    name = "gedit_bench_cn"
    title = "GEdit-Bench-CN"
    language = "cn"


def _read(verdict: Json) -> tuple[float, dict[str, Json]]:
    semantics, quality = (float(verdict[name]) for name in ("semantics", "quality"))
    overall = viescore.overall(semantics, quality)
    return overall / viescore.BEST, {"overall": overall, "semantics": semantics, "quality": quality}


def _over_tasks(scores: Sequence[Score], name: str) -> Estimate:
    """Return the mean of the tasks' means; over those that are there where the data have not all."""
    parts = {task: [each for each in scores if each.tags.get("task") == task] for task in TASKS}
    there = [_mean(each, name) for each in parts.values() if each]
    return stats.lacking(stats.average(there), [task for task, each in parts.items() if not each] if there else [])


def _mean(scores: Sequence[Score], name: str) -> Estimate:
    return stats.over(scores, partial(_of, name=name))


def _of(scores: Sequence[Score], name: str) -> Estimate:
    values = [float(each.details[name]) for each in scores]
    return stats.mean(values, list(map(stats.cluster, scores)), ceiling=viescore.BEST)


_WORTH: Final = worth(_read)
