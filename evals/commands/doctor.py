"""What `janus-eval doctor` says: what this machine has, and what is missing for each thing that one may want to run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import screen
from ..environment import installed
from ..errors import UsageError, hint
from ..extras import pip_line
from ..types import Json
from . import terminal
from .overview import Add
from .shelf import size as in_words

Row = dict[str, Json]
_HF = "torch transformers tokenizers safetensors accelerate"
_JANUS = ("janus-pro-7b", "janus-pro-1b", "janus-1.3b")
_MANY = ("mme", "mmbench", "seed-bench", "gqa", "mmmu", "mm-vet", "mmstar", "realworldqa", "ai2d", "chartqa")
_SEEN = (
    *("geneval2", "wise", "wise-rewritten", "wise-verified", "tiif", "tiif-mini", "genai-bench"),
    *("unigenbench", "unigenbench-long", "unigenbench-cn", "unigenbench-cn-long"),
    *("oneig-alignment", "oneig-alignment-cn", "oneig-text", "oneig-text-cn"),
)
_EDITS = ("gedit-bench", "imgedit-bench")
_LATER = ("ocrbench", "mmbench-cn", "mmvp", "mmmu-pro", "mmmu-pro-vision", "mathvista")


@dataclass(frozen=True, slots=True)
class Use:
    """Something that one may want to run: what is typed, and what it takes. Any one of `keys` may be asked for."""

    title: str
    names: str
    packages: Mapping[str, str]
    """By the extra that brings them."""
    assets: tuple[str, ...] = ()
    keys: Mapping[str, str] | None = None
    optional: bool = False
    apart: bool = False
    """Whether each of its names needs the asset of that name alone."""


_USES = (
    Use("the embedded world", "janus-toy", {"hf": _HF}),
    Use(
        "Janus",
        "janus-pro-7b janus-pro-1b janus-1.3b janus-4o-7b",
        {"hf": _HF},
        ("janus-pro-7b", "janus-pro-1b", "janus-1.3b"),
        apart=True,
    ),
    Use("JanusFlow", "janusflow-1.3b", {"diffusers": f"{_HF} diffusers"}, ("janusflow-1.3b", "sdxl-vae")),
    Use("Stable Diffusion 3", "sd3-medium diffusers", {"diffusers": f"{_HF} diffusers"}, ("sd3-medium",)),
    Use("D-DiT", "d-dit", {"diffusers": f"{_HF} diffusers"}, ("d-dit", "d-dit-base", "d-dit-mask")),
    Use("any model of the hub", "hf emu3-gen", {"hf": _HF}, keys={"HF_TOKEN": "for gated and private repositories"}),
    Use("endpoints and judges", "openai judge", {}, keys={"OPENAI_API_KEY": "where api.openai.com is asked"}),
    Use(
        "GenEval",
        "geneval",
        {"geneval": f"{_HF} opencv-python-headless pycocotools scipy"},
        ("geneval-detector", "geneval-clip"),
    ),
    Use(
        "GenEval in other forms",
        "geneval_long self_consistency",
        {"geneval": f"{_HF} opencv-python-headless pycocotools scipy"},
        ("geneval-long",),
    ),
    Use("suites of a judge that sees", " ".join(_SEEN).replace("-", "_"), {"hf": _HF}, _SEEN, apart=True),
    Use("suites of edits", "gedit_bench gedit_bench_cn imgedit_bench", {"data": "datasets"}, _EDITS),
    Use("T2I-CompBench", "t2i_compbench", {"hf": _HF}, ("t2i-compbench", "blip-vqa")),
    Use("DPG-Bench", "dpg_bench", {"hf": _HF}, ("dpg-bench", "mplug")),
    Use("questions", "pope " + " ".join(_MANY), {"data": "datasets"}, ("pope", *_MANY), apart=True),
    Use("later suites", " ".join(_LATER), {"data": "datasets"}, _LATER, apart=True),
    Use("reports", "view figures", {"view": "jinja2", "figures": "matplotlib"}),
    Use("models in environments of their own", "worker env tokenflow-xl harmon show-o2", {"env": "uv"}, optional=True),
    Use("several devices", "ray slurm", {"ray": "ray", "slurm": "submitit"}, optional=True),
    Use(
        "trackers",
        "tensorboard wandb mlflow trackio",
        {each: each for each in ("tensorboard", "wandb", "mlflow", "trackio")},
        keys={"WANDB_API_KEY": "for wandb's service"},
        optional=True,
    ),
    Use(
        "other backends of GenEval",
        "clip mmdet",
        {"clip": "open-clip-torch torchvision", "mmdet": "mmdet"},
        optional=True,
    ),
)


def add(command: Add) -> None:
    """Add the command's flags."""
    parser = command("doctor", doctor)
    told = "only what these models, suites or commands need (janus-pro-7b, geneval, view ...)"
    parser.add_argument("names", nargs="*", metavar="NAME", help=told)
    told = "ask an OpenAI-compatible endpoint whether it answers (repeat); without it nobody is asked"
    parser.add_argument("--endpoint", action="append", default=[], metavar="URL", help=told)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def doctor(args: argparse.Namespace) -> int:
    """Print the findings and return 0."""
    rows = examine(args.names, args.endpoint)
    if args.json:
        screen.machine(screen.as_json(rows, indent=2))
    else:
        screen.out(text(rows, whole=not args.names))
    return 0


