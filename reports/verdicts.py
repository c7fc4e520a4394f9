"""A gate's result for people and machines: table, JUnit XML, GitHub annotations and step summary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from ..evals.files import disk, write_out
from ..evals.screen import clean
from .compare import decimals, number
from .gate import GateResult, Judged, RunResult, line
from .render import render
from .table import Cell, Format, Group, Head, Row, Table

_WORD = {"pass": "passed", "regression": "FAILED: regression", "incomplete": "FAILED: incomplete"}


def show(result: GateResult, form: Format = "text", *, color: bool = False, width: int | None = None) -> str:
    """Return the result as a table: each run, each metric, its verdict and why."""
    return render([_table(result)], form, color=color, width=width)


def _table(result: GateResult) -> Table:
    heads = (
        Head("metric", "Metric", number=False),
        Head("baseline", "Baseline"),
        Head("run", "Run"),
        Head("difference", "Difference"),
        Head("interval", "95 % interval"),
        Head("found", "Finds", light=1),
        Head("verdict", "Verdict", number=False),
    )
    groups = [Group(f"{run.name}: {_WORD[run.outcome]}", tuple(_rows(run))) for run in result.runs]
    notes = [
        f"False alarms when nothing has changed: at most {result.alpha:.0%} over all verdicts. "
        "Finds: the smallest true drop that this test finds 4 times in 5.",
    ]
    notes += [f"{run.name}: {run.signature}" for run in result.runs]
    signatures = tuple(run.signature for run in result.runs)
    title = f"Gate {_WORD[result.outcome]}"
    return Table("gate", title, heads, tuple(groups), tuple(notes), signatures=signatures)


def _rows(run: RunResult) -> list[Row]:
    rows = [Row((Cell("-"), *[Cell("-")] * 5, Cell(run.problem)))] if run.problem else []
    return rows + [_row(each) for each in run.metrics]


def _row(judged: Judged) -> Row:
    difference = judged.difference
    said = judged.verdict + (f" ({judged.reason})" if judged.reason else "")
    if judged.tolerance:
        said += f", {judged.tolerance:g} forgiven"
    places = decimals(judged.before, judged.after)
    values = [Cell(number(each, places), each) for each in (judged.before, judged.after)]
    if difference is None:
        return Row((Cell(judged.metric), *values, Cell("-"), Cell("-"), Cell("-"), Cell(said)))
    moved, low, high = (number(each, places, sign=True) for each in (difference.value, difference.low, difference.high))
    finds = judged.tolerance + difference.falling(judged.level) if judged.level and difference.deviation else None
    cells = (Cell(moved, difference.value), Cell(f"[{low}, {high}]"), Cell(number(finds, places), finds))
    return Row((Cell(judged.metric), *values, *cells, Cell(said)))


# -- machines -----------------------------------------------------------------------------------------


def junit(result: GateResult) -> str:
    """Return JUnit XML: a suite and a case a run, failed or in error once, with its metrics listed inside."""
    root = ElementTree.Element("testsuites", name="janus-eval gate")
    for run in result.runs:
        model, _, bench = run.name.rpartition(" on ")
        suite = ElementTree.SubElement(root, "testsuite", name=clean(run.name))
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="signature", value=clean(run.signature))
        case = ElementTree.SubElement(suite, "testcase", classname=clean(model), name=clean(bench))
        kind = {"regression": "failure", "incomplete": "error"}.get(run.outcome)
        if kind is not None:
            told = [run.problem] if run.problem else [line(each) for each in run.metrics if _stops(run, each)]
            more = f"; {len(told) - 1} more" if len(told) > 1 else ""
            found = ElementTree.SubElement(case, kind, message=clean(told[0] + more), type=run.outcome)
            found.text = "\n".join(map(clean, told))
        ElementTree.SubElement(case, "system-out").text = "\n".join(clean(line(each)) for each in run.metrics)
        for each in (suite, case):
            each.attrib.update({} if run.seconds is None else {"time": f"{run.seconds:.3f}"})
        suite.attrib.update(_counts([run]))
    root.attrib.update(_counts(result.runs))
    times = [run.seconds for run in result.runs if run.seconds is not None]
    root.attrib.update({"time": f"{sum(times):.3f}"} if times else {})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _counts(runs: Sequence[RunResult]) -> dict[str, str]:
    outcomes = [run.outcome for run in runs]
    counts = {"tests": len(runs), "failures": outcomes.count("regression"), "errors": outcomes.count("incomplete")}
    return {key: str(count) for key, count in counts.items()}


def _stops(run: RunResult, judged: Judged) -> bool:
    """Say whether this metric is a reason why its run does not pass."""
    return judged.verdict == "regression" or _is_error(run, judged)


def _is_error(run: RunResult, judged: Judged) -> bool:
    withheld = judged.verdict == "not comparable" and judged.metric == run.headline
    return judged.verdict == "incomplete" or withheld


def workflow_commands(result: GateResult) -> list[str]:
    """Return GitHub workflow commands: an error for each regression and each run that cannot be judged."""
    found: list[str] = []
    for run in result.runs:
        if run.problem:
            found.append(_command("error", f"janus-eval gate: {run.name}", run.problem))
        for each in run.metrics:
            if _stops(run, each):
                found.append(_command("error", f"janus-eval gate: {run.name}", line(each)))
            elif each.verdict == "improvement":
                found.append(_command("notice", f"janus-eval gate: {run.name}", line(each)))
    return found


def _command(kind: str, title: str, message: str) -> str:
    """Return one workflow command, escaped as actions/toolkit's core does (%, line ends; : and , in the title)."""
    body = clean(message).replace("%", "%25")
    head = clean(title).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={head}::{body}"


def step_summary(result: GateResult) -> None:
    """Append the markdown to the file that GitHub names in GITHUB_STEP_SUMMARY; nothing elsewhere."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if name:
        put(Path(name), show(result, "markdown") + "\n\n", append=True)


def put(path: Path, text: str, *, append: bool = False) -> None:
    """Write or append a text file. Raises EnvironmentProblem where that fails."""
    if not append:
        write_out(path, text.encode())
        return
    with disk(path), path.open("a", encoding="utf-8") as file:
        file.write(text)


def comment(result: GateResult) -> str:
    """Return a markdown comment for a pull request: the table, folded where all is well."""
    body = show(result, "markdown")
    if result.outcome == "pass":
        body = f"<details><summary>Gate passed</summary>\n\n{body}\n\n</details>"
    return body + "\n"
