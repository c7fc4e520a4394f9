"""A small table of each suite with all that its rows can hold: question, right answer, a response."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.mm_vet.benchmark import MmVet
from janus_eval.benchmarks.mmbench.benchmark import MmBench
from janus_eval.benchmarks.mme import Mme
from janus_eval.benchmarks.mmmu.benchmark import Mmmu
from janus_eval.benchmarks.pope import Pope
from janus_eval.benchmarks.seed_bench import SeedBench
from PIL import Image

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A suite, its rows, and the columns that only answers have."""

    suite: Any
    rows: list[Row]
    of_answers: tuple[str, ...] = ("response",)


def _png() -> str:
    buffer = io.BytesIO()
    Image.effect_noise((40, 40), 50).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PNG = _png()


def pope() -> list[Row]:
    says = ("Yes, there is.", "no", "it is not", "maybe", "Yes", "No.")
    splits = ("random", "popular", "adversarial,random")
    return [
        {
            "index": number,
            "category": splits[number % 3],
            "question": f"Is there a {thing} in the image? Please answer yes or no.",
            "answer": ("yes", "No")[number % 2],
            "image_source": f"p{number // 2}",
            "response": says[number % 6],
        }
        for number, thing in enumerate(("cat", "dog", "cup", "bus", "bed", "hat", "egg", "car"))
    ]


def mme() -> list[Row]:
    pairs = (("color", "a.jpg"), ("color", "b.jpg"), ("OCR", "a.jpg"), ("code_reasoning", "c.png"))
    says = ("Yes", "no", "Noo", "eyes", "y", "yes, it is", "not", "No.")
    return [
        {
            "category": category,
            "image_path": f"{category}/{image}",
            "question": f"Is it {word} in {image}? Please answer yes or no.",
            "answer": answer,
            "response": says[2 * at + half],
        }
        for at, (category, image) in enumerate(pairs)
        for half, (word, answer) in enumerate((("red", "Yes"), ("blue", "No")))
    ]


def mmbench() -> list[Row]:
    fruit = ("apple", "banana", "cherry", "durian")
    says = ("B", "a banana", "(C)", "D", "none", "B.", "C or D", "A")
    return [
        {
            "index": question + roll * 1_000_000,
            "question": f"Which fruit {question}?",
            "hint": ("nan", "a hint", "", "none")[question % 4],
            **{"ABCD"[(at + roll) % 4]: each for at, each in enumerate(fruit)},
            "answer": "ABCD"[(1 + roll) % 4],
            "category": ("colour", "None", "shape")[question % 3],
            "l2-category": ("perception", "nan", "logic")[question % 3],
            "response": says[(3 * question + roll) % 8] if question else "ABCD"[(1 + roll) % 4],
        }
        for question in range(3)
        for roll in range(4)
    ]


def seed_bench() -> list[Row]:
    says = ("A", "B.", "c", "D", "the dog", "B", "A", "C")
    rows = [
        {
            "question_id": str(100 + number),
            "question": f"What is in picture {number}?",
            **dict(zip("ABCD", ("a cat", "a dog", "a cup", "a bus"), strict=True)),
            "answer": "ABCD"[number % 4],
            "question_type_id": 1 + number % 3,
            "data_id": f"d{number}",
            "hint": "",
            "response": says[number],
        }
        for number in range(7)
    ]
    return [*rows, {**rows[3], "question": "And who is there?", "answer": "A", "data_id": "x", "response": "A"}]


def gqa() -> list[Row]:
    says = ("Dog.", "dog", "a dog", "yes", "Red", "no!")
    kinds = ("query", "verify", "choose")
    return [
        {
            "id": f"2013{number}",
            "question": f"What is it {number}?",
            "answer": ("dog", "yes", "red")[number % 3],
            "imageId": f"n{number // 2}",
            "types": {"structural": kinds[number % 3]},
            "isBalanced": True,
            "response": says[number % 6],
        }
        for number in range(8)
    ]


def mmmu() -> list[Row]:
    says = ("A", "The answer is (B).", "?", "", "C D", "x", "Answer: 4", "no idea")
    rows: list[Row] = []
    for number in range(12):
        subject = ("Art", "Math", "Design")[number % 3]
        row: Row = {"id": f"validation_{subject}_{number}", "question": f"Which {number}?"}
        if number % 4 == 3:
            row |= {"question_type": "open", "options": "[]", "answer": "['4', 'four']"}
        else:
            row |= {"question_type": "multiple-choice", "options": "['w', 'x', 'y', 'z']", "answer": "ABCD"[number % 4]}
            row |= {"all_choices": ["A", "B", "C", "D"]}
        rows.append({**row, "hint": "", "split": "validation", "category": subject, "response": says[number % 8]})
    return rows


def mm_vet() -> list[Row]:
    return [
        {
            "id": f"v1_{number}",
            "capability": (["rec"], ["ocr", "rec"], "math,ocr")[number % 3],
            "question": f"What {number}?",
            "answer": "a cat",
            "response": "a dog",
            "grades": [[1.0, 0.5], [0.0, 0.2], [0.7, 0.7]][number % 3],
        }
        for number in range(7)
    ]


TABLES: dict[str, Callable[[], Table]] = {
    "pope": lambda: Table(Pope, pope()),
    "mme": lambda: Table(Mme, mme()),
    "mmbench": lambda: Table(MmBench, mmbench()),
    "seed_bench": lambda: Table(SeedBench, seed_bench()),
    "gqa": lambda: Table(Gqa, gqa()),
    "mmmu": lambda: Table(Mmmu, mmmu()),
    "mm_vet": lambda: Table(MmVet, mm_vet(), ("response", "grades")),
}


def data_of(table: Table) -> list[Row]:
    """Return a table's rows as a data set has them: with a picture, without answers."""
    return [{**{k: v for k, v in row.items() if k not in table.of_answers}, "image": PNG} for row in table.rows]
