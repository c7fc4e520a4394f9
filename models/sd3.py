"""SD3-Medium, and any other pipeline of diffusers that draws or edits, by its recipe where systems.toml has one."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..evals.assets import fetch as data
from ..evals.errors import EnvironmentProblem, JanusEvalError, UsageError, nearest
from ..evals.types import Job, Json, Kind, Output
from . import editing
from .device import Dtype, at_least, loading, memory, of_type, place
from .encoded import KIND, Encoded, fits
from .packages import lacking
from .systems import Recipe, drawer, drawers, together

if TYPE_CHECKING:
    import torch

_MOST = 8
"""Pictures at once where nobody says how many: the gain of more is small."""
SD3 = "stabilityai/stable-diffusion-3-medium-diffusers"


@dataclass(frozen=True, slots=True)
class Source:
    """Which pipeline: a local folder, or a hub repository fetched at a revision."""

    name: str
    repository: str
    path: Path | None = None
    revision: str | None = None
    variant: str | None = None
    offline: bool = False
    dropped: tuple[str, ...] = ()
    """Components that are not loaded."""

    def folder(self) -> Path:
        if self.path is not None:
            if not (self.path / "model_index.json").is_file():
                raise UsageError(f"{self.name}: no pipeline at {self.path}: give path=FOLDER with model_index.json")
            return self.path
        ignore = [f"{name}/*" for name in self.dropped]
        if self.variant is None:
            ignore += ["*.fp16.*", "*.fp16-*", "*.bf16.*"]
        return data.hub_folder(self.repository, revision=self.revision, offline=self.offline, ignore=ignore)

    @property
    def assets(self) -> Sequence[str]:
        """The repository, unless a folder was given."""
        return () if self.path is not None else (data.called(self.repository, self.revision),)


class Diffuser:
    """A diffusers pipeline as the model under test; see the factories for the options.

    Each picture has its own noise, drawn on the CPU from its job's seed, so that it depends neither
    on its neighbours nor on the device. In float32 a batch gives what single pictures give up to
    rounding; in narrower types the batch size may move a picture, and is the run's to keep. Edits are made one by
    one: each has a source, and a size, of its own.
    """

    inert = (
        *("name", "path", "revision", "recipe", "steps", "guidance", "size", "negative_prompt", "t5", "without"),
        *("extra", "batch_size", "device", "dtype"),
    )

    def __init__(self, source: Source, recipe: Recipe, *, device: str, dtype: Dtype, batch: int | None) -> None:
        at_least(1, steps=recipe.steps, size=recipe.size, batch_size=batch)
        if recipe.guidance is not None and not 0 <= recipe.guidance < float("inf"):
            raise UsageError(f"guidance={recipe.guidance}: expected a finite number from 0 up")
        self._source, self._recipe, self._device, self._batch = source, recipe, device, batch
        self._dtype: Dtype = dtype
        self.image_size = recipe.size or 1024

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """Return what its class gives, as its recipe or its folder names it; of a hub's unknown one, drawings."""
        index = self._source.path / "model_index.json" if self._source.path is not None else None
        told = self._recipe.pipeline or (_index(index.parent)["_class_name"] if index and index.is_file() else "")
        return editing.kinds_of(told)

    def assets(self) -> Sequence[str]:
        """Return the repository, unless a folder was given."""
        return self._source.assets

    @cached_property
    def folder(self) -> Path:
        """Return the pipeline's folder, fetched first where it is not on this machine."""
        return self._source.folder()

    @cached_property
    def card(self) -> Mapping[str, Json]:
        """Return every knob that moves a picture. Fetches the folder, loads no weights."""
        folder = self.folder  # first: where it is missing, the answer needs no torch
        device, dtype = place(self._device, self._dtype)
        recipe, source = self._recipe, self._source
        if line := lacking(recipe.needs):
            raise EnvironmentProblem(f"{source.name}: {line}")
        index = _index(folder)
        where = source.path.name if source.path is not None else f"{source.repository}@{source.revision or 'main'}"
        return {
            "weights": f"{where}#{data.fingerprint(folder)}",
            "pipeline": index["_class_name"],
            "scheduler": index.get("scheduler", [None, "none"])[1],
            "steps": recipe.steps or "pipeline",
            "guidance": "pipeline" if recipe.guidance is None else recipe.guidance,
            "size": recipe.size or "pipeline",
            "negative_prompt": recipe.negative_prompt or "",
            "without": ",".join(source.dropped) or "nothing",
            **({"extra": dict(recipe.extra)} if recipe.extra else {}),
            **({"float32": ",".join(recipe.float32)} if recipe.float32 else {}),
            "noise": "torch-cpu-generator",
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
        }

    def batch_size(self, jobs: Sequence[Job]) -> int:
        """Return what was asked for, else what fits beside the weights: at most 8."""
        if self._batch is not None:
            return self._batch
        _, device = self._pipeline
        return fits(device, self.image_size, _MOST)

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        """Return one picture for each job, in order. Raises OutOfMemory where the batch does not fit."""
        pipeline, _ = self._pipeline
        found: list[Output] = []
        for _, some in groupby(jobs, lambda job: job.kind):
            same = list(some)
            most = 1 if same[0].kind == "edit" else together(type(pipeline).__name__) or len(same)
            for start in range(0, len(same), most):
                found += self._draw(same[start : start + most])
        return found

    def _draw(self, jobs: Sequence[Job]) -> Sequence[Output]:
        import torch

        pipeline, device = self._pipeline
        recipe = self._recipe
        options = {
            "num_inference_steps": recipe.steps,
            "guidance_scale": recipe.guidance,
            "height": recipe.size,
            "width": recipe.size,
            **recipe.extra,
        }
        own = [device] if device.type == "cuda" else []
        with memory(device, f"a batch of {len(jobs)}"), torch.inference_mode(), torch.random.fork_rng(own):
            torch.manual_seed(jobs[0].seed)  # OmniGen's reading of a source asks no generator
            asked = self._asked(pipeline, jobs)
            drawer = pipeline.drawer if isinstance(pipeline, Encoded) else pipeline
            made = drawer(
                generator=[torch.Generator("cpu").manual_seed(job.seed) for job in jobs],
                output_type="pil",
                **{key: value for key, value in (options | asked).items() if value is not None},
            )
        withheld: Sequence[bool] = getattr(made, "nsfw_content_detected", None) or [False] * len(jobs)
        for job, hidden in zip(jobs, withheld, strict=True):
            if hidden:
                raise JanusEvalError(
                    f"sample {job.sample.id!r}: the pipeline's safety checker blacked the picture out; "
                    "without=safety_checker loads the pipeline without it"
                )
        return list(made.images)

    def _asked(self, pipeline: Any, jobs: Sequence[Job]) -> dict[str, Any]:
        """Return what a pipeline is asked for: an edit; texts, or their embeddings where they are encoded once."""
        negative = self._recipe.negative_prompt
        if jobs[0].kind == "edit":
            (job,) = jobs
            return {"negative_prompt": negative, **editing.asked(type(pipeline).__name__, job, self._recipe.size)}
        prompts = [job.sample.prompt for job in jobs]
        if not isinstance(pipeline, Encoded):
            return {"prompt": prompts, "negative_prompt": None if negative is None else [negative] * len(prompts)}
        guided = self._recipe.guidance is None or self._recipe.guidance > 1
        return pipeline.encode(prompts, (negative or "") if guided else None)

    @cached_property
    def _pipeline(self) -> tuple[Any, torch.device]:
        import diffusers
        import torch
        from diffusers.pipelines.pipeline_utils import DiffusionPipeline

        device, dtype = place(self._device, self._dtype)
        source = self._source
        index = _index(self.folder)
        _known_libraries(source.name, index, diffusers)
        if self._recipe.pipeline not in ("", index["_class_name"]):
            raise UsageError(
                f"{source.name}: its recipe is for a {self._recipe.pipeline}, {self.folder} is a "
                f"{index['_class_name']}: -a recipe=pipeline draws by that one's defaults"
            )
        dropped: dict[str, None] = dict.fromkeys(source.dropped)
        types = of_type(dtype, {name: torch.float32 for name in self._recipe.float32 if name in index})
        with loading(source.name, self.folder):
            pipeline: Any = DiffusionPipeline.from_pretrained(
                self.folder, **types, variant=source.variant, local_files_only=True, **dropped
            )
            accepted = inspect.signature(pipeline.__call__).parameters
            _must_draw(source.name, type(pipeline).__name__, accepted, self._recipe)
        with memory(device, "the weights"):
            if type(pipeline).__name__ == KIND:
                return Encoded(pipeline, device), device
            pipeline.to(device)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline, device


