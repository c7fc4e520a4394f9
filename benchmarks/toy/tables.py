"""The first nine toy suites as rows in each suite's own schema, made from scenes by seed."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from .dense import NUMBERS, Dense, dense
from .questions import OPEN, YES_NO, Choice, Question, choice, opened, scene, yes_no
from .world import COLOR_NAMES, NAMES, RELATIONS, Scene, draw, with_article

Row = dict[str, Any]
SEED = "toy-test-1"
"""Test rows begin from this text; training uses numbers, so the two never share a scene's seed."""
GENEVAL_EACH = 54  # as many as there are different counting prompts: 18 things, two to four of them


def picture(seen: Scene) -> str:
    """Return the scene's PNG in base64."""
    buffer = io.BytesIO()
    draw(seen).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def tempting(seen: Scene) -> list[str]:
    """Return the names and colours that tempt: those of what a scene shows."""
    return [*(thing.name for thing in seen.things), *(thing.color for thing in seen.things)]


def drawn(rng: Random, make: Callable[[Random, Scene], Any]) -> tuple[Scene, Any]:
    """Return a scene and what `make` asks about it; scenes that allow no such question are passed over."""
    while True:
        seen = scene(rng)
        made = make(rng, seen)
        if made is not None:
            return seen, made


# -- GenEval and DPG-Bench ----------------------------------------------------------------------------


def geneval() -> list[Row]:
    """Return GenEval metadata: the official tasks, phrases and choices over this world's things.

    As the official generator, but drawn until 54 different prompts a task stand (single_object: each thing once).
    """
    rng = Random(f"{SEED}/geneval")
    rows: list[Row] = []
    makers = (_two_object, _counting, _colors, _position, _color_attr)
    for name in rng.sample(NAMES, len(NAMES)):
        rows.append({"tag": "single_object", "include": [_one(name)], "prompt": f"a photo of {with_article(name)}"})
    for make in makers:
        found: dict[str, Row] = {}
        while len(found) < GENEVAL_EACH:
            row = make(rng)
            found.setdefault(json.dumps(row), row)
        rows += found.values()
    return rows


def _one(name: str, **more: Any) -> Row:
    return {"class": name, "count": 1, **more}


def _two_object(rng: Random) -> Row:
    a, b = rng.sample(NAMES, 2)
    prompt = f"a photo of {with_article(a)} and {with_article(b)}"
    return {"tag": "two_object", "include": [_one(a), _one(b)], "prompt": prompt}


def _counting(rng: Random) -> Row:
    name, count = rng.choice(NAMES), rng.randint(2, 4)
    include, exclude = [{"class": name, "count": count}], [{"class": name, "count": count + 1}]
    prompt = f"a photo of {NUMBERS[count]} {name}s"
    return {"tag": "counting", "include": include, "exclude": exclude, "prompt": prompt}


def _colors(rng: Random) -> Row:
    name, color = rng.choice(NAMES), rng.choice(COLOR_NAMES)
    prompt = f"a photo of {with_article(f'{color} {name}')}"
    return {"tag": "colors", "include": [_one(name, color=color)], "prompt": prompt}


def _position(rng: Random) -> Row:
    (a, b), relation = rng.sample(NAMES, 2), rng.choice(RELATIONS)
    prompt = f"a photo of {with_article(a)} {relation} {with_article(b)}"
    return {"tag": "position", "include": [_one(b), _one(a, position=[relation, 0])], "prompt": prompt}


def _color_attr(rng: Random) -> Row:
    (a, b), (c, d) = rng.sample(NAMES, 2), rng.sample(COLOR_NAMES, 2)
    prompt = f"a photo of {with_article(f'{c} {a}')} and {with_article(f'{d} {b}')}"
    return {"tag": "color_attr", "include": [_one(a, color=c), _one(b, color=d)], "prompt": prompt}


def dpg_bench(items: int = 40) -> list[Row]:
    """Return DPG-Bench's nine columns: dense prompts, each with a dependency graph of yes/no questions."""
    rng = Random(f"{SEED}/dpg")
    rows: list[Row] = []
    for number in range(items):
        wish = dense(rng)
        for index, (parents, broad, detailed, words, question) in enumerate(_graph(wish), 1):
            rows.append(
                {
                    "item_id": f"toy{number}",
                    "text": wish.prompt,
                    "keywords": words,
                    "proposition_id": index,
                    "dependency": ",".join(map(str, parents)) or "0",
                    "category_broad": broad,
                    "category_detailed": detailed,
                    "tuple": f"{broad} - {detailed} ({words})",
                    "question_natural_language": question,
                }
            )
    return rows


