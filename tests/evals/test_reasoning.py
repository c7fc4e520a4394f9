"""What thinking models write before their answer: which marks are known, and what is scored."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.benchmarks.mm_vet.benchmark import MmVet
from janus_eval.benchmarks.pope import Pope
from janus_eval.evals.commands.cli import main
from janus_eval.evals.evaluation import evaluate
from janus_eval.evals.reasoning import answer_after
from janus_eval.evals.types import Job
from support.predictions import lines, value, write, write_tsv
from support.suite_rows import PNG


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes.", "Yes."),
        (" Yes \n", " Yes \n"),
        ("<think>no, not</think>\n\nYes.", "Yes."),
        ("<THINK>no</THINK>Yes", "Yes"),
        ("no, not</think>Yes", "Yes"),  # the chat template wrote the opening mark
        ("<think>a</think>B<think>c</think>D", "D"),
        ("<think></think>", None),  # nothing was answered: POPE would read a yes
        ("<think>no</think> \u200b\n", None),
        ("<think>no, not", None),
        ("<think>a</think>Yes <think>but", None),
        ("<thinking>x</thinking>C", "C"),
        ("<reasoning>x</reasoning>C", "C"),
        ("<reflection>x</reflection>C", "C"),
        ("<scratchpad >x</ scratchpad>C", "C"),
        ("<analysis>x</analysis><score>[1]</score>", "<analysis>x</analysis><score>[1]</score>"),
        ("<|begin_of_thought|>x<|end_of_thought|>C", "C"),
        ("◁think▷x◁/think▷C", "C"),
        ("[THINK]x[/THINK]C", "C"),
        ("<seed:think>x</seed:think>C", "C"),
        ("<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>C", "C"),
        ("I think </b> it is C", "I think </b> it is C"),
    ],
)
def test_the_answer_is_what_follows_the_last_closing_mark(text: str, answer: str | None) -> None:
    assert answer_after(text) == answer


def row(number: int, answer: str, said: str) -> dict[str, str]:
    return {"id": str(number), "category": "random", "answer": answer, "response": said}


def test_answers_with_reasoning_are_scored_whole_and_counted_unless_it_is_stripped(tmp_path: Path) -> None:
    rows = [row(at, "yes", "<think>is it? no, not yet</think>\n\nYes.") for at in range(3)] + [row(3, "no", "No.")]
    path = write(tmp_path / "p.jsonl", *rows)
    kept, stripped = Pope().rescore(predictions=path), Pope(reasoning="strip").rescore(predictions=path)
    assert (value(kept, "official/random_accuracy"), value(stripped, "official/random_accuracy")) == (25, 100)
    assert kept.extra["reasoning"] == {"kept": 3, "unclosed": 0}
    assert stripped.extra["reasoning"] == {"stripped": 3, "unclosed": 0}


def test_an_unclosed_block_is_no_answer(tmp_path: Path) -> None:
    rows = [row(0, "yes", "Yes"), row(1, "no", "<think>there is no end to it")]
    scored = Pope(reasoning="strip").rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert scored.unscored == 1 and scored.unparsed == 0
    assert value(scored, "official/random_accuracy") is None
    assert scored.metrics["official/random_accuracy"].absent == ("1 without an answer",)
    assert scored.metrics["official/random_accuracy (part)"].value == 100
    assert lines(scored)[1] == {
        "id": "1",
        "category": "random",
        "read": {},
        "correct": {},
        "reason": "no answer: its reasoning is not closed, or nothing follows it",
    }


def test_reasoning_that_nothing_follows_is_no_answer(tmp_path: Path) -> None:
    rows = [row(0, "yes", "Yes"), row(1, "yes", "<think>No cat here.</think>\n"), row(2, "yes", "<think>no")]
    scored = Pope(reasoning="strip").rescore(predictions=write(tmp_path / "p.jsonl", *rows))
    assert scored.unscored == 2 and value(scored, "official/random_yes_ratio") is None
    assert scored.extra["reasoning"] == {"stripped": 2, "unclosed": 1}


def test_a_judge_is_shown_the_answer_alone(tmp_path: Path) -> None:
    said = {"id": "v1_0", "capability": "rec", "question": "What is it?", "answer": "a cat"}
    path = write(tmp_path / "p.jsonl", {**said, "response": "<think>a cat</think>a dog"})
    assert value(MmVet(reasoning="strip").rescore(predictions=path, judge="rule"), "official/rec") == 0


class Thinker:
    """Thinks of a no and says yes; of the second question it never stops thinking."""

    kinds = frozenset(["text"])
    card = {"weights": "none"}

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, jobs: list[Job]) -> list[str]:
        self.asked += len(jobs)
        return ["<think>maybe no" + ("" if "dog" in job.sample.prompt else " </think>Yes") for job in jobs]


def test_a_run_asks_once_for_both_and_names_what_has_no_answer(tmp_path: Path) -> None:
    head = {"category": "random", "answer": "yes", "image": PNG}
    table = [{"index": at, "question": f"Is there a {each}?", **head} for at, each in enumerate(("cat", "dog"))]
    data = write_tsv(tmp_path / "POPE.tsv", *table)
    model = Thinker()
    kept = evaluate(model, "pope", data=data, output=tmp_path / "runs")
    options = {"reasoning": "strip"}
    found = evaluate(model, "pope", data=data, output=tmp_path / "runs", benchmark_options=options)
    assert model.asked == 2
    assert kept.counts["reasoning_kept"] == 2 and kept.counts["reasoning_unclosed"] == 1 and kept.complete
    assert kept.metrics["official/random_accuracy"].value == 0
    assert found.counts["reasoning_stripped"] == 2 and found.counts["unscored"] == 1 and not found.complete
    assert found.metrics["official/random_accuracy (part)"].value == 100
    assert "b.reasoning:strip" in found.spec.signature and "reasoning" not in kept.spec.signature


def test_a_suite_of_pictures_refuses_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-m", "blank-image", "-b", "geneval", "--reasoning", "strip"]) == 2
    assert "geneval has no option 'reasoning'" in capsys.readouterr().err
