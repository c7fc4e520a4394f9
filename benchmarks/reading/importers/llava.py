"""LLaVA: answers/*.jsonl (question_id, prompt, text, answer_id, model_id) and the question files that it asks.

haotian-liu/LLaVA c121f043, eval/model_vqa_loader.py and eval/model_vqa_mmbench.py. Many harnesses write the same.
"""

from __future__ import annotations

from typing import Final

from .form import Form, has

_ANSWERED: Final = frozenset(("label", "answer", "response"))

FORMS: Final = (
    Form(
        "LLaVA's answers ({})",
        lambda fields: has("question_id", "text")(fields) and ("answer_id" in fields or "model_id" in fields),
        lacks="it has no right answers: give the suite's questions and answers with --data PATH",
    ),
    Form(
        "LLaVA's answers for GQA ({})",
        lambda fields: set(fields) == {"questionId", "prediction"},
        lacks="it has no right answers: give testdev_balanced_questions.json with --data PATH",
    ),
    Form(
        "a question file ({})",
        lambda fields: (
            has("question_id", "image", "text")(fields) and not {"label", "answer", "response"} & set(fields)
        ),
        lacks="questions without right answers or a model's: those that LLaVA asks",
    ),
)