def examine(names: Sequence[str] = (), endpoints: Sequence[str] = ()) -> list[Row]:
    """Return one finding a row: group, what, state (ok, missing, optional, warning), detail, mend.

    An asset's row has its path, bytes and licence besides. Raises UsageError for a name that nothing bears.
    """
    from . import machine

    uses = _named(names)
    rows = [_row("this machine", *each) for each in machine.examine(_cache())]
    for use in uses:
        rows += _of(use)
    return [*rows, *(_row("endpoints", *machine.ask(each)) for each in endpoints)]


def text(rows: Sequence[Row], *, whole: bool) -> list[str]:
    """Return the findings as lines for a terminal, those of a group together."""
    marks = {"ok": "ok", "missing": "MISSING", "optional": "optional", "warning": "WARNING"}
    rows = [{**row, "what": row["what"].replace("packages of ", "extra ")} for row in rows]
    wide = max(len(row["what"]) for row in rows)
    lines: list[str] = []
    group = ""
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            lines += [*([""] if lines else []), group]
        mark = "to fetch" if "bytes" in row and row["state"] == "optional" else marks[row["state"]]
        lines += terminal.hung(f"  {mark:<8}  {row['what']:<{wide}}  ", _short(row))
    wrong = ("missing", "warning") if whole else ("missing", "warning", "optional")
    mends = list(dict.fromkeys(row["mend"] for row in rows if row["mend"] and row["state"] in wrong))
    lines += (
        ["", "to mend:", *(f"  {each}" for each in mends)]
        if mends
        else ["", "no package is missing" if whole else "nothing is missing"]
    )
    told = "What is to fetch comes at first use, or by janus-eval data fetch NAME. "
    told += "Of one thing alone: janus-eval doctor NAME"
    return [*lines, *(["", *terminal.hung("", told)] if whole else [])]


def known() -> list[str]:
    """Return the names that `doctor` takes."""
    return [each for use in _USES for each in use.names.split()]


def _short(row: Row) -> str:
    """Return a row's detail; of many packages the first, of what is to be fetched its size and licence."""
    if row.get("path", "") is None:
        return "; ".join([*([in_words(row["bytes"])] if row["bytes"] else []), row["licence"]])
    told = [f"{name} {version}" for name, version in row.get("versions", {}).items()]
    return f"{told[0]} and {len(told) - 1} more" if len(told) > 1 else row["detail"]


def _named(names: Sequence[str]) -> Sequence[Use]:
    """Return the uses that names stand for, all of them without names."""
    known = {each: use for use in _USES for each in use.names.split()}
    folded = {each.replace("_", "-"): each for each in known}
    found: list[Use] = []
    for name in names:
        key = name.partition(":")[0].replace("_", "-").lower()
        if key not in folded:
            told = hint(key, folded, f"; it knows: {', '.join(known)}")
            raise UsageError(f"doctor knows no {name!r}{told}")
        use = known[folded[key]]
        found.append(replace(use, assets=(key,)) if use.apart and key in use.assets else use)
    return found if names else _USES


def _of(use: Use) -> Iterator[Row]:
    group = f"{use.title} ({', '.join(use.names.split()[:3])}{', ...' if len(use.names.split()) > 3 else ''})"
    for extra, packages in use.packages.items():
        found = {name: installed(name) for name in packages.split()}
        absent = [name for name, version in found.items() if version is None]
        if absent:
            state = "optional" if use.optional else "missing"
            yield _row(group, f"packages of {extra}", state, f"no {', '.join(absent)}", pip_line(extra))
        else:
            told = ", ".join(f"{name} {version}" for name, version in found.items())
            yield _row(group, f"packages of {extra}", "ok", told) | {"versions": found}
    if "hf" in use.names.split():
        yield _vision(group)
    for name in use.assets:
        yield _asset(group, name)
    for key, why in (use.keys or {}).items():
        if os.environ.get(key, "").strip():
            yield _row(group, key, "ok", "set")
        else:
            yield _row(group, key, "optional", f"not set: needed {why}")


def _vision(group: str) -> Row:
    """Return whether processors of vision-language models find what they ask for, and fitting the installed torch."""
    from ...models.packages import VISION, lacking

    line = lacking()
    if not line:
        return _row(group, "processors", "ok", ", ".join(f"{name} {installed(name)}" for name in VISION))
    there = all(installed(name) for name in VISION)
    told = f"most vision-language models' ask for more: {line}"
    return _row(group, "processors", "warning" if there else "optional", told, line.partition(": ")[2])


def _asset(group: str, name: str) -> Row:
    from ..assets import fetch
    from .missing import about

    item = fetch.asset(name)
    tables = [each for each in fetch.list_assets() if each.name == f"{name}-tsv"]  # a table stands for the hub's rows
    path = next((path for each in (*tables, item) if (path := fetch.locate(each))), None)
    more = {"path": str(path) if path else None, "bytes": item.size, "licence": item.licence}
    if path is not None:
        return _row(group, name, "ok", str(path)) | more
    return _row(group, name, "optional", f"not fetched; {about(item)}", f"janus-eval data fetch {name}") | more


def _row(group: str, what: str, state: str, detail: str, mend: str = "") -> Row:
    return {"group": group, "what": what, "state": state, "detail": detail, "mend": mend}


def _cache() -> Path:
    from ..assets.cache import cache_root

    return cache_root()
