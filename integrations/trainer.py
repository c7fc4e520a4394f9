"""Evaluation inside a training: a callback for transformers' Trainer that leaves the training as it was.

evaluate = EvaluateCallback(lambda network: MyAdapter(network), "gqa", every=500, limit=64)
evaluate.attach(trainer)
trainer.train()
"""

from __future__ import annotations

import hashlib
import inspect
import random
import sys
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..evals import members
from ..evals.errors import Incomplete, JanusEvalError, UsageError, hint
from ..evals.evaluation import evaluate, free_memory
from ..evals.plugins import Benchmark, ModelAdapter
from ..evals.types import Job, Json, Kind, Output, RunRecord
from .trackers.told import numbers as numbers_of

Adapt = Callable[[nn.Module], ModelAdapter]
"""Makes an adapter of the network as it is at this moment."""


class EvaluateCallback(TrainerCallback):
    """Evaluates the network every `every` steps, on the process that is zero of the world.

    `adapter` makes the adapter, once a step; `benchmarks` are names or suites, `options` are further
    keywords of `janus_eval.evals.evaluate` (data, benchmark_options, seed ...). Each run has `step` and
    the weights' digest in its key. Metrics are logged as `janus_eval/SUITE/METRIC`, with `/low` and `/high`
    where they have an interval; a number that is withheld is not logged. An evaluation that fails, or leaves
    outputs without a verdict, is told on stderr, logs nothing, and the training goes on; with `strict` an
    error stops it, `Incomplete` where outputs failed. With `allow_unscored` in the options a run that has
    gaps logs its numbers too. Raises UsageError for options that cannot be meant, and when the training
    begins for a network whose parameters are sharded.

    Afterwards the network, random numbers, gradients and memory are as `as_it_was` says.
    """

    def __init__(
        self,
        adapter: Adapt,
        benchmarks: str | Benchmark | Sequence[str | Benchmark],
        *,
        every: int,
        limit: str | float | None = None,
        output: str | Path = "runs",
        tag: str = "",
        options: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> None:
        if type(every) is not int or every < 1:
            raise UsageError(f"every={every!r}: expected a whole number of steps from 1")
        self.adapter = adapter
        self.benchmarks: list[str | Benchmark] = []
        if isinstance(benchmarks, Sequence) and not isinstance(benchmarks, str):
            self.benchmarks += benchmarks
        else:
            self.benchmarks.append(benchmarks)
        self.every = every
        self.limit = limit
        self.output = Path(output)
        self.tag = tag
        self.options = _checked(options or {})
        self.strict = strict
        self._log: Callable[[dict[str, float]], None] | None = None

    def attach(self, trainer: Trainer) -> EvaluateCallback:
        """Add the callback to a trainer, and log through it: its trackers and its history see the metrics."""
        trainer.add_callback(self)
        self._log = trainer.log
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse a sharded network before the first step, on every process: none is left waiting for another."""
        _check_whole(kwargs["model"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Evaluate at each `every`-th step."""
        if state.global_step % self.every != 0 or not state.is_world_process_zero:
            return
        numbers = self._evaluate(kwargs["model"], state.global_step)
        if self._log is not None and numbers:
            wanted = control.should_log
            self._log(numbers)
            control.should_log = wanted  # trainer.log clears it: this step's row with the loss would be lost
        elif numbers:
            state.log_history.append({**numbers, "epoch": state.epoch, "step": state.global_step})

    def _evaluate(self, network: nn.Module, step: int) -> dict[str, float]:
        """Return what is logged of all suites at a step."""
        _check_whole(network)
        with as_it_was(network):
            return self._numbers(network, step)  # the adapter is gone with its frame, before memory is given back

    def _numbers(self, network: nn.Module, step: int) -> dict[str, float]:
        numbers: dict[str, float] = {}
        adapter: _Weighed | None = None
        for benchmark in self.benchmarks:
            try:
                adapter = adapter or _Weighed(self.adapter(network), network)
                where = {"limit": self.limit, "output": self.output, "step": step, "tag": self.tag}
                record = evaluate(adapter, benchmark, **where, **self.options)
                told = self._gaps(record)
                if told and self.strict and record.counts["errors"]:
                    raise Incomplete(told)
            except Exception as error:
                if self.strict:
                    raise
                told = str(error) if isinstance(error, JanusEvalError) else f"{type(error).__name__}: {error}"
            else:
                numbers |= {} if told else numbers_of(record)
            if told:
                name = benchmark if isinstance(benchmark, str) else benchmark.name
                print(f"janus-eval: warning: step {step}: {name}: {' '.join(told.split())}", file=sys.stderr)
        return numbers

    def _gaps(self, record: RunRecord) -> str:
        """Return why a record's numbers are not logged, or nothing.

        `evaluate` withholds the headline alone of a run with gaps: its other numbers count what failed as wrong.
        """
        counts = record.counts
        if record.complete or (self.options.get("allow_unscored") and counts["scored"]):
            return ""
        told = f"{counts['unscored']} of {counts['expected']} outputs have no verdict ({counts['errors']} failed)"
        return f"{told}: none of its numbers is logged"


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options. Raises UsageError at once, not at the first evaluation, for one that `evaluate` lacks."""
    mine = {"model", "benchmark", "limit", "output", "tag", "step"}
    known = inspect.signature(evaluate).parameters.keys() - mine
    for key in options:
        if key in mine:
            raise UsageError(f"options: {key!r} is given by the callback itself")
        if key not in known:
            raise UsageError(f"options: evaluate has no option {key!r}{hint(key, known)}")
    return dict(options)


class _Weighed:
    """An adapter with every member, whose card names the weights of this moment where its own names none."""

    def __init__(self, adapter: ModelAdapter, network: nn.Module) -> None:
        whole = members.model(adapter)
        self._adapter = whole
        self._network = network
        self.name = whole.name or type(adapter).__name__
        self.kinds: Collection[Kind] = whole.kinds
        self.world = whole.world
        self.independent = whole.independent
        self.inert = whole.inert
        self.image_size = whole.image_size
        self.shares_pictures = whole.shares_pictures

    @cached_property
    def _weights(self) -> str:
        return weights_digest(self._network)

    @property
    def card(self) -> Mapping[str, Json]:
        own = self._adapter.card
        return own if "weights" in own else {**own, "weights": self._weights}

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        return self._adapter.predict(jobs)

    def batch_size(self, jobs: Sequence[Job]) -> int:
        return self._adapter.batch_size(jobs)

    def needs(self) -> Sequence[str]:
        return self._adapter.needs()

    @property
    def environment(self) -> Mapping[str, Json]:
        return self._adapter.environment

    def ahead(self, jobs: Sequence[Job]) -> None:
        self._adapter.ahead(jobs)

    def weights_bytes(self) -> int:
        return self._adapter.weights_bytes()

    def cost(self, pictures: int) -> str:
        return self._adapter.cost(pictures)

    def assets(self) -> Sequence[str]:
        return self._adapter.assets()

    def lacks(self) -> Sequence[str]:
        return self._adapter.lacks()

    def begin(self, folder: Path) -> str:
        return self._adapter.begin(folder)

    def spent(self) -> Mapping[str, Json]:
        return self._adapter.spent()

    def close(self) -> None:
        self._adapter.close()


def weights_digest(network: nn.Module) -> str:
    """Return 16 hex digits over a network's state: names, types, shapes and bytes of all tensors.

    One tensor at a time is copied to the CPU.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            digest.update(f"{name}\0{tensor!r}\0".encode())
            continue
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().to("cpu").contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _check_whole(network: nn.Module) -> None:
    """Raise UsageError for a network whose parameters lie on several processes: one of them cannot ask it.

    The marks: ZeRO-3's `ds_id`, FSDP's flat parameters, the mesh of FSDP2's, and a part without elements.
    """
    for name, parameter in network.named_parameters():
        marks = {"ds_id", "_fsdp_flattened"} & vars(parameter).keys()
        if marks or parameter.numel() == 0 or hasattr(parameter, "device_mesh"):
            raise UsageError(
                f"the parameter {name} is sharded over processes (FSDP, ZeRO-3) and one process cannot ask the network "
                "alone: save a whole checkpoint and evaluate that, janus-eval run -a path=CHECKPOINT"
            )


@contextmanager
def as_it_was(network: nn.Module) -> Generator[None, None, None]:
    """Put a network into evaluation mode without gradients, and leave the training as it was, whatever is raised.

    Afterwards each module is in training mode where it was, each parameter wants its gradient where it did,
    the random numbers of Python, NumPy, torch and every GPU go on where they were, gradients are recorded
    where they were, and what nobody holds any more is given back to the machine.
    """
    modes = {module: module.training for module in network.modules()}
    wanting = {parameter: parameter.requires_grad for parameter in network.parameters()}
    with ExitStack() as after:  # the last is undone first, and each is undone even where another fails
        after.callback(free_memory)
        after.callback(random.setstate, random.getstate())
        after.callback(np.random.set_state, np.random.get_state())
        after.callback(torch.set_rng_state, torch.get_rng_state())
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            after.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
        after.enter_context(torch.no_grad())  # no inference mode: what a module keeps must not spoil its next step
        after.callback(_put_back, network, modes, wanting)
        network.eval()
        yield


def _put_back(network: nn.Module, modes: Mapping[nn.Module, bool], wanting: Mapping[nn.Parameter, bool]) -> None:
    """Undo an `eval()` and a `requires_grad_()`."""
    network.train(modes[network])  # a layer that merged itself for evaluation parts again
    for module, training in modes.items():
        module.training = training
    for parameter, wants in wanting.items():
        if parameter.requires_grad != wants:
            parameter.requires_grad_(wants)