def _graph(wish: Dense) -> Iterator[tuple[Sequence[int], str, str, str, str]]:
    """Yield parents, broad and detailed category, keywords and text of each question; wholes come first."""
    for group in wish.groups:
        yield (), "entity", "whole", group.name, f"Is there {with_article(group.name)}?"
    for parent, group in enumerate(wish.groups, 1):
        verb = f"Is the {group.name}" if group.count == 1 else f"Are the {group.name}s"
        yield (parent,), "attribute", "color", f"{group.name}, {group.color}", f"{verb} {group.color}?"
        if group.count > 1:
            number = NUMBERS[group.count]
            yield (parent,), "other", "count", f"{group.name}, =={group.count}", f"Are there {number} {group.name}s?"
    if wish.relation is not None:
        a, b = wish.groups[0].name, wish.groups[1].name
        yield (1, 2), "relation", "spatial", f"{a}, {b}, {wish.relation}", f"Is the {a} {wish.relation} the {b}?"


# -- Understanding ------------------------------------------------------------------------------------


def pope(pictures: int = 50) -> list[Row]:
    """Return POPE rows: for each picture as many no as yes questions a split; equal rows stand once, splits joined.

    The no questions are about absent things: any, the most frequent of the set, the ones met most
    often beside what is shown (random, popular, adversarial).
    """
    rng = Random(f"{SEED}/pope")
    scenes = [scene(rng) for _ in range(pictures)]
    present = [sorted({thing.name for thing in seen.things}) for seen in scenes]
    often = Counter(name for names in present for name in names)
    beside = Counter((a, b) for names in present for a in names for b in names if a != b)
    rows: list[Row] = []
    for number, (seen, names) in enumerate(zip(scenes, present, strict=True)):
        absent = [name for name in NAMES if name not in names]
        by_split = {
            "random": rng.sample(absent, len(names)),
            "popular": sorted(absent, key=lambda name: -often[name])[: len(names)],
            "adversarial": sorted(absent, key=lambda name: -sum(beside[each, name] for each in names))[: len(names)],
        }
        asked: dict[tuple[str, str], list[str]] = {
            (name, "yes"): ["random", "popular", "adversarial"] for name in names
        }
        for split, wrong in by_split.items():
            for name in wrong:
                asked.setdefault((name, "no"), []).append(split)
        shown = picture(seen)
        for (name, answer), splits in asked.items():
            question = f"Is there {with_article(name)} in the image?"
            row = {"index": len(rows), "image": shown, "image_path": f"toy_{number:03d}.png", "question": question}
            rows.append({**row, "answer": answer.capitalize(), "category": ",".join(splits)})
    return rows


def mme(pictures: int = 15) -> list[Row]:
    """Return MME rows of four perception subtasks: a yes and a no question a picture."""
    rng = Random(f"{SEED}/mme")
    rows: list[Row] = []
    for subtask in YES_NO:
        for number in range(pictures):

            def both(rng: Random, seen: Scene, kind: str = subtask) -> tuple[Question, Question] | None:
                yes, no = yes_no(rng, seen, kind, True), yes_no(rng, seen, kind, False)
                return None if yes is None or no is None else (yes, no)

            seen, pair = drawn(rng, both)
            for question in pair:
                row = {"index": len(rows), "image": picture(seen), "image_path": f"{subtask}/toy_{number:03d}.png"}
                row |= {"question": f"{question.text} Please answer yes or no.", "answer": question.answer.capitalize()}
                rows.append({**row, "category": subtask})
    return rows


_MMBENCH: Mapping[str, tuple[str, str]] = {
    "color": ("attribute_recognition", "finegrained_perception (instance-level)"),
    "name": ("object_localization", "finegrained_perception (instance-level)"),
    "count": ("object_localization", "finegrained_perception (instance-level)"),
    "place": ("spatial_relationship", "finegrained_perception (cross-instance)"),
}


