"""`janus-eval run`: models on suites, one after the other, or only the plan of it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import interpreters, memory, screen
from ..errors import EnvironmentProblem, Incomplete, JanusEvalError, UsageError
from ..records import read_spec
from . import flags, gated, history, terminal
from . import launch as launching
from .overview import Add

if TYPE_CHECKING:
    from ...integrations.trackers.telling import Trackers
    from ..evaluation import Outcome
    from ..made import Lack
    from ..plan import Pair
    from ..request import Request
    from ..types import Json

    Check = Callable[[Pair], None]


def add(command: Add) -> None:
    """Add the commands and their flags."""
    _run_flags(command("run", run))
    _finish_flags(command("finish", finish))


def _run_flags(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="model (repeat, a,b, or a glob; -h tells its options)",
    )
    run.add_argument(
        "-b",
        "--bench",
        action="append",
        default=[],
        metavar="NAME",
        help="benchmark (repeat, a,b, a glob, or @gen, @edit, @und, @all, @2026)",
    )
    run.add_argument("-a", "--model-args", action="append", default=[], metavar="K=V", help="options of the model")
    run.add_argument("--bench-args", action="append", default=[], metavar="K=V", help="options of the benchmark")
    run.add_argument("--gen-args", action="append", default=[], metavar="K=V", help="sampling options of the model")
    run.add_argument("--recipe", metavar="NAME", help="a named set of sampling options")
    run.add_argument("-l", "--limit", metavar="N|0.1|10-20", help="only the first N, a share, or a range of samples")
    run.add_argument("--ids", metavar="A,B", help="only these samples")
    run.add_argument("--batch-size", default="auto", metavar="auto|N", help="default: auto")
    run.add_argument("-o", "--output", type=flags.path, default=Path("runs"), metavar="DIR", help="default: runs")
    run.add_argument("--seed", type=int, default=0, help="run seed (default: 0)")
    told = "so many runs of each, with the seeds from --seed on; ends with their means, errors and pass@k"
    run.add_argument("--repeats", type=int, default=1, metavar="N", help=told)
    run.add_argument("--report", action="store_true", help="end with the tables: these runs beside published numbers")
    gated.add(run)
    run.add_argument("--tag", default="", metavar="TEXT", help="what tells this model from others of its name")
    run.add_argument("--name", type=flags.words, metavar="TEXT", help="what tables call it: moves nothing")
    run.add_argument("--step", type=int, metavar="N", help="the training step that the model is at")
    run.add_argument("--data", metavar="PATH", help="the benchmark's data: a path, toy or official")
    run.add_argument("--base-url", type=flags.words, metavar="URL", help="an OpenAI-compatible endpoint of the model")
    run.add_argument("--max-errors", type=int, default=10, metavar="N", help="stop after more failures (default: 10)")
    run.add_argument("--allow-unscored", action="store_true", help="keep the headline number of an unwhole run")
    run.add_argument("--ask-refused", action="store_true", help="ask a service again for what it refused to draw")
    told = "what the drawings of a paid model may cost, in US$; none: no ceiling"
    run.add_argument("--max-cost", type=flags.words, metavar="USD|none", help=told)
    told = "do not look at four drawings of a service before the others are paid for"
    run.add_argument("--no-canary", action="store_true", help=told)
    told = "stop behind a stage; the same command without it goes on from there (predict needs no scorer)"
    run.add_argument("--until", choices=("predict", "observe", "score"), default="score", help=told)
    told = "compute only the I-th of N shares (from 0); auto: Slurm's array, auto/N: Kubernetes' index"
    run.add_argument("--shard", type=flags.words, metavar="I/N|auto", help=told)
    told = "keep pictures in packs (tars), not in files; default: from 20,000 pictures (docs/scale.md)"
    run.add_argument("--packs", action=argparse.BooleanOptionalAction, default=None, help=told)
    run.add_argument("-n", "--dry-run", action="store_true", help="print the plan and do nothing")
    run.add_argument("--json", action="store_true", help="print the records as JSON")
    told = "tell a tracker of each run: tensorboard:DIR, wandb[:PROJECT], mlflow[:URI], trackio[:PROJECT] (repeat)"
    run.add_argument("--log", action="append", default=[], type=flags.words, metavar="TRACKER", help=told)
    run.add_argument("--again", type=flags.path, metavar="RUN", help="ask again what a stored run was asked")
    run.add_argument("--from-signature", type=flags.words, metavar="TEXT", help="ask what a whole signature says")
    run.add_argument("-C", "--config", metavar="FILE.yaml", help="settings by flags' names; flags that are given win")
    flags.add_reading(run)
    flags.add_machine(run)
    flags.add_executor(run)


def _finish_flags(finish: argparse.ArgumentParser) -> None:
    finish.add_argument("runs", nargs="+", type=flags.path, metavar="RUN", help="a run that shards computed")
    finish.add_argument("--max-errors", type=int, default=10, metavar="N", help="stop after more (default: 10)")
    finish.add_argument("--allow-unscored", action="store_true", help="keep the headline number of an unwhole run")
    finish.add_argument("--json", action="store_true", help="print the records as JSON")
    flags.add_machine(finish)
    flags.add_executor(finish)


def run(args: argparse.Namespace) -> int:
    """Carry the request out and return the exit code: that of the first run that did not end well."""
    from ..evaluation import carry_out, executor_of, settings_of
    from ..plan import pairs

    if args.gate_against is not None:
        return gated.run(args)
    if args.tolerances is not None:
        raise UsageError("--tolerances goes with --gate-against")
    request, check = _request(args)
    trackers = _trackers(args.log, offline=args.offline)
    if args.dry_run:
        lacks: list[Lack] = []
        planned = pairs(request, tolerant=True, lacks=lacks)
        if check is not None and planned:
            check(planned[0])
        return _say_plan(planned, lacks, args)
    if request.machine.executor == "slurm":
        args.runs = launching.launch(request)
        vars(args).update(dict.fromkeys({*flags.HANDS} - {"model_python"}), executor="", slurm=[])
        return finish(args)
    with closing(executor_of(request.machine)) as executor:
        planned = pairs(request, executor)
        if check is not None:
            check(planned[0])
        ended = carry_out(planned, settings_of(request), executor)
        return tell(ended, args, alone=len(planned) == 1, trackers=trackers)


def finish(args: argparse.Namespace) -> int:
    """Take the shards of each run together, score it, and return the exit code."""
    from ..evaluation import executor_of, settings_of
    from ..evaluation import finish as end

    request = flags.nameless(args, output=Path())
    with closing(executor_of(request.machine)) as executor:
        ended = (end(each, request, executor, settings_of(request)) for each in args.runs)
        return tell(ended, args, alone=len(args.runs) == 1)


def tell(
    outcomes: Iterable[Outcome], args: argparse.Namespace, *, alone: bool, trackers: Trackers | None = None
) -> int:
    """Print how each run ended, tell the trackers of it, and return the exit code."""
    records: list[Any] = []
    ended: list[Path] = []
    code = 0
    for outcome in outcomes:
        code = code or _exit_code(outcome)
        if outcome.record is not None:
            records.append(outcome.record)
            ended += [outcome.folder] if outcome.record.metrics else []
        if outcome.share is not None:
            screen.say(_share(outcome))
        if outcome.record is not None and not args.json:
            screen.out(_summary(outcome))
        for line in trackers.tell(outcome.folder) if trackers and outcome.record and outcome.record.metrics else ():
            screen.say(line)
        if outcome.bug:
            screen.err(outcome.bug.splitlines())
        if outcome.error is not None:
            screen.fail(outcome.error, "" if alone else outcome.title)
    if args.json:
        from ..records import record_to_json

        screen.machine(screen.as_json([record_to_json(each) for each in records], indent=2))
    else:
        _tables(ended, args)
    return code


def _tables(ended: Sequence[Path], args: argparse.Namespace) -> None:
    """Print what --repeats and --report ask for about the runs that ended with numbers."""
    asked = vars(args)
    if ended and asked.get("repeats", 1) > 1:
        from ...reports.repeats import repeats

        screen.out(["", *repeats(ended, width=terminal.width()).splitlines()])
    if ended and asked.get("report"):
        from ...reports.report import report

        screen.out(["", *report(ended, width=terminal.width()).splitlines()])


def _share(outcome: Outcome) -> str:
    assert outcome.share is not None
    words = {"predict": "outputs", "observe": "looked at"}
    told = ", ".join(f"{had} of {total} {words[stage]}" for stage, (total, had) in outcome.share.items())
    return f"{outcome.title}: this shard has {told}; when all have: janus-eval finish {outcome.folder}"


def _trackers(names: Sequence[str], *, offline: bool) -> Trackers | None:
    """Return the trackers, each of which has said that it is there; nothing is imported where none is asked for."""
    if not names:
        return None
    from ...integrations.trackers.telling import Trackers

    return Trackers(flags.split_names(names), offline=offline)


def _request(args: argparse.Namespace) -> tuple[Request, Check | None]:
    """Return what is asked for, and what a run that is to be a stored one's equal must pass."""
    if args.again is not None:
        _nothing_else("--again asks what RUN was asked", args, _ASKED)
        stored = read_spec(args.again)
        request = flags.request_of(args, again=history.asked_of(args.again))
        return request, lambda pair: history.check_same(str(args.again), stored, pair)
    if args.from_signature is not None:
        open_ = ("model_args", "bench_args", "data")  # what a signature cannot say: where weights and data lie
        _nothing_else("--from-signature says it", args, [each for each in _ASKED if each not in open_])
        request, spec, text = history.from_signature(args)
        return request, lambda pair: history.check_same("the signature", spec, pair, text)
    return flags.request_of(args), None


