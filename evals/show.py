"""What `janus-eval show` prints: a run, its failures, or everything known of one sample."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from .errors import UsageError
from .store import read_lines, read_record, read_scores, record_to_json
from .types import Json, Score


def show(folder: Path, *, sample: str | None, failed: bool, as_json: bool) -> str:
    """Return the text for `show RUN [--id SAMPLE] [--failed] [--json]`."""
    record = read_record(folder)
    if sample is not None:
        known = one_sample(folder, sample)
        return json.dumps(known, indent=2, ensure_ascii=False) if as_json else _sample_text(known)
    if failed:
        rows = [each for each in read_scores(folder) if each.value is None or each.value < 1]
        if as_json:
            return json.dumps([asdict(each) for each in rows], ensure_ascii=False)
        return "\n".join(map(_score_line, rows)) or "every sample was correct"
    if as_json:
        return json.dumps(record_to_json(record) | {"environment": dict(record.environment)}, indent=2)
    from ..reports.summary import run_summary

    cards = {"model": record.spec.model_card, "benchmark": record.spec.benchmark_card}
    cards["observer"] = record.spec.observer_card
    knobs = [f"  {who}.{key} = {value}" for who, card in cards.items() for key, value in sorted(card.items())]
    return "\n".join([run_summary(record, folder), "", "knobs:", *knobs])


def one_sample(folder: Path, sample: str) -> dict[str, Json]:
    """Return predictions, evidence and scores of one sample (`ID` or `ID/INDEX`)."""
    scores = read_scores(folder)
    ids = {each.sample_id for each in scores}
    wanted, index = (sample, None) if sample in ids else _split(sample)
    if wanted not in ids:
        from .plan import nearest

        near = nearest(sample, ids)
        raise UsageError(f"{folder} has no sample {sample!r}" + (f"; did you mean {near!r}?" if near else ""))

    def mine(row: dict[str, Json]) -> bool:
        return row["sample_id"] == wanted and index in (None, row["index"])

    return {
        "predictions": [row for row in read_lines(folder, "predictions") if mine(row)],
        "evidence": [row for row in read_lines(folder, "evidence") if mine(row)],
        "scores": [row for row in map(asdict, scores) if mine(row)],
    }


def _split(sample: str) -> tuple[str, int | None]:
    head, slash, tail = sample.rpartition("/")
    return (head, int(tail)) if slash and tail.isdigit() else (sample, None)


def _score_line(score: Score) -> str:
    value = "no verdict" if score.value is None else f"{score.value:g}"
    return f"{score.sample_id}/{score.index}  {score.protocol}  {value}  {' '.join(score.reason.split())}"


def _sample_text(known: dict[str, Json]) -> str:
    lines: list[str] = []
    for title, rows in known.items():
        lines.append(f"{title}:")
        for row in rows:
            for key, value in row.items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                if value is not None and value is not False and value not in ("", {}, []):
                    lines.append(f"  {key}: {text if len(text) <= 2000 else text[:2000] + ' ...'}")
            lines.append("")
    return "\n".join(lines)
