"""Evaluation inside a training: a callback for transformers' Trainer that leaves the training as it was.

evaluate = EvaluateCallback(lambda network: MyAdapter(network), "gqa", every=500, limit=64)
evaluate.attach(trainer)
trainer.train()
"""

from __future__ import annotations

import gc
import hashlib
import random
import sys
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..evals.errors import JanusEvalError, UsageError
from ..evals.evaluation import evaluate
from ..evals.plugins import Benchmark, ModelAdapter
from ..evals.types import Job, Json, Kind, Output, RunRecord

Adapt = Callable[[nn.Module], ModelAdapter]
"""Makes an adapter of the network as it is at this moment."""


class EvaluateCallback(TrainerCallback):
    """Evaluates the network every `every` steps, on the process that is zero of the world.

    `adapt` makes the adapter, `benchmarks` are names or suites, `options` are further keywords of
    `janus_eval.evals.evaluate` (data, benchmark_options, seed ...). Each run has `step` and the weights'
    digest in its key. Metrics are logged as `janus_eval/SUITE/METRIC`, with `/low` and `/high` where they
    have an interval; a number that is withheld is not logged. An evaluation that fails is told on stderr and
    the training goes on, unless `strict`.

    Afterwards each module is in training mode where it was, the random numbers of Python, NumPy, torch and
    every GPU go on where they were, and what the evaluation held in memory is given back.
    """

    def __init__(
        self,
        adapt: Adapt,
        benchmarks: str | Benchmark | Sequence[str | Benchmark],
        *,
        every: int,
        limit: str | float | None = None,
        output: str | Path = "runs",
        tag: str = "",
        options: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> None:
        if every < 1:
            raise UsageError(f"every={every}: expected a number of steps from 1")
        self.adapt = adapt
        self.benchmarks: list[str | Benchmark] = []
        if isinstance(benchmarks, Sequence) and not isinstance(benchmarks, str):
            self.benchmarks += benchmarks
        else:
            self.benchmarks.append(benchmarks)
        self.every = every
        self.limit = limit
        self.output = Path(output)
        self.tag = tag
        self.options = dict(options or {})
        self.strict = strict
        self._log: Callable[[dict[str, float]], None] | None = None

    def attach(self, trainer: Trainer) -> EvaluateCallback:
        """Add the callback to a trainer, and log through it: its trackers and its history see the metrics."""
        trainer.add_callback(self)
        self._log = trainer.log
        return self

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Evaluate at each `every`-th step."""
        if state.global_step % self.every == 0 and state.is_world_process_zero:
            numbers = self._evaluate(kwargs["model"], state.global_step)
            if self._log is not None and numbers:
                self._log(numbers)
            elif numbers:
                state.log_history.append({**numbers, "step": state.global_step})

    def _evaluate(self, network: nn.Module, step: int) -> dict[str, float]:
        numbers: dict[str, float] = {}
        _check_whole(network)
        with as_it_was(network):
            for benchmark in self.benchmarks:
                try:
                    record = self._run(network, benchmark, step)
                except Exception as error:
                    if self.strict:
                        raise
                    told = str(error) if isinstance(error, JanusEvalError) else f"{type(error).__name__}: {error}"
                    name = benchmark if isinstance(benchmark, str) else benchmark.name
                    print(f"janus-eval: warning: step {step}: {name}: {' '.join(told.split())}", file=sys.stderr)
                    continue
                numbers |= _numbers(record)
        return numbers

    def _run(self, network: nn.Module, benchmark: str | Benchmark, step: int) -> RunRecord:
        adapter = _Weighed(self.adapt(network), network)
        where = {"limit": self.limit, "output": self.output, "step": step, "tag": self.tag}
        return evaluate(adapter, benchmark, **where, **self.options)


def _numbers(record: RunRecord) -> dict[str, float]:
    """Return what is logged of a record: numbers, never a withheld one."""
    numbers: dict[str, float] = {}
    for key, metric in record.metrics.items():
        name = f"janus_eval/{record.spec.benchmark}/{key}"
        values = {name: metric.value, f"{name}/low": metric.low, f"{name}/high": metric.high}
        numbers |= {each: value for each, value in values.items() if value is not None and metric.value is not None}
    return numbers


class _Weighed:
    """An adapter whose card names the weights of this moment, where its own names none."""

    def __init__(self, adapter: ModelAdapter, network: nn.Module) -> None:
        self._adapter = adapter
        card = dict(adapter.card)
        self.card: Mapping[str, Json] = card if "weights" in card else {**card, "weights": weights_digest(network)}
        self.name = type(adapter).__name__

    @property
    def kinds(self) -> Collection[Kind]:
        return self._adapter.kinds

    def predict(self, jobs: Sequence[Job]) -> Sequence[Output]:
        return self._adapter.predict(jobs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._adapter, name)


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
    """Raise UsageError for a network whose parameters lie on several processes: one of them cannot ask it."""
    for name, parameter in network.named_parameters():
        if parameter.numel() == 0 or "ds_id" in vars(parameter) or hasattr(parameter, "device_mesh"):
            raise UsageError(
                f"the parameter {name} is sharded over processes (FSDP, ZeRO-3): gather the model first and evaluate "
                "a saved checkpoint, janus-eval run -a path=CHECKPOINT"
            )


@contextmanager
def as_it_was(network: nn.Module) -> Generator[None]:
    """Put a network into evaluation mode and leave it, all random numbers and the memory as they were."""
    modes = {module: module.training for module in network.modules()}
    states = _random_states()
    network.eval()
    try:
        with torch.no_grad():  # no inference mode: what a module keeps must not spoil its next step
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        _set_random_states(states)
        gc.collect()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _random_states() -> dict[str, Any]:
    import numpy as np

    gpus = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if gpus else [],
    }


def _set_random_states(states: Mapping[str, Any]) -> None:
    import numpy as np

    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
