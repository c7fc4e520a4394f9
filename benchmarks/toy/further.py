"""The toy suites beyond the first nine as rows in each suite's own schema, made from scenes by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from .dense import NUMBERS, dense
from .questions import OPEN, choice, opened
from .tables import SEED, Row, drawn, geneval, mmbench, picture, tempting
from .world import COLOR_NAMES, NAMES, with_article


def mmbench_cn() -> list[Row]:
    """Return MMBench-CN rows: other questions than MMBench's, in English, the one language that the toy model knows."""
    return mmbench(6, "mmbench_cn")


_MMSTAR: Sequence[tuple[str, str, str]] = (
    ("coarse perception", "image scene and topic", "name"),
    ("fine-grained perception", "object counting", "count"),
    ("instance reasoning", "single-instance reasoning", "color"),
    ("logical reasoning", "diagram reasoning", "place"),
    ("science & technology", "geography & earth science & agriculture", "place"),
    ("math", "numeric commonsense and calculation", "count"),
)


def mmstar(each: int = 8) -> list[Row]:
    """Return MMStar rows: a part of each of the six capabilities, four options each."""
    rng = Random(f"{SEED}/mmstar")
    rows: list[Row] = []
    for number in range(each * len(_MMSTAR)):
        category, part, kind = _MMSTAR[number % len(_MMSTAR)]
        row = _choice(rng, number, kind)
        rows.append({**row, "category": category, "l2_category": part, "bench": "toy"})
    return rows


def _choice(rng: Random, number: int, kind: str, count: int = 4) -> Row:
    """Return a row of a question with options, as VLMEvalKit's tables have it."""
    seen, made = drawn(rng, lambda rng, seen: choice(rng, seen, kind, count, tempting(seen)))
    options = dict(zip("ABCDEFGHIJ", made.options, strict=False))
    return {"index": number, "image": picture(seen), "question": made.text, **options, "answer": made.letter}


def realworldqa(count: int = 40) -> list[Row]:
    """Return RealWorldQA rows: questions with options, every fourth with a short answer instead."""
    rng = Random(f"{SEED}/realworldqa")
    rows: list[Row] = []
    for number in range(count):
        row = _choice(rng, number, OPEN[number % 3 if number % 4 else 3])
        short = {"A": "", "B": "", "C": "", "D": "", "answer": row[row["answer"]]}
        rows.append(row if number % 4 else {**row, **short})
    return rows


def ai2d(count: int = 40) -> list[Row]:
    """Return AI2D rows: four options, a category of diagram."""
    rng = Random(f"{SEED}/ai2d")
    kinds = [OPEN[number % len(OPEN)] for number in range(count)]
    names = {"count": "foodWebs", "color": "lifeCycles", "name": "partsOfA", "place": "faceDiagram"}
    return [{**_choice(rng, number, kind), "category": names[kind]} for number, kind in enumerate(kinds)]