def _nothing_else(why: str, args: argparse.Namespace, names: Sequence[str]) -> None:
    given = [each for each in names if vars(args)[each] not in (None, [], "", 0)]
    if given:
        raise UsageError(f"{why}: leave out --{given[0].replace('_', '-')}")


_ASKED = (
    *("model", "bench", "model_args", "bench_args", "gen_args", "recipe", "limit", "ids", "seed", "tag", "step"),
    "data",
)


def _exit_code(outcome: Outcome) -> int:
    if outcome.share is not None:
        return 0 if all(had == total for total, had in outcome.share.values()) else Incomplete.exit_code
    if outcome.record is not None:
        record = outcome.record
        staged = record.state in ("predicted", "observed") and not record.missing and not record.counts["errors"]
        return 0 if record.complete or staged else Incomplete.exit_code
    return outcome.error.exit_code if isinstance(outcome.error, JanusEvalError) else 1


def _summary(outcome: Outcome) -> list[str]:
    from ...reports.summary import run_summary

    assert outcome.record is not None
    return run_summary(outcome.record, outcome.folder, width=terminal.width())


# -- the plan -----------------------------------------------------------------------------------------


def _say_plan(planned: Sequence[Pair], lacks: Sequence[Lack], args: argparse.Namespace) -> int:
    """Print the runs, and everything that they lack; exit code 6 where one cannot be planned for it."""
    from . import missing

    plans = [_preview(pair, args) for pair in planned]
    for model in {id(pair.model.here): pair.model.here for pair in planned if pair.owned}.values():
        model.close()  # of a worker: it told its card
    barring = [each for each in lacks if each.barring]
    if args.json:
        plans = [{**each, **missing.of(pair, lacks)} for each, pair in zip(plans, planned, strict=True)]
        plans += [{"run": None, "lacks": [missing.row(each) for each in barring]}] if barring else []
        screen.machine(screen.as_json(plans, indent=2))
    else:
        for each in plans:
            width = max(map(len, each))
            screen.out([*(f"{key:<{width}}  {value}" for key, value in each.items()), ""])
        screen.out(missing.lines(lacks))
    if not barring:
        return 0
    screen.fail(barring[0].problem if len(lacks) == 1 else f"{len(lacks)} things are missing: they stand above")
    return EnvironmentProblem.exit_code


