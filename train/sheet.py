"""Sixteen pictures of a GenEval run with what the detector saw in them: `python train/sheet.py RUN --to FILE.png`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from janus_eval.evals import store
from PIL import Image, ImageDraw

SCALE = 3


def rows(folder: Path) -> dict[tuple[str, int], dict[str, list[list[float]]]]:
    """Return the boxes of every judged picture by sample and index."""
    found: dict[tuple[str, int], dict[str, list[list[float]]]] = {}
    for path in sorted((folder / "evidence").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            row = row.get("row", row)
            found[row["sample_id"], row["index"]] = row["data"]["boxes"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    boxes = rows(args.run)
    verdicts = {(score.sample_id, score.index): score.value for score in store.read_scores(args.run)}
    side, line = 64 * SCALE, 30
    sheet = Image.new("RGB", (4 * (side + 8), 4 * (side + line)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, key in enumerate(sorted(Random(args.seed).sample(sorted(verdicts), 16))):
        name, index = key
        folder = args.run / "images" / name
        prompt = json.loads((folder / "metadata.jsonl").read_text())["prompt"].removeprefix("a photo of ")
        picture = Image.open(folder / "samples" / f"{index:04d}.png").convert("RGB")
        x, y = place % 4 * (side + 8), place // 4 * (side + line)
        sheet.paste(picture.resize((side, side), Image.Resampling.NEAREST), (x, y))
        for label, found in boxes[key].items():
            for x0, y0, x1, y1, score in found:
                if score > 0.3:
                    corners = (x + x0 * SCALE, y + y0 * SCALE, x + x1 * SCALE - 1, y + y1 * SCALE - 1)
                    draw.rectangle(corners, outline="magenta")
                    draw.text((corners[0] + 2, corners[1]), f"{label} {score:.2f}", fill="magenta")
        mark = "right" if verdicts[key] else "WRONG"
        draw.text((x + 2, y + side + 2), f"{prompt}\n{mark}", fill="black")
    sheet.save(args.to, optimize=True)


if __name__ == "__main__":
    main()
