"""The toy suites of edits as rows in each suite's own schema: scenes, and what is to be changed in them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from random import Random

from PIL import Image

from .edits import Operation, asked, worded
from .tables import SEED, Row
from .world import Scene, draw

_LARGE = 4
"""How many times as wide as the world's own the pictures are: what a judge is sent as JPEG keeps its colours."""
_GEDIT: Mapping[str, Operation] = {
    "background_change": "ground",
    "color_alter": "recolour",
    "material_alter": "recolour",
    "motion_change": "move",
    "ps_human": "replace",
    "style_change": "grey",
    "subject-add": "add",
    "subject-remove": "remove",
    "subject-replace": "replace",
    "text_change": "replace",
    "tone_transfer": "ground",
}
_IMGEDIT: Mapping[str, Sequence[Operation]] = {
    "add": ("add",),
    "adjust": ("recolour",),
    "extract": ("extract",),
    "replace": ("replace",),
    "remove": ("remove",),
    "background": ("ground",),
    "style": ("grey",),
    "compose": ("remove", "recolour"),
    "action": ("move",),
}


def gedit_bench(language: str = "en", each: int = 3) -> list[Row]:
    """Return GEdit-Bench's rows in one language; Chinese instructions have English names of things."""
    rng = Random(f"{SEED}/gedit_bench/{language}")
    rows: list[Row] = []
    for task, operation in _GEDIT.items():
        for _ in range(each):
            scene, edits = asked(rng, (operation,))
            row: Row = {"key": f"toy{len(rows):04d}", "task_type": task, "instruction_language": language}
            row |= {"instruction": worded(edits, chinese=language == "cn"), "input_image": _picture(scene)}
            rows.append({**row, "Intersection_exist": len(rows) % each != 1})
    return rows


def imgedit_bench(each: int = 4) -> list[Row]:
    """Return ImgEdit-Bench's edits with their pictures."""
    rng = Random(f"{SEED}/imgedit_bench")
    rows: list[Row] = []
    for kind, operations in _IMGEDIT.items():
        for _ in range(each):
            scene, edits = asked(rng, operations)
            row: Row = {"key": str(len(rows) + 1), "prompt": worded(edits), "edit_type": kind}
            rows.append({**row, "image": _picture(scene)})
    return rows


def _picture(scene: Scene) -> str:
    buffer = io.BytesIO()
    small = draw(scene)
    small.resize((_LARGE * small.width, _LARGE * small.height), Image.Resampling.NEAREST).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