def _preview(pair: Pair, args: argparse.Namespace) -> dict[str, Json]:
    """Return the plan of one run: what it will make, where, and how large."""
    from ..members import disk_need
    from ..stored import read_lines
    from ..types import PICTURES
    from .estimate import estimate, hands

    outputs = len(pair.samples) * pair.suite.outputs
    lines: dict[str, Json] = {
        "run": pair.title,
        "folder": str(pair.folder),
        "samples": len(pair.samples),
        "outputs": f"{outputs} ({pair.suite.kind})",
        "batch size": args.batch_size,
        "observer": pair.suite.observer if isinstance(pair.suite.observer, str) else "none",
        "signature": pair.spec.signature,
    }
    lines["disk"] = f"about {disk_need(pair.suite, pair.model.here, outputs) / 1e6:,.1f} MB"
    if pair.suite.kind in PICTURES:
        lines["disk"] += f" for pictures of {pair.model.here.image_size} px"
    if pair.suite.kind in PICTURES and (cost := _cost(pair, outputs)):
        lines["cost"] = cost
    if "missing" not in pair.spec.model_card and (told := memory.need(pair.model.here)):
        lines["memory"] = told
    free = shutil.disk_usage(_existing(pair.folder)).free
    lines["disk free"] = f"{free / 1e9:,.1f} GB"
    lines |= estimate(pair, hands(args), args.executor or ("ray" if hands(args) > 1 else "local"))
    if other := interpreters.told(flags.machine_of(args)):
        lines["python"] = other
    if pair.eyes is not None and lines["executor"] == "local" and "missing" not in pair.spec.model_card:
        fits, told = memory.beside(pair.model.here, pair.eyes.here, pair.spec.model_card)
        lines["overlap"] = told if args.overlap in (None, fits) else f"{'yes' if args.overlap else 'no'}: as asked"
    there = len({(row["kind"], row["sample_id"], row["index"]) for row in read_lines(pair.folder, "predictions")})
    if there:
        lines["on disk already"] = f"{there} outputs"
    for who, card in (("model", pair.spec.model_card), ("observer", pair.spec.observer_card)):
        if "missing" in card:
            lines["signature"] = f"known once what the {who} lacks is here"
    return lines


def _cost(pair: Pair, pictures: int) -> str:
    try:
        return pair.model.here.cost(pictures)
    except UsageError as error:
        return f"refused: {error}"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