def chartqa(count: int = 40) -> list[Row]:
    """Return ChartQA rows of its two splits: open questions."""
    rng = Random(f"{SEED}/chartqa")
    splits = ("test_human", "test_augmented")
    return [{**_opened(rng, at, OPEN[at // 2 % len(OPEN)]), "split": splits[at % 2]} for at in range(count)]


_OCRBENCH = (
    *("Regular Text", "Irregular Text", "Artistic Text", "Handwriting", "Digit String", "Non-Semantic Text"),
    *("Scene Text-centric VQA", "Doc-oriented VQA", "Key Information Extraction"),
    "Handwritten Mathematical Expression",
)


def ocrbench(each: int = 4) -> list[Row]:
    """Return OCRBench rows of its ten types: open questions, with a list of right answers."""
    rng = Random(f"{SEED}/ocrbench")
    rows: list[Row] = []
    for number in range(each * len(_OCRBENCH)):
        name = _OCRBENCH[number % len(_OCRBENCH)]
        row = _opened(rng, number, OPEN[number % len(OPEN)])
        kind = name if name in _OCRBENCH[6:9] else f"{name} Recognition"
        rows.append({**row, "answer": str([row["answer"]]), "category": kind})
    return rows


def _opened(rng: Random, number: int, kind: str) -> Row:
    """Return a row of an open question, as VLMEvalKit's tables have it."""
    seen, made = drawn(rng, lambda rng, seen: opened(rng, seen, kind))
    return {"index": number, "image": picture(seen), "question": made.text, "answer": made.answer}


def mmvp(pairs: int = 20) -> list[Row]:
    """Return MMVP rows: a question about a colour, asked of a scene and of it with that thing changed."""
    rng = Random(f"{SEED}/mmvp")
    rows: list[Row] = []
    for _ in range(pairs):
        seen, made = drawn(rng, lambda rng, seen: opened(rng, seen, "color"))
        other = rng.choice(made.others)
        thing = next(each for each in seen.things if f"the {each.name}" in made.text)
        changed = tuple(replace(each, color=other) if each is thing else each for each in seen.things)
        options = dict(zip("AB", rng.sample([made.answer, other], 2), strict=True))
        for shown, answer in ((seen, made.answer), (replace(seen, things=changed), other)):
            letter = next(letter for letter, text in options.items() if text == answer)
            row: Row = {"index": len(rows) + 1, "image": picture(shown), "question": made.text, **options}
            rows.append({**row, "answer": letter})
    return rows


def mmmu_pro(each: int = 10, name: str = "mmmu_pro") -> list[Row]:
    """Return MMMU-Pro rows of three subjects: ten options each."""
    rng = Random(f"{SEED}/{name}")
    rows: list[Row] = []
    for subject, kind in (("Art", "color"), ("Design", "name"), ("Geography", "place")):
        for number in range(1, each + 1):
            row = _choice(rng, len(rows), kind, 10)
            rows.append({"id": f"test_{subject}_{number}", **row, "subject": subject, "topic_difficulty": "Easy"})
    return rows


def mmmu_pro_vision() -> list[Row]:
    """Return rows as MMMU-Pro's screenshots have them, but that the pictures hold no text: nobody can read in them."""
    return [{**row, "question": "placeholder"} for row in mmmu_pro(name="mmmu_pro_vision")]


def mathvista(count: int = 32) -> list[Row]:
    """Return MathVista rows: questions with options, each with the hint that asks for a letter."""
    rng = Random(f"{SEED}/mathvista")
    hint = "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
    rows: list[Row] = []
    for number in range(count):
        row = _choice(rng, number, ("count", "place")[number % 2])
        choices = [row.pop(letter) for letter in "ABCD"]
        lines = [f"({letter}) {text}" for letter, text in zip("ABCD", choices, strict=True)]
        letter = row["answer"]
        row |= {"question": "\n".join([hint, f"Question: {row['question']}", "Choices:", *lines])}
        row |= {"choices": str(choices), "answer": choices["ABCD".index(letter)], "answer_option": letter}
        row |= {"question_type": "multi_choice", "answer_type": "text", "task": "visual question answering"}
        rows.append({**row, "skills": str([("arithmetic reasoning", "geometry reasoning")[number % 2]])})
    return rows


def geneval2(count: int = 40) -> list[Row]:
    """Return GenEval 2's rows: dense prompts, each atom asked about in the makers' forms and right answers.

    An atom is an object, its colour, a number beyond one, a relation, as the makers count them.
    """
    rng = Random(f"{SEED}/geneval2")
    rows: dict[str, Row] = {}
    while len(rows) < count:
        wish = dense(rng)
        asked: list[tuple[str, str, str]] = []
        for group in wish.groups:
            many = group.count > 1
            asked.append((f"How many {group.name}s are in the image?", NUMBERS[group.count], "count"))
            asked.append((f"{'Are' if many else 'Is'} the {group.name}{'s' * many} {group.color}?", "Yes", "attribute"))
            asked.append((f"Is there {with_article(group.name)}?", "Yes", "object"))
        if wish.relation is not None:
            a, b = wish.groups[0].name, wish.groups[1].name
            asked.append((f"Is the {a} {wish.relation} the {b}?", "Yes", "position"))
        atoms = sum(2 + (group.count > 1) for group in wish.groups) + (wish.relation is not None)
        pairs, skills = [[text, answer] for text, answer, _ in asked], [skill for *_, skill in asked]
        row = {"prompt": wish.prompt, "atom_count": atoms, "vqa_list": pairs, "skills": skills}
        rows.setdefault(wish.prompt, row)
    return list(rows.values())


def genai_bench(count: int = 40) -> list[Row]:
    """Return GenAI-Bench's rows: a coloured thing each, of a few of the makers' skills."""
    rng = Random(f"{SEED}/genai_bench")
    skills = (["basic", "attribute"], ["basic", "scene"], ["advanced", "counting"], ["advanced", "negation"])
    pairs = rng.sample([(color, name) for color in COLOR_NAMES for name in NAMES], count)
    return [
        {"prompt": with_article(f"{color} {name}"), "skills": skills[number % len(skills)]}
        for number, (color, name) in enumerate(pairs)
    ]


def t2i_compbench(each: int = 10) -> list[Row]:
    """Return T2I-CompBench's rows: two coloured things each, which are the phrases; categories are names alone."""
    rng = Random(f"{SEED}/t2i_compbench")
    rows: dict[str, Row] = {}
    while len(rows) < 3 * each:
        things = zip(rng.sample(NAMES, 2), rng.sample(COLOR_NAMES, 2), strict=True)
        phrases = [with_article(f"{color} {name}") for name, color in things]
        prompt = " and ".join(phrases)
        category = ("color", "shape", "texture")[len(rows) // each]
        rows.setdefault(prompt, {"prompt": prompt, "category": category, "phrases": phrases})
    return list(rows.values())


_WISE: Sequence[tuple[str, int, int]] = (
    ("Cultural knowledge", 1, 1),
    ("time", 401, 401),
    ("Space", 568, 521),
    ("Biology", 701, 641),
    ("Physical Knowledge", 801, 761),
    ("Chemistry", 901, 881),
)
"""Categories with the first prompt id of each, in WISE and in WISE_Verified."""


def wise(each: int = 5, *, verified: bool = False, suite: str = "wise") -> list[Row]:
    """Return WISE's rows: pictures of one thing or two; the explanation asks what its judge by rule has to see."""
    rng = Random(f"{SEED}/{suite}")
    rows: list[Row] = []
    for number in range(each * len(_WISE)):
        category, first, first_verified = _WISE[number // each]
        things = list(zip(rng.sample(NAMES, 2), rng.sample(COLOR_NAMES, 2), strict=True))[: 1 + number % 2]
        shown = " and ".join(with_article(f"{color} {name}") for name, color in things)
        asked = " ".join(f"Is there {with_article(name)}? Is the {name} {color}?" for name, color in things)
        rows.append(
            {
                "Prompt": f"a photo of {shown}",
                "Explanation": f"This refers to {shown}. {asked}",
                "Category": category,
                "Subcategory": "toy",
                "prompt_id": (first_verified if verified else first) + number % each,
            }
        )
    return rows


def geneval_long(each: int = 12) -> list[Row]:
    """Return GenEval metadata in other words: of the toy's own rows the first of every task."""
    rows: list[Row] = []
    for tag in dict.fromkeys(row["tag"] for row in geneval()):
        rows += [row for row in geneval() if row["tag"] == tag][:each]
    shown = (row["prompt"].removeprefix("a photo of ") for row in rows)
    return [{**row, "prompt": f"The picture shows {phrase}."} for row, phrase in zip(rows, shown, strict=True)]