def sd3_medium(
    *,
    path: Path | None = None,
    revision: str | None = None,
    recipe: Literal["model-card"] = "model-card",
    steps: int = 28,
    guidance: float = 7.0,
    size: int = 1024,
    negative_prompt: str | None = None,
    t5: bool = True,
    variant: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
    offline: bool = False,
) -> Diffuser:
    """Return SD3-Medium under its model card's recipe: 28 steps, guidance 7.0, 1024 px, T5 on.

    `path`: a local pipeline folder; without it the (gated) repository is fetched at `revision`.
    `t5` false leaves the largest text encoder out. `variant`: fp16 takes the half-size files.
    """
    without = () if t5 else ("text_encoder_3", "tokenizer_3")
    source = Source("sd3-medium", SD3, path, revision, variant, offline, without)
    chosen = Recipe(steps, guidance, size, negative_prompt)
    return Diffuser(source, chosen, device=device, dtype=dtype, batch=batch_size)


def pipeline(
    name: str = "",
    *,
    path: Path | None = None,
    revision: str | None = None,
    recipe: Literal["card", "pipeline"] = "card",
    steps: int | None = None,
    guidance: float | None = None,
    size: int | None = None,
    negative_prompt: str | None = None,
    extra: str = "{}",
    without: str = "",
    variant: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
    offline: bool = False,
) -> Diffuser:
    """Return any pipeline that draws or edits: `diffusers:ORG/NAME`, `diffusers:FOLDER`, or a name with a recipe.

    Where there is a recipe for the checkpoint (`janus-eval list models`), steps, guidance, size and further knobs
    are its model card's; else, and with `recipe=pipeline`, the pipeline's own defaults. What is given beside it wins.
    `extra`: a JSON object of further arguments of the pipeline's call. `without` names components to leave out,
    comma-joined (`safety_checker`).
    """
    if path is None and not name:
        raise UsageError("diffusers needs a pipeline: diffusers:ORG/NAME, or -a path=FOLDER")
    if path is None and Path(name).is_dir():
        path = Path(name)
    found = drawer(name)
    if path is None and found is None and "/" not in name:
        near = nearest(name, drawers())
        told = f"did you mean {near!r}?" if near else f"known: {', '.join(drawers())}"
        raise UsageError(f"diffusers:{name} is no folder, no ORG/NAME and no recipe; {told}")
    chosen = found.recipe if found is not None and found.recipe is not None and recipe == "card" else Recipe()
    given = {"steps": steps, "guidance": guidance, "size": size, "negative_prompt": negative_prompt}
    chosen = replace(
        chosen,
        extra={**chosen.extra, **_object(extra)},
        variant=variant or (chosen.variant if path is None else None),  # a folder has what it has
        **{key: value for key, value in given.items() if value is not None},
    )
    dropped = tuple(filter(None, (each.strip() for each in without.split(","))))
    name = name or str(path)
    repository = found.checkpoint if found is not None else name
    source = Source(f"diffusers:{name}", repository, path, revision, chosen.variant, offline, dropped)
    return Diffuser(source, chosen, device=device, dtype=dtype, batch=batch_size)


