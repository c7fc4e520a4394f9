"""UniGenBench's toy rows: things and colours, the checkpoints' descriptions being questions."""

from __future__ import annotations

import json
from random import Random

from .tables import SEED, Row
from .world import COLOR_NAMES, NAMES, with_article

_KINDS = (
    *("Style", "World Knowledge", "Attribute - Color", "Action - State", "Relationship - Composition"),
    *("Compound - Feature Matching", "Grammar - Consistency", "Entity Layout - Two-Dimensional Space"),
    *("Logical Reasoning", "Text Generation"),
)
_CHINESE = (
    *("风格", "世界知识", "属性-颜色", "动作-状态", "关系-构成关系", "复合考点-不同实体特征匹配"),
    *("语法-统一性", "实体布局-二维空间", "逻辑推理", "文本生成"),
)
"""The same kinds in the makers' Chinese."""


def rows(suite: str = "unigenbench", count: int = 30) -> list[Row]:
    """Return rows with two or three checkpoints each, three things at length; every dimension has some.

    Where the suite is Chinese the kinds are: the toy knows no Chinese, so prompts and questions stay English.
    """
    chinese = "_cn" in suite
    language = "zh" if chinese else "en"
    called = _CHINESE if chinese else _KINDS
    things = 3 if suite.endswith("_long") else 2
    rng = Random(f"{SEED}/{suite}")
    found: list[Row] = []
    for number in range(count):
        names, colors = rng.sample(NAMES, things), rng.sample(COLOR_NAMES, things)
        shown = [with_article(f"{color} {name}") for name, color in zip(names, colors, strict=True)]
        meant = [f"Is the {name} {color}?" for name, color in zip(names, colors, strict=True)]
        meant += [f"Is there {with_article(names[1])}?"] if number % 2 else []
        kinds = [called[(number + 3 * place) % len(called)] for place in range(len(meant))]
        keys = (
            ("一级垂类", "考点", "考点对应描述")
            if chinese
            else ("Primary Categories", "Testpoints", "Testpoint Description")
        )
        told = json.dumps(dict(zip(keys, ("toy", kinds, meant), strict=True)))
        prompt = f"a photo of {' and '.join(shown)}"
        found.append({"index": number, f"prompt_{language}": prompt, f"sub_dims_{language}": told})
    return found
