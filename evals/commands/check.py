"""`janus-eval check MODEL`: whether a model works here, in under a minute, and what a report of a bug needs."""

from __future__ import annotations

import argparse
import platform
import shlex
import time
from typing import TYPE_CHECKING, Any

from .. import registry, screen
from . import flags, terminal
from .overview import Add

if TYPE_CHECKING:
    from ..smoke import Finding
    from ..types import Json, RunSpec

FAILED = 3
"""The exit code where the model works not as it must."""


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("check", check)
    parser.add_argument("model", metavar="MODEL", type=flags.words, help="a model (as after `run -m`)")
    parser.add_argument("-a", "--model-args", action="append", default=[], metavar="K=V", help="options of the model")
    parser.add_argument(
        "--base-url", type=flags.words, metavar="URL", help="an OpenAI-compatible endpoint of the model"
    )
    told = "text, likelihood, image, edit: what is tried (default: all that the model gives)"
    parser.add_argument("--kinds", type=flags.words, metavar="A,B", help=told)
    told = "begin nothing that would end later than after so many seconds, loading included (default: 60)"
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help=told)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    flags.add_machine(parser)


def check(args: argparse.Namespace) -> int:
    """Try the model, print what came of it, and return 0, or 3 where something failed."""
    from .. import members, memory, smoke
    from ..environment import harness_version
    from ..plan import model_of
    from ..request import Machine, Request
    from ..types import RunSpec

    name = registry.resolve("models", args.model)
    machine = Machine(args.device, args.dtype, None, args.base_url, args.offline, None, canary=False)
    options = flags.key_values(args.model_args, "--model-args")
    made = model_of(name, Request((name,), ("check",), model_options=options, machine=machine))
    model = members.model(made.plugin, name)
    began = time.monotonic()
    spec = RunSpec(
        name, "check", 0, None, model.card, {}, {}, harness_version(), model_options=made.moving
    )  # what is not here is said before anything is loaded
    memory.check(model, name)
    kinds: list[Any] = flags.split_names([args.kinds] if args.kinds else [])
    found: list[Finding] = []
    wide = max(len(f"{each} in a batch") for each in ("likelihoods", "picture"))
    try:
        for each in smoke.smoke(model, args.seconds, kinds):
            found.append(each)
            if not args.json:
                screen.out(_line(each, wide))
    finally:
        model.close()
    seconds = time.monotonic() - began
    held = smoke.memory()
    state = "failed" if any(each.state == "failed" for each in found) else "ok"
    report = _report(args, spec)
    if args.json:
        row: dict[str, Json] = {"model": name, "state": state, "seconds": round(seconds, 3), "memory": held}
        row |= {"findings": [each.to_json() for each in found], "report": report}
        screen.machine(screen.as_json(row, indent=2))
    else:
        screen.out(["", *terminal.hung("", _took(seconds, held)), "", "for a report of a bug:", *report])
    return FAILED if state == "failed" else 0


def _line(finding: Finding, wide: int) -> list[str]:
    marks = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "not tried": "-"}
    took = "" if finding.seconds is None else f" ({finding.seconds:.2f} s)"
    detail = f"not tried: {finding.detail}" if finding.state == "not tried" else finding.detail
    return terminal.hung(f"  {marks[finding.state]:<7}  {finding.what:<{wide}}  ", screen.clean(detail) + took)


def _took(seconds: float, held: dict[str, int]) -> str:
    gpu = f", {held['gpu'] / 1e9:.1f} GB of the GPU" if "gpu" in held else ""
    return f"{seconds:.1f} s in all, loading included; {held['process'] / 1e9:.2f} GB held by this process{gpu} at most"


def _report(args: argparse.Namespace, spec: RunSpec) -> list[str]:
    """Return the command, what names the model and its knobs, and the packages that it ran on."""
    from ..environment import environment

    machine = environment()
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if name != "janus-eval")
    where: list[Any] = [f"python {machine['python']}", packages, machine["platform"], *machine.get("gpus", ())]
    return [_command(args), spec.signature, "; ".join(map(str, [*where, platform.machine()]))]


def _command(args: argparse.Namespace) -> str:
    from ..endpoint.address import Address

    words: list[str] = ["janus-eval", "check", args.model]
    words += [word for each in args.model_args for word in ("-a", each)]
    words += ["--base-url", Address.parse(args.base_url).shown] if args.base_url else []
    for name in ("device", "dtype"):
        words += [f"--{name}", vars(args)[name]] if vars(args)[name] else []
    words += ["--kinds", args.kinds] if args.kinds else []
    return shlex.join([*words, *(["--offline"] if args.offline else [])])
