"""Label a run's drawn pictures by eye, and hold GenEval's observer against the labels.

    python train/label.py sheets RUN --to DIR     numbered pictures without their prompts, and a table to fill in
    python train/label.py compare RUN LABELS.csv  how often classes, counts and colours agree

`train/measure.py` asks the observer about pictures that the world drew; here the pictures are the
model's and the truth is an eye's, so that model and scorer do not share an error. In the table's
last column stand the things of a picture, "red apple, red apple, blue cup", or "nothing"; what
cannot be recognised is "?", which no class stands for.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

from janus_eval.benchmarks.toy.world import COLOR_NAMES, NAMES
from janus_eval.evals.packs import picture
from janus_eval.evals.stored import read_lines
from PIL import Image, ImageDraw

COLUMNS = ("number", "sample", "index", "sha256", "things")
SIDE, PAD, A_ROW, A_SHEET = 192, 8, 5, 25
UNKNOWN, NOTHING = "?", "nothing"
PRESENCE, COUNTING = 0.3, 0.9


def pictures(run: Path) -> list[tuple[str, int, bytes]]:
    rows = sorted(read_lines(run, "predictions"), key=lambda row: (row["sample_id"], row["index"]))
    return [(row["sample_id"], row["index"], picture(run, row)) for row in rows]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def sheets(run: Path, to: Path, count: int) -> None:
    """Write `count` pictures spread evenly over the run, 25 a sheet, and labels.csv with an empty column."""
    found = pictures(run)
    if not 1 <= count <= len(found):
        raise SystemExit(f"--count {count}: {run} has {len(found)} pictures")
    if (to / "labels.csv").exists():
        raise SystemExit(f"{to / 'labels.csv'} exists: take another folder, so that no label is lost")
    chosen = [found[n * len(found) // count] for n in range(count)]
    to.mkdir(parents=True, exist_ok=True)
    for first in range(0, count, A_SHEET):
        part = chosen[first : first + A_SHEET]
        lines = -(-len(part) // A_ROW)
        sheet = Image.new("RGB", (A_ROW * (SIDE + PAD) + PAD, lines * (SIDE + PAD + 14) + PAD), "white")
        pen = ImageDraw.Draw(sheet)
        for place, (_, _, data) in enumerate(part):
            x, y = PAD + place % A_ROW * (SIDE + PAD), PAD + place // A_ROW * (SIDE + PAD + 14)
            pen.text((x, y), str(first + place + 1), fill="black")
            with Image.open(io.BytesIO(data)) as drawn:
                sheet.paste(drawn.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST), (x, y + 13))
        sheet.save(to / f"sheet-{first // A_SHEET + 1}.png")
    with (to / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows((n, sample, index, digest(data), "") for n, (sample, index, data) in enumerate(chosen, 1))


def things(text: str) -> list[tuple[str, str]]:
    """Return (colour, name) pairs of a label. Raises SystemExit for none and for a word that the world has not."""
    if not text.strip():
        raise SystemExit(f"a picture is not labelled: what shows nothing is {NOTHING!r}")
    if text.strip() == NOTHING:
        return []
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        color, _, name = part.rpartition(" ")
        if part != UNKNOWN and (color not in COLOR_NAMES or name not in NAMES):
            raise SystemExit(f"{part!r} is no thing of the world: colour and name, or {UNKNOWN}")
        found.append((color, name))
    return [each for each in found if each[1] != UNKNOWN]


def read(labels: Path) -> list[dict[str, str]]:
    """Return the rows of a table of labels. Raises SystemExit for a table that is not whole."""
    try:
        with labels.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SystemExit(f"{labels} cannot be read: {error}") from None
    for line, row in enumerate(rows, 2):
        if tuple(row) != COLUMNS or None in row.values() or not row["index"].isdecimal():
            raise SystemExit(f"{labels}, row {line}: not the columns {', '.join(COLUMNS)}")
    (most, times), *_ = Counter((row["sample"], row["index"]) for row in rows).most_common(1) or [(("", ""), 0)]
    if times > 1:
        raise SystemExit(f"{labels}: {'/'.join(most)} is labelled twice")
    return rows


def compare(run: Path, labels: Path) -> dict[str, Any]:
    """Return how often the observer agrees with the labels; pictures that changed since are counted apart."""
    evidence = {(row["sample_id"], row["index"]): row["data"] for row in read_lines(run, "evidence")}
    where = {(sample, index): data for sample, index, data in pictures(run)}
    right: Counter[str] = Counter()
    looked = colored = 0
    wrong = []
    rows = read(labels)
    held = [where.get((row["sample"], int(row["index"]))) for row in rows]
    same = [row for row, data in zip(rows, held, strict=True) if data and digest(data) == row["sha256"]]
    if not same:
        raise SystemExit(f"{run} has none of the pictures of {labels}: label this run's own")
    for row in same:
        data = evidence[row["sample"], int(row["index"])]
        seen = things(row["things"])
        wanted = Counter(name for _, name in seen)
        for key, least in ((f"above_{PRESENCE}", PRESENCE), (f"above_{COUNTING}", COUNTING)):
            counted = {name: sum(box[4] > least for box in boxes) for name, boxes in data["boxes"].items()}
            agrees = {name: number for name, number in counted.items() if number} == wanted
            right[key] += agrees
            if not agrees:
                wrong.append(f"{row['number']} {key}: eye {dict(wanted)}, detector {counted}")
        for name, colors in data["colors"].items():
            sure = [
                color
                for box, color in zip(data["boxes"][name], colors, strict=True)
                if box[4] > PRESENCE and color is not None
            ]
            truth = Counter(color for color, each in seen if each == name)
            matched = min(len(sure), truth.total())
            looked += matched
            colored += min(matched, (truth & Counter(sure)).total())
    return {
        "pictures": len(same),
        "changed_since": len(rows) - len(same),
        "classes_and_counts": {key: right[key] / len(same) for key in sorted(right)},
        "things_with_a_colour": looked,
        "colours": colored / looked if looked else None,
        "disagreements": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("sheets")
    make.add_argument("run", type=Path)
    make.add_argument("--to", type=Path, required=True)
    make.add_argument("--count", type=int, default=100)
    hold = commands.add_parser("compare")
    hold.add_argument("run", type=Path)
    hold.add_argument("labels", type=Path)
    args = parser.parse_args()
    if args.command == "sheets":
        sheets(args.run, args.to, args.count)
    else:
        print(json.dumps(compare(args.run, args.labels), indent=1))


if __name__ == "__main__":
    main()
