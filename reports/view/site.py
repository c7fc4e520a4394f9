"""The site: pages by jinja2 and data as plain scripts, so that a browser opens it from a folder, without a server."""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ...evals.errors import EnvironmentProblem, UsageError
from ...evals.extras import pip_line
from ...evals.types import PART, Json, Metric
from .. import reported as published
from ..standing import asides, marks
from . import overview, rows
from .pictures import BUDGET, thumbnails
from .runs import Run, read

HERE = Path(__file__).parent
MARK = "janus-eval-site"
"""The file that says that a folder is a site of ours, which may be written again."""


def build(paths: Iterable[Path], out: Path, *, own: Iterable[Path] = (), live: bool = False) -> list[str]:
    """Write the site of the runs in `paths` into the folder `out`; return lines that the user should read.

    `own` are files of one's own reported numbers; a `live` site asks its server whether it has changed.
    Raises UsageError for a folder that holds something else, EnvironmentProblem where it cannot be written.
    """
    found, damaged = read(paths)
    found.sort(key=lambda each: (each.record.spec.benchmark, rows.natural(each.label)))
    numbers = published.load(own, {each.record.spec.benchmark for each in found})
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).is_file())):
        raise UsageError(f"{out} holds something else; name a new folder for the site")
    try:
        (out / "data").mkdir(parents=True, exist_ok=True)
        (out / MARK).write_text("written by janus-eval view\n")
        for each in (HERE / "static").iterdir():
            shutil.copyfile(each, out / each.name)
        _write(found, damaged, numbers, out, live=live)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {out}: {error.strerror or error}") from error
    return damaged


def _write(found: Sequence[Run], damaged: list[str], numbers: Sequence[Any], out: Path, *, live: bool) -> None:
    told = {each.key: rows.samples(each) for each in found}
    wanted = [one for each in told.values() for one in each.pictures]
    files = thumbnails(wanted, out / "pictures", BUDGET)
    kept = {*files.values()}
    for each in (out / "pictures").glob("*.webp"):
        if each.name not in kept:
            each.unlink()
    for run in found:
        _data(run, told[run.key], files, out / "data")
    index = [_entry(each, told[each.key]) for each in found]
    put(out / "data" / "site.js", "site", {"runs": index})
    models, lanes = overview.lanes(found, numbers)
    pages: dict[str, tuple[str, Mapping[str, Any]]] = {
        "index.html": (
            "overview.html",
            {
                "charts": overview.charts(found, numbers),
                "models": models,
                "lanes": lanes,
                "tables": overview.tables(found, numbers),
                "kind": overview.verdict_kind,
                "number": overview.number,
                "interval": overview.interval,
                "marks": marks,
                "best": overview.best,
                "damaged": damaged,
            },
        ),
        "samples.html": ("samples.html", {}),
        "compare.html": ("compare.html", {}),
    }
    for run in found:
        pages[f"run-{run.key}.html"] = ("run.html", _run_page(run, told[run.key]))
    environment = _templates()
    for name, (template, values) in pages.items():
        text = environment.get_template(template).render(runs=found, page=name, live=live, **values)
        (out / name).write_text(text, encoding="utf-8", errors="backslashreplace")


def _templates() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise EnvironmentProblem(f"view needs the package jinja2: {pip_line('view')}") from error
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def put(path: Path, name: str, value: Json) -> None:
    """Write JSON as a script that hands it to the page: ASCII alone, so that no text of a model ends it."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=True, default=str)
    path.write_text(f"janus.put({json.dumps(name)},{body.replace('<', chr(92) + 'u003c')});\n", encoding="ascii")


def _data(run: Run, told: rows.Samples, files: Mapping[str, str], folder: Path) -> None:
    """Write a run's list and its details, with the files of its pictures in place of their names."""
    for number, chunk in enumerate(told.details):
        for detail in chunk.values():
            detail |= {"inputs": [files.get(each, "") for each in detail["inputs"]]} if "inputs" in detail else {}
            detail |= {"image": files.get(detail["image"], "")} if "image" in detail else {}
        put(folder / f"{run.key}-{number}.js", f"{run.key}-{number}", chunk)
    listed = [[*row[:-1], files.get(row[-1], "")] for row in told.rows]
    put(folder / f"{run.key}.js", run.key, {"rows": listed, "said": told.said})


def _entry(run: Run, told: rows.Samples) -> dict[str, Json]:
    spec = run.record.spec
    best, _ = overview.best(run.record)
    return {
        "key": run.key,
        "label": run.label,
        "model": spec.model,
        "benchmark": spec.benchmark,
        "step": spec.step,
        "headline": run.record.headline,
        "shown": [best.value, best.low, best.high] if best is not None else [None, None, None],
        "protocols": list(told.protocols),
        "tags": list(told.tags),
        "chunk": rows.CHUNK,
        "count": len(told.rows),
    }


def _run_page(run: Run, told: rows.Samples) -> dict[str, Any]:
    record = run.record
    every = [each for chunk in told.details for detail in chunk.values() for each in detail["scores"]]
    lacking = Counter(each["reason"] or "no reason is given" for each in every if each["value"] is None)
    first = told.protocols[0] if told.protocols else ""
    failed = Counter(
        line
        for each in every
        if each["protocol"] == first and each["value"] is not None and each["value"] < 1
        for line in each["reason"].splitlines()[:1]
    )
    kept = {key: each for key, each in record.metrics.items() if key + PART not in record.metrics}
    groups: dict[str, list[tuple[str, Metric]]] = {}
    for key, each in sorted(kept.items(), key=lambda pair: not pair[0].startswith(record.headline or "\0")):
        protocol, _, rest = key.partition("/")
        groups.setdefault(protocol, []).append((rest or key, each))
    top = max((each.high or each.value or 0 for each in kept.values()), default=1) or 1
    cards = {"model": record.spec.model_card, "suite": record.spec.benchmark_card}
    cards["observer"] = record.spec.observer_card
    return {
        "run": run,
        "groups": groups,
        "best": overview.best(record)[0],
        "named": overview.best(record)[1],
        "number": overview.number,
        "interval": overview.interval,
        "top": 1 if top <= 1 else 100 if top <= 100 else top,
        "digits": 4 if top <= 1 else 2,
        "marks": [*marks(record), *asides(record)],
        "lacking": lacking.most_common(20),
        "failed": failed.most_common(12),
        "asked": {line: urlencode({"run": run.key, "verdict": "wrong", "text": line[:120]}) for line in failed},
        "cards": cards,
        "said": told.said,
        "command": (run.folder / "asked.json").is_file()
        and f"janus-eval run --again {shlex.quote(str(run.folder))} -o elsewhere",
    }
