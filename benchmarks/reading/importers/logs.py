"""inspect_ai's eval logs as JSON, and evalscope's predictions and reviews: a sample, its choices, a model's message.

UKGovernmentBEIS/inspect_ai 499e6152, log/_log.py EvalSample; modelscope/evalscope fde259d2, api/evaluator/cache.py
ModelResult and ReviewResult, and what its adapters of POPE, MMBench and MMMU keep as metadata.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ....evals.types import Json
from ..rows import Row
from .form import Form, has, inner, said


def _inspect(row: Row, suite: str) -> Row:
    fields, known = row.fields, _metadata(row.fields.get("metadata"))
    target = fields.get("target")
    answer = target[0] if isinstance(target, list) and len(target) == 1 else target
    response = fields["output"].get("completion") if isinstance(fields["output"], dict) else None
    if response == "" and inner(fields, "output", "choices") == []:
        response = None  # no model answered
    if response is None:
        response = said(inner(fields, "output", "choices", 0, "message", "content"))
    # inspect asks for a line "ANSWER: X" and reads that line.
    known = {"id": fields["id"], "answer": answer, "options": fields.get("choices"), **known}
    return replace(
        row,
        fields={
            **known,
            "question": _question(fields.get("input")),
            "response": response,
            "error": fields.get("error"),
            "stop_reason": inner(fields, "output", "choices", 0, "stop_reason"),
            "model": inner(fields, "output", "model") or None,
        },
    )


def _question(value: Json) -> Json:
    """Return what a user asked: a text, or the last message of the user's."""
    if not isinstance(value, list):
        return value
    return next((said(inner(each, "content")) for each in reversed(value) if inner(each, "role") == "user"), None)


def _predicted(row: Row, suite: str) -> Row:
    known = _metadata(row.fields.get("metadata"))
    known.setdefault("id", row.fields.get("index"))
    response = said(inner(row.fields["model_output"], "choices", 0, "message", "content"))
    return replace(
        row,
        fields={
            **known,
            "question": _question(row.fields.get("messages")),
            "response": response,
            "error": inner(row.fields, "model_output", "error"),
            "stop_reason": inner(row.fields, "model_output", "choices", 0, "stop_reason"),
            "model": row.fields.get("model"),
        },
    )


def _reviewed(row: Row, suite: str) -> Row:
    score = row.fields["sample_score"]
    known = _metadata(inner(score, "sample_metadata"))
    known.setdefault("id", row.fields.get("index"))
    known.setdefault("answer", row.fields.get("target"))
    return replace(row, fields={**known, "response": inner(score, "score", "prediction")})


def _metadata(value: Json) -> dict[str, Json]:
    return dict(value) if isinstance(value, dict) else {}


FORMS: Final = (
    Form("inspect's eval log ({})", has("id", "input", "target", "output"), _inspect),
    Form(
        "evalscope's predictions ({})",
        has("index", "model_output"),
        _predicted,
        "evalscope's predictions of it have no right answers: give its reviews, or the suite's data with --data PATH",
    ),
    Form("evalscope's reviews ({})", has("index", "sample_score"), _reviewed),
)