def _object(text: str) -> dict[str, Json]:
    """Return the JSON object that an option holds. Raises UsageError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"extra={text!r} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"extra={text!r}: expected a JSON object")
    return found


def _index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        if isinstance(index["_class_name"], str):
            return index
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentProblem(f"{folder / 'model_index.json'} is damaged: fetch the pipeline again") from error
    raise UsageError(f"{folder} needs code from its repository, which is never run here")


def _known_libraries(name: str, index: Mapping[str, Any], diffusers: Any) -> None:
    """Refuse a folder whose components come from anywhere but diffusers and transformers."""
    for component, value in index.items():
        library = value[0] if isinstance(value, list) and value else None
        known = library in (None, "diffusers", "transformers") or hasattr(diffusers.pipelines, str(library))
        if not component.startswith("_") and not known:
            raise UsageError(f"{name}: its {component} needs the code of {library!r}, which is never run here")


def _must_draw(name: str, kind: str, accepted: Mapping[str, inspect.Parameter], recipe: Recipe) -> None:
    """Raise UsageError where a pipeline does not make pictures from a prompt alone, or lacks an option."""
    required = {key for key, each in accepted.items() if each.default is each.empty and each.kind not in (2, 4)}
    if not {"prompt", "generator"} <= accepted.keys() or required - {"prompt"}:
        raise UsageError(f"{name} is a {kind}, which makes no pictures from a prompt alone")
    wanted = {
        "num_inference_steps": recipe.steps,
        "guidance_scale": recipe.guidance,
        "height": recipe.size,
        "negative_prompt": recipe.negative_prompt,
        **recipe.extra,
    }
    for key, value in wanted.items():
        if value is not None and key not in accepted:
            raise UsageError(f"{name}: its {kind} has no {key}: leave that option out")
