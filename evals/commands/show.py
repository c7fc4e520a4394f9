"""What `janus-eval show` prints: a run, its failures, or everything known of one sample."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from .. import members, registry, screen
from ..errors import EnvironmentProblem, UsageError, hint
from ..files import read_json
from ..stored import iter_scores, lines_of, read_lines, read_record, record_to_json, scores_of
from ..types import Evidence, Json, Prediction, Score


def show(folder: Path, *, sample: str | None, failed: bool, as_json: bool) -> int:
    """Print what `show RUN [--id SAMPLE] [--failed] [--json]` asks for, and return the exit code."""
    record = read_record(folder)
    if sample is not None:
        known = one_sample(folder, sample)
        if as_json:
            screen.machine(screen.as_json(known, indent=2))
        else:
            screen.out(_sample_lines(known))
    elif failed:
        _failed(folder, as_json=as_json)
    elif as_json:
        told = record_to_json(record) | {"environment": dict(record.environment)}
        screen.machine(screen.as_json(told, indent=2))
    else:
        from ...reports.summary import run_summary

        cards = {"model": record.spec.model_card, "benchmark": record.spec.benchmark_card}
        cards["observer"] = record.spec.observer_card
        knobs = [f"  {who}.{key} = {value}" for who, card in cards.items() for key, value in sorted(card.items())]
        screen.out([*run_summary(record, folder), "", "knobs:", *knobs])
    return 0


def _failed(folder: Path, *, as_json: bool) -> None:
    """Print the scores that are not fully right, one at a time."""
    rows = (each for each in iter_scores(folder) if each.value is None or each.value < 1)
    if as_json:
        screen.machine("[")
        for number, each in enumerate(rows):
            screen.machine(f"{',' if number else ''}{screen.as_json(asdict(each))}")
        screen.machine("]")
        return
    none = True
    for each in rows:
        none = False
        screen.out([_score_line(each)])
    if none:
        screen.out(["every sample was correct"])


def pictures(folder: Path, out: Path, *, sample: str | None, failed: bool, count: int) -> int:
    """Write a sheet of a run's pictures with what was seen on them; return how many there are.

    Of one sample all, else `count` spread evenly over the run (over its failures with `failed`).
    Raises UsageError where the benchmark draws nothing.
    """
    record = read_record(folder)
    name = record.spec.benchmark
    benchmark = members.benchmark(registry.create("benchmarks", name, **read_json(folder / "options.json")), name)
    scores = {(each.sample_id, each.index): each for each in iter_scores(folder)}
    wanted = [key for key, each in scores.items() if _is_wanted(each, sample, failed)]
    if not wanted:
        raise UsageError(f"{folder} has no such picture: {'sample ' + repr(sample) if sample else 'none failed'}")
    step = max(1.0, len(wanted) / count)
    chosen = wanted if sample else [wanted[int(number * step)] for number in range(min(count, len(wanted)))]
    samples = {each.id: each for each in benchmark.samples()}
    made = {(row["sample_id"], row["index"]): row for row in read_lines(folder, "predictions")}
    seen = {(row["sample_id"], row["index"]): row for row in read_lines(folder, "evidence")}
    cards = [
        benchmark.draw(samples[key[0]], _prediction(folder, key, made), _evidence(key, seen), scores[key])
        for key in chosen
    ]
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=".part-", suffix=out.suffix)
        os.close(handle)
        try:
            benchmark.sheet(cards).save(name)
            Path(name).chmod(0o644)
            Path(name).replace(out)
        except BaseException:
            Path(name).unlink()
            raise
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(f"cannot write {out}: {error}") from error
    return len(cards)


def _is_wanted(score: Score, sample: str | None, failed: bool) -> bool:
    if sample is not None:
        return sample in (score.sample_id, f"{score.sample_id}/{score.index}")
    return not failed or score.value is None or score.value < 1


def _prediction(folder: Path, key: tuple[str, int], made: Mapping[tuple[str, int], Mapping[str, Json]]) -> Prediction:
    row = made.get(key)
    path = (folder / row["image"]).resolve() if row else None
    if path is not None and not path.is_relative_to(folder.resolve()):
        raise UsageError(f"{folder} names a picture outside of itself: {path}")
    return Prediction(key[0], key[1], "image", image=path)


def _evidence(key: tuple[str, int], seen: Mapping[tuple[str, int], Mapping[str, Json]]) -> Evidence | None:
    row = seen.get(key)
    return None if row is None else Evidence(key[0], key[1], row.get("data"), row.get("error"))


def one_sample(folder: Path, sample: str) -> dict[str, Json]:
    """Return predictions, evidence and scores of one sample (`ID` or `ID/INDEX`)."""
    for wanted, index in ((sample, None), _split(sample)):
        scores = [asdict(each) for each in scores_of(folder, wanted) if index in (None, each.index)]
        if scores:
            found = {stream: lines_of(folder, stream, wanted) for stream in ("predictions", "evidence")}
            kept = {stream: [row for row in rows if index in (None, row["index"])] for stream, rows in found.items()}
            return {**kept, "scores": scores}
    ids = {each.sample_id for each in iter_scores(folder)}
    raise UsageError(f"{folder} has no sample {sample!r}{hint(sample, ids)}")


def _split(sample: str) -> tuple[str, int | None]:
    head, slash, tail = sample.rpartition("/")
    return (head, int(tail)) if slash and tail.isdecimal() and tail.isascii() else (sample, None)


def _score_line(score: Score) -> str:
    value = "no verdict" if score.value is None else f"{score.value:g}"
    return f"{score.sample_id}/{score.index}  {score.protocol}  {value}  {' '.join(score.reason.split())}"


def _sample_lines(known: dict[str, Json]) -> list[str]:
    lines: list[str] = []
    for title, rows in known.items():
        lines.append(f"{title}:")
        for row in rows:
            for key, value in row.items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                if value is not None and value is not False and value not in ("", {}, []):
                    lines.append(f"  {key}: {text if len(text) <= 2000 else text[:2000] + ' ...'}")
            lines.append("")
    return lines
