"""`janus-eval run --gate-against`: a run that asks in a random order and stops when its gate's verdict is certain."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from .. import screen
from ..errors import Incomplete, JanusEvalError, UsageError
from . import flags, terminal

if TYPE_CHECKING:
    from ...reports.compare import Run
    from ...reports.gate import GateResult
    from ...reports.sequential import Gate
    from ..evaluation import Outcome
    from ..executors import Executor
    from ..plan import Pair
    from ..runner import Settings

_APART = (
    *("limit", "ids", "shard", "again", "from_signature", "log", "report", "dry_run", "json", "allow_unscored"),
    "ask_refused",
)


def add(run: argparse.ArgumentParser) -> None:
    """Add the flags of a run that may stop early."""
    told = "ask in a random order and stop as soon as it is certain what the gate will say (docs/ci-gate.md)"
    run.add_argument("--gate-against", type=flags.path, metavar="FILE", help=told)
    told = "with --gate-against: what is forgiven (TOML)"
    run.add_argument("--tolerances", type=flags.path, metavar="FILE", help=told)


def run(args: argparse.Namespace) -> int:
    """Run one model on one suite until it is certain whether the headline fell, and return the gate's exit code."""
    from ..evaluation import executor_of, settings_of
    from ..plan import pairs

    given = [each for each in _APART if vars(args)[each]]
    given += ["until"] if args.until != "score" else []
    given += ["repeats"] if args.repeats != 1 else []
    given += ["executor"] if args.executor == "slurm" else []
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} does not go with --gate-against")
    request = flags.request_of(args)
    with closing(executor_of(request.machine)) as executor:
        planned = pairs(request, executor)
        if len(planned) != 1:
            raise UsageError(f"--gate-against is about one model and one suite; here are {len(planned)} runs")
        return _gate(planned[0], executor, settings_of(request), args)


def _gate(pair: Pair, executor: Executor, settings: Settings, args: argparse.Namespace) -> int:
    from ...reports import sequential, verdicts
    from ...reports.compare import Run
    from ...reports.summary import run_summary
    from ..evaluation import carry_out

    gate = sequential.Gate.read(args.gate_against, args.tolerances, pair.spec)
    looks = [replace(pair, now=frozenset(each)) for each in sequential.in_turn(pair.samples, pair.spec.seed)]
    ended = carry_out(list(looks), settings, executor)
    for number, (look, outcome) in enumerate(zip(looks, ended, strict=False), 1):
        last = number == len(looks)
        if outcome.record is None:
            _leave(pair)
            return _failed(outcome)
        seen = Run.read(outcome.folder)
        result = gate.end(seen) if last else _looked(gate, seen, look)
        if result is None:
            continue
        if not last:
            _leave(pair)
        screen.out(run_summary(outcome.record, outcome.folder, width=terminal.width()))
        screen.rendered(verdicts.show(result, color=terminal.colored(), width=terminal.width()))
        return result.exit_code
    raise AssertionError("the last look ends the run")


def _looked(gate: Gate, run: Run, pair: Pair) -> GateResult | None:
    """Tell what one look showed, and return the gate's result where it is certain."""
    result, told = gate.look(run, pair.now or ())
    screen.say(told)
    return result


def _leave(pair: Pair) -> None:
    """Close what further looks would have needed."""
    if pair.owned:
        pair.model.here.close()
    if pair.eyes is not None:
        pair.eyes.here.close()


def _failed(outcome: Outcome) -> int:
    if outcome.bug:
        screen.err(outcome.bug.splitlines())
    if outcome.error is not None:
        screen.fail(outcome.error, "")
    return outcome.error.exit_code if isinstance(outcome.error, JanusEvalError) else Incomplete.exit_code
