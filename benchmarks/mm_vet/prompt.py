"""MM-Vet's grading prompt and how the official evaluator reads the grades.

The prompt is a protocol string, carried over as data: yuweihao/MM-Vet acde843,
mm-vet_evaluator.py (Apache-2.0). The reading and re-asking are a port of the same script.
"""

from __future__ import annotations

from collections.abc import Sequence

TABLE = """\
Compare the ground truth and prediction from AI models, to give a correctness score for the prediction. <AND> \
in the ground truth means it is totally right only when all elements in the ground truth are present in the \
prediction, and <OR> means it is totally right when any one element in the ground truth is present in the \
prediction. The correctness score is 0.0 (totally wrong), 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, or 1.0 \
(totally right). Just complete the last space of the correctness score.

Question | Ground truth | Prediction | Correctness
--- | --- | --- | ---
What is x in the equation? | -1 <AND> -5 | x = 3 | 0.0
What is x in the equation? | -1 <AND> -5 | x = -1 | 0.5
What is x in the equation? | -1 <AND> -5 | x = -5 | 0.5
What is x in the equation? | -1 <AND> -5 | x = -5 or 5 | 0.5
What is x in the equation? | -1 <AND> -5 | x = -1 or x = -5 | 1.0
Can you explain this meme? | This meme is poking fun at the fact that the names of the countries Iceland and \
Greenland are misleading. Despite its name, Iceland is known for its beautiful green landscapes, while \
Greenland is mostly covered in ice and snow. The meme is saying that the person has trust issues because the \
names of these countries do not accurately represent their landscapes. | The meme talks about Iceland and \
Greenland. It's pointing out that despite their names, Iceland is not very icy and Greenland isn't very green. \
| 0.4
Can you explain this meme? | This meme is poking fun at the fact that the names of the countries Iceland and \
Greenland are misleading. Despite its name, Iceland is known for its beautiful green landscapes, while \
Greenland is mostly covered in ice and snow. The meme is saying that the person has trust issues because the \
names of these countries do not accurately represent their landscapes. | The meme is using humor to point out \
the misleading nature of Iceland's and Greenland's names. Iceland, despite its name, has lush green landscapes \
while Greenland is mostly covered in ice and snow. The text 'This is why I have trust issues' is a playful way \
to suggest that these contradictions can lead to distrust or confusion. The humor in this meme is derived from \
the unexpected contrast between the names of the countries and their actual physical characteristics. | 1.0
"""
"""The instruction and the seven examples; the question's row follows on a line of its own."""

AGAIN = "\nPredict the correctness of the answer (digit): "
"""What is put behind the prompt when a reply could not be read."""

MAX_TOKENS = 3
CALLS = 6
"""The official script asks at most six times and never reads the sixth reply."""


def prompt(question: str, answer: str, prediction: str) -> str:
    """Return the grader's prompt; <AND> and <OR> in the answer get a space on both sides."""
    expected = answer.replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    return f"{TABLE}\n{question} | {expected} | {prediction} | "


def read_grade(reply: str) -> float | None:
    """Return the grade in a reply as the official script reads it, or None where it asks again.

    The part before the first space is read as a number; what lies outside 0 to 1 is refused, but
    "nan" passes.
    """
    try:
        grade = float(reply.split(" ")[0].strip())
    except ValueError:
        return None
    return None if grade < 0 or grade > 1 else grade


def official_grade(replies: Sequence[str]) -> float:
    """Return what the official script makes of a judgement's replies: 0 where none could be read."""
    grades = [read_grade(reply) for reply in replies[: CALLS - 1]]
    return next((grade for grade in grades if grade is not None), 0.0)