def mmbench(each: int = 10, name: str = "mmbench") -> list[Row]:
    """Return MMBench rows: four-option questions, each with its three rolled copies (index + k million)."""
    rng = Random(f"{SEED}/{name}")
    rows: list[Row] = []
    rolled: list[Row] = []
    for number in range(each * len(OPEN)):
        kind = OPEN[number % len(OPEN)]
        seen, made = drawn(rng, lambda rng, seen, kind=kind: choice(rng, seen, kind, 4, tempting(seen)))
        third, second = _MMBENCH[kind]
        for roll in range(4):
            options = [made.options[(place - roll) % 4] for place in range(4)]
            row: Row = {"index": number + roll * 1_000_000, "question": made.text, "hint": ""}
            row |= dict(zip("ABCD", options, strict=True))
            row |= {"answer": "ABCD"[(made.answer + roll) % 4], "category": third}
            row |= {"image": picture(seen) if roll == 0 else str(number), "source": "toy"}
            (rolled if roll else rows).append({**row, "l2-category": second, "comment": "", "split": "dev"})
    return rows + sorted(rolled, key=lambda row: row["index"])


_SEED: Mapping[str, str] = {
    "count": "Instances Counting",
    "color": "Instance Attributes",
    "name": "Instance Identity",
    "place": "Spatial Relation",
}


def seed_bench(each: int = 20) -> list[Row]:
    """Return SEED-Bench rows of four picture types, four options each."""
    rng = Random(f"{SEED}/seed")
    rows: list[Row] = []
    for number in range(each * len(OPEN)):
        kind = OPEN[number % len(OPEN)]
        seen, made = drawn(rng, lambda rng, seen, kind=kind: choice(rng, seen, kind, 4, tempting(seen)))
        row: Row = {"index": number, "image": picture(seen), "question": made.text}
        row |= dict(zip("ABCD", made.options, strict=True))
        rows.append({**row, "answer": made.letter, "category": _SEED[kind]})
    return rows


def gqa(count: int = 80) -> list[Row]:
    """Return GQA rows: a third yes/no questions, the others answered by a name, a colour or a place's thing."""
    rng = Random(f"{SEED}/gqa")
    rows: list[Row] = []
    for number in range(count):
        kind = ("name", "color", "place")[number // 3 % 3]
        if number % 3 == 0:
            asked = rng.choice(("existence", "color", "position"))
            seen, made = drawn(rng, lambda rng, seen, asked=asked: yes_no(rng, seen, asked, rng.random() < 0.5))
        else:
            seen, made = drawn(rng, lambda rng, seen, kind=kind: opened(rng, seen, kind))
        rows.append({"index": number, "image": picture(seen), "question": made.text, "answer": made.answer})
    return rows


_MMMU = (("Math", "count"), ("Art", "color"), ("Design", "name"), ("Geography", "place"))


def mmmu(each: int = 12) -> list[Row]:
    """Return MMMU rows of four subjects; every fourth question is open."""
    rng = Random(f"{SEED}/mmmu")
    rows: list[Row] = []
    for subject, kind in _MMMU:
        for number in range(1, each + 1):
            open_ended = number % 4 == 0
            if open_ended:
                seen, made = drawn(rng, lambda rng, seen, kind=kind: opened(rng, seen, kind))
            else:
                seen, made = drawn(rng, lambda rng, seen, kind=kind: choice(rng, seen, kind, 4, tempting(seen)))
            row: Row = {"index": len(rows), "id": f"validation_{subject}_{number}", "image": picture(seen)}
            row["question"] = f"<image 1> {made.text}"
            options = dict(zip("ABCD", made.options, strict=True)) if isinstance(made, Choice) else {}
            row |= {letter: options.get(letter, "") for letter in "ABCD"}
            row["answer"] = made.letter if isinstance(made, Choice) else made.answer
            row |= {"category": subject, "split": "validation", "topic_difficulty": "Easy", "image_type": "Icons"}
            rows.append({**row, "question_type": "open" if open_ended else "multiple-choice"})
    return rows


_MM_VET = {"count": "math,rec", "color": "rec", "name": "rec", "place": "rec,spat"}


def mm_vet(each: int = 8) -> list[Row]:
    """Return MM-Vet rows: open questions with the capabilities that they need."""
    rng = Random(f"{SEED}/mm_vet")
    rows: list[Row] = []
    for number in range(each * len(OPEN)):
        kind = OPEN[number % len(OPEN)]
        seen, made = drawn(rng, lambda rng, seen, kind=kind: opened(rng, seen, kind))
        row = {"index": f"v1_{number}", "image": picture(seen), "question": made.text, "answer": made.answer}
        rows.append({**row, "category": _MM_VET[kind]})
    return rows
