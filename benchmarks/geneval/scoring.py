"""From verdicts to GenEval's numbers, as the official summary_scores.py makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...evals import stats
from ...evals.stats import Estimate
from ...evals.types import Score
from . import prompts


@dataclass(frozen=True, slots=True)
class Result:
    """One picture's verdict (None: none) under its task; `prompt` is what pictures of one prompt share."""

    task: str
    prompt: str
    value: float | None
    why: str = ""


def estimates(results: Sequence[Result]) -> dict[str, Estimate]:
    """Return the numbers of the official summary_scores.py, tasks in the order in which papers print them."""
    tasks: dict[str, list[Result]] = {}
    for each in results:
        tasks.setdefault(each.task, []).append(each)
    order = {name: number for number, name in enumerate(prompts.TASKS)}
    names = sorted(tasks, key=lambda name: order.get(name, len(order)))
    means = {f"official/{name}": _share(tasks[name]) for name in names}
    best: dict[str, Result] = {}
    for each in results:
        if each.value is not None and each.value >= (best[each.prompt].value or 0.0 if each.prompt in best else 0.0):
            best[each.prompt] = each
    absent = [name for name in prompts.TASKS if name not in tasks]
    everything = {
        "official/overall": stats.average(means.values()),
        **means,
        "official/correct_images": _share(results),
        "official/correct_prompts": replace(_share(list(best.values())), absent=_lost(results)),
    }
    partial = ("official/overall", "official/correct_images", "official/correct_prompts")
    return {key: stats.lacking(each, absent if key in partial else ()) for key, each in everything.items()}


def _share(results: Sequence[Result]) -> Estimate:
    """Return the share of correct pictures among those with a verdict; the others are absent."""
    known = [(each.value, each.prompt) for each in results if each.value is not None]
    mean = stats.mean([value for value, _ in known], [prompt for _, prompt in known])
    return replace(mean, absent=_lost(results))


def _lost(results: Sequence[Result]) -> dict[str, int]:
    return stats.lost(Score("", 0, "", each.value, reason=each.why) for each in results)
