"""Drawn cards show what the rule looked at; read back from their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from janus_eval.benchmarks.geneval import draw
from janus_eval.benchmarks.geneval.detector import instances
from janus_eval.evals.types import Evidence, Prediction
from PIL import Image

TARGET = {
    "tag": "two_object",
    "include": [{"class": "cow", "count": 1}, {"class": "cup", "count": 1, "position": ["left of", 0]}],
    "prompt": "a photo of a cup left of a cow",
}


def card(**changed: Any) -> draw.Card:
    mask = np.zeros((100, 100), np.bool_)
    mask[30:60, 50:90] = True
    data = {
        "boxes": {"cow": [[50, 30, 90, 60, 0.9]], "cup": [[10, 70, 30, 90, 0.2]], "dog": [[0, 0, 99, 20, 0.99]]},
        "masks": {"cow": instances.encode(mask[None]), "cup": []},
        "colors": {"cow": ["white"]},
    }
    known: dict[str, Any] = {"title": "00001/0", "target": TARGET, "data": data, "threshold": 0.3}
    return draw.Card(**{**known, "value": 0.0, "reason": "expected cup>=1, found 0", **changed})


def drawn(**changed: Any) -> np.ndarray:
    return np.asarray(draw.draw(card(**changed), Image.new("RGB", (100, 100), "white")))


def has(picture: np.ndarray, hue: tuple[int, int, int]) -> int:
    return int((picture == np.array(hue)).all(-1).sum())


def test_a_box_that_counts_is_coloured_and_a_weak_one_grey() -> None:
    picture = drawn()
    assert has(picture, draw.PALETTE[0]) > 1000
    assert has(picture, draw.PALETTE[1]) == 0
    assert has(picture[:448], draw._WEAK) > 200
    strong = drawn(threshold=0.1)
    assert has(strong, draw.PALETTE[1]) > 200


def test_the_inside_of_a_mask_keeps_most_of_its_own_colour() -> None:
    inside = drawn()[round(45 * 4.48), round(70 * 4.48)]
    assert inside.min() > 200 and inside.tolist() != [255, 255, 255]


def test_classes_that_the_prompt_does_not_name_are_left_out() -> None:
    assert has(drawn()[:80, :400], (255, 255, 255)) == 80 * 400


def test_the_verdict_has_its_colour_and_the_reason_takes_room() -> None:
    wrong, right, none = drawn(), drawn(value=1.0, reason=""), drawn(value=None, reason="invalid image")
    assert has(wrong, draw._CHIPS["wrong"]) > 300 and has(wrong, draw._CHIPS["correct"]) == 0
    assert has(right, draw._CHIPS["correct"]) > 300
    assert has(none, draw._CHIPS["no verdict"]) > 300
    assert len(wrong) > len(right)


def test_what_could_not_be_seen_is_drawn_too() -> None:
    assert draw.draw(card(data=None, value=None), None).size[0] == 448
    assert draw.draw(card(data={"invalid": "cut"}), Image.new("L", (1, 900))).size[0] == 448


def test_many_boxes_in_one_place_stay_inside_the_picture() -> None:
    boxes = {"cow": [[0, 0, 3, 3, 0.9 - 0.01 * each] for each in range(40)]}
    picture = draw.draw(card(data={"boxes": boxes}), Image.new("RGB", (100, 100)))
    assert picture.size[0] == 448


def test_a_sheet_holds_every_card() -> None:
    cards = [draw.draw(card(title=str(each)), Image.new("RGB", (64, 64))) for each in range(5)]
    sheet = draw.sheet(cards, columns=2)
    assert sheet.width == 2 * 448 + 3 * 12
    assert sheet.height == 3 * cards[0].height + 4 * 12
    assert draw.sheet([]).size[0] > 0


def test_the_benchmark_draws_its_own_samples(tmp_path: Path) -> None:
    from janus_eval.benchmarks.geneval.benchmark import GenEval

    benchmark = GenEval()
    sample = benchmark.samples()[0]
    Image.new("RGB", (32, 32)).save(tmp_path / "0.png")
    made = Prediction(sample.id, 0, "image", image=tmp_path / "0.png")
    seen = Evidence(sample.id, 0, {"boxes": {}, "colors": {}, "masks": {}, "floor": 0.1})
    (score,) = benchmark.score(sample, made, seen)
    cards = [benchmark.draw(sample, made, seen, score), benchmark.draw(sample, made, None, score)]
    (tmp_path / "0.png").write_bytes(b"cut")
    cards.append(benchmark.draw(sample, made, Evidence(sample.id, 0, {"invalid": "cut"}), score))
    assert benchmark.sheet(cards).width > benchmark.sheet(cards[:1]).width
