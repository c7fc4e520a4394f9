"""GenEval as a benchmark: 553 prompts, four pictures each, judged by what a detector sees in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...evals import stats
from ...evals.errors import UsageError
from ...evals.stats import Estimate
from ...evals.types import Evidence, Json, Metric, Prediction, Sample, Score, Scored
from . import evidence as stored
from . import metadata, official, prompts, rescore, results, scoring, suite
from .rule import Options

if TYPE_CHECKING:
    from PIL.Image import Image

_PROTOCOL = "official"
_OUTPUTS = 4


class GenEval:
    """GenEval (Ghosh et al., 2023), djghosh13/geneval af4902f, as fractions from 0 to 1.

    `data`: "official" (generated from `suite_seed` and `suite_size`; 43 and 100 give the 553 official
    prompts), "toy" (the embedded world's), a metadata file, or a folder in the official layout.
    `images_per_prompt`: 4, or as many as such a folder has. The other options are the official
    script's, see `rule.Options`.

    Evidence of one picture, made by the observer: {"boxes": {class: [[x1, y1, x2, y2, score], ...]},
    "colors": {class: [name, ...]}, "masks": {class: [RLE, ...]}, "floor": 0.1, "size": [w, h]}, or
    {"invalid": why} for a picture that cannot be decoded.
    """

    name = "geneval"
    version = "1"
    kind: Literal["image"] = "image"
    observer = "geneval-detector"
    headline = "official/overall"
    worlds = ("toy",)
    names_its_samples = True
    data_from_images = True
    """A folder of pictures in the official layout brings its prompts along."""
    scoring = tuple(each.name for each in fields(Options))
    inert = ("data", "suite_seed", "suite_size", "images_per_prompt", *scoring)

    def __init__(
        self,
        *,
        data: str = "official",
        suite_seed: int = prompts.OFFICIAL_SEED,
        suite_size: int = prompts.OFFICIAL_SIZE,
        images_per_prompt: int | None = None,
        threshold: float = 0.3,
        counting_threshold: float = 0.9,
        max_objects: int = 16,
        max_overlap: float = 1.0,
        position_threshold: float = 0.1,
    ) -> None:
        if images_per_prompt is not None and images_per_prompt < 1:
            raise UsageError(f"images_per_prompt: expected 1 or more, found {images_per_prompt}")
        self._images_per_prompt = images_per_prompt
        self.options = Options(threshold, counting_threshold, max_objects, max_overlap, position_threshold)
        self._source = (data, suite_seed, suite_size)

    @cached_property
    def outputs(self) -> int:
        return self._images_per_prompt or suite.pictures(self._source[0]) or _OUTPUTS

    @cached_property
    def suite(self) -> suite.Suite:
        return suite.load(*self._source)

    @property
    def card(self) -> Mapping[str, Json]:
        return {
            "version": self.version,
            "suite": self.suite.name,
            "prompts": len(self.suite.rows),
            "images": self.outputs,
            **asdict(self.options),
            **({"clauses": "official"} if self.suite.reworded else {}),
        } | ({"world": "toy"} if self._source[0] == "toy" else {} if self._known else {"origin": "given"})

    @property
    def _known(self) -> bool:
        """Whether its prompts are those that its name says."""
        return self.suite.official

    def samples(self) -> Sequence[Sample]:
        """Return the prompts, ids as the official folder names; `target` is the metadata object."""
        clusters: dict[metadata.Metadata, str] = {}
        return [
            Sample(
                id=name,
                prompt=row["prompt"],
                target=row,
                tags={"task": row["tag"]},
                cluster=clusters.setdefault(metadata.read(row), name),
            )
            for name, row in self.suite.rows.items()
        ]

    def image_path(self, position: int, sample: Sample, index: int) -> str:
        """Return where the official scripts look for a picture."""
        del position  # the id is the position in the whole suite; a run with a limit counts anew
        return official.image_path(sample.id, index)

    def score(self, sample: Sample, prediction: Prediction, evidence: Evidence | None) -> Sequence[Score]:
        """Return the official verdict on one picture; None where the picture could not be looked at."""
        data = None if evidence is None else evidence.data
        why = None if evidence is None else evidence.error
        if isinstance(data, dict) and "invalid" in data:
            why = str(data["invalid"])
        if why is not None:
            return [self._score(sample, prediction, None, f"invalid image: {why}", None)]
        if data is None:
            return [self._score(sample, prediction, None, "unscored: the observer gave no evidence", None)]
        try:
            found = stored.judge(metadata.read(sample.target), stored.seen(data), self.options)
        except UsageError as error:
            raise UsageError(f"evidence of {sample.id}/{prediction.index}: {error}") from error
        return [self._score(sample, prediction, float(found.correct), found.reason, found.details)]

    def _score(self, sample: Sample, prediction: Prediction, value: float | None, reason: str, details: Json) -> Score:
        return Score(
            sample_id=sample.id,
            index=prediction.index,
            protocol=_PROTOCOL,
            value=value,
            reason=reason,
            tags=sample.tags,
            cluster=sample.cluster,
            details=details,
        )

    def aggregate(self, scores: Sequence[Score]) -> Mapping[str, Metric]:
        """Return the mean over tasks, each task, and the shares of correct pictures and prompts (`stats.over`)."""
        return stats.metrics(self.estimates(scores))

    def estimates(self, scores: Sequence[Score]) -> Mapping[str, Estimate]:
        """Return what the metrics and their intervals are made of; pictures of one prompt belong together."""
        pictures = [scoring.Result(each.tags["task"], each.cluster, each.value, each.reason) for each in scores]
        return scoring.estimates(pictures)

    def export(
        self,
        folder: Path,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
        evidence: Sequence[Evidence],
        scores: Sequence[Score],
    ) -> None:
        """Write images/ID/{metadata.jsonl, grid.png} and results.jsonl below the run's folder.

        `no_grid.json`, only where there is something to say, tells why a prompt has no grid.
        """
        del evidence
        without = official.write_layout(folder / "images", samples, predictions, self.outputs)
        official.write_notes(folder / "no_grid.json", without)
        official.write_results(folder / "results.jsonl", samples, scores)

    def draw(self, sample: Sample, prediction: Prediction, evidence: Evidence | None, score: Score) -> Image:
        """Return the picture with masks, boxes and colours on it, the verdict and the failed clauses below."""
        from . import draw

        asked = metadata.read(sample.target)
        card = draw.Card(
            title=f"{sample.id}/{prediction.index}",
            target=sample.target,
            data=None if evidence is None else evidence.data,
            threshold=self.options.confidence(asked.tag),
            value=score.value,
            reason=score.reason,
        )
        return draw.draw(card, None if prediction.image is None else draw.opened(prediction.image))

    @staticmethod
    def sheet(cards: Sequence[Image], columns: int = 4) -> Image:
        """Return what `draw` gave as one contact sheet."""
        from . import draw

        return draw.sheet(cards, columns)

    def rescore(
        self,
        *,
        predictions: Path | None = None,
        evidence: Path | None = None,
        threshold: float | None = None,
        counting_threshold: float | None = None,
        max_objects: int | None = None,
        max_overlap: float | None = None,
        position_threshold: float | None = None,
    ) -> Scored:
        """Take the official results.jsonl as it is, or judge stored evidence again (rows, or a run's folder).

        A flag wins over a row's (a run's) options, and these win over the defaults; with a flag, the rows of
        a results.jsonl are judged again from the boxes in their `details`. Pictures share a prompt where their
        metadata are equal, as in the official summary. Raises UsageError naming file, line and field.
        """
        file = predictions or evidence
        if file is None or (predictions is not None and evidence is not None):
            raise UsageError("geneval scores one FILE (results.jsonl, evidence rows, a run's folder) or --images DIR")
        given = {
            "threshold": threshold,
            "counting_threshold": counting_threshold,
            "max_objects": max_objects,
            "max_overlap": max_overlap,
            "position_threshold": position_threshold,
        }
        flags = {name: value for name, value in given.items() if value is not None}
        if file.is_file() and results.is_results(file):
            return rescore.results_file(file, self.options, flags, self._images_per_prompt or _OUTPUTS)
        if file.is_dir():
            return rescore.evidence(file, stored.read_run(file, self.suite), self.options, flags)
        pictures = self._images_per_prompt or _OUTPUTS
        return rescore.evidence(file, stored.read_rows(file), self.options, flags, pictures)

    def data_export(self, *, seed: int = prompts.OFFICIAL_SEED, size: int = prompts.OFFICIAL_SIZE) -> bytes:
        """Return the metadata file of a seed and a size, byte for byte as the official generator writes it."""
        return prompts.metadata_bytes(prompts.suite(seed, size))


class GenEvalLong(GenEval):
    """GenEval asked in longer prompts, a suite of its own: those of BAGEL (ByteDance-Seed/Bagel 056b5fd, Apache-2.0).

    Same things, rule and tasks, other words: its numbers never stand in GenEval's columns. `data`: "official"
    (fetched), "toy", a metadata file or a folder.
    """

    name = "geneval_long"
    title = "GenEval, rewritten"
    decimals = 2

    def __init__(
        self,
        *,
        data: str = "official",
        images_per_prompt: int | None = None,
        threshold: float = 0.3,
        counting_threshold: float = 0.9,
        max_objects: int = 16,
        max_overlap: float = 1.0,
        position_threshold: float = 0.1,
        offline: bool = False,
    ) -> None:
        super().__init__(
            data=data,
            images_per_prompt=images_per_prompt,
            threshold=threshold,
            counting_threshold=counting_threshold,
            max_objects=max_objects,
            max_overlap=max_overlap,
            position_threshold=position_threshold,
        )
        self._offline = offline

    @cached_property
    def suite(self) -> suite.Suite:
        return suite.load_long(self._source[0], offline=self._offline)

    def assets(self) -> Sequence[str]:
        """Return the file of prompts, where it is the official one."""
        return (suite.LONG,) if self._source[0] == "official" else ()

    @property
    def _known(self) -> bool:
        return self.suite.sha256 == suite.LONG_SHA256

    def data_export(self, *, seed: int = 0, size: int = 0) -> bytes:
        """Return the metadata file; it is not generated, so that seed and size are 0."""
        if seed or size:
            raise UsageError("geneval_long is not generated: leave out --seed and --size")
        return prompts.metadata_bytes(self.suite.rows.values())
