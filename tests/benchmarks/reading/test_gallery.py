"""Pictures of rows: read late, in the columns' order; one that cannot be found is its own row's fault alone."""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.mmmu.benchmark import Mmmu
from janus_eval.benchmarks.pope import Pope
from janus_eval.benchmarks.reading.pictures import Gallery
from janus_eval.benchmarks.reading.rows import Deferred, Row
from janus_eval.benchmarks.reading.tables import read_rows
from janus_eval.evals import pictures
from janus_eval.evals.errors import InvalidImage, UsageError
from PIL import Image
from support.predictions import on_the_hub, picture, write, write_tsv

PIXELS = bytes(range(256)) * 8
BASE64 = base64.b64encode(PIXELS).decode()


def png(width: int) -> str:
    """Return a PNG of this width in base64, longer than a row's index may be."""
    buffer = io.BytesIO()
    Image.effect_noise((width, 40), 50).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def why(gallery: Gallery, row: Row) -> str:
    """Return why a row's only picture cannot be read; where no row has one, the table is refused for it as well."""
    (lost,) = gallery.of(row)
    with pytest.raises(InvalidImage) as caught:
        lost.read()
    told = str(caught.value)
    assert told.startswith(f"{row.file.name} line {row.line}: ")
    with pytest.raises(UsageError) as refused:
        gallery.must_show()
    assert str(refused.value) == f"{row.where}: {told.partition(': ')[2]}"
    return told


def test_pictures_that_come_through_a_pipe_are_kept(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, json.dumps({"id": 1, "image": BASE64}).encode() + b'\n{"id": 2}\n')
    os.close(writing)
    rows = read_rows(Path(f"/dev/fd/{reading}"))
    os.close(reading)
    assert Gallery(rows).of(rows[0])[0].read() == PIXELS


@pytest.mark.parametrize("save", [write, write_tsv])
def test_base64_pictures_stay_on_disk(tmp_path: Path, save: Any) -> None:
    path = save(tmp_path / ("a.jsonl" if save is write else "a.tsv"), {"index": "1", "image": BASE64, "q": "é"})
    (row,) = read_rows(path)
    assert isinstance(row.fields["image"], Deferred)
    (picture,) = Gallery([row]).of(row)
    assert picture.read() == PIXELS


@pytest.mark.parametrize("form", [list, str, json.dumps])
@pytest.mark.parametrize("save", [write, write_tsv])
def test_several_pictures_of_a_row_keep_their_order(tmp_path: Path, save: Any, form: Any) -> None:
    other = base64.b64encode(PIXELS[::-1]).decode()
    path = save(tmp_path / ("a.jsonl" if save is write else "a.tsv"), {"index": "1", "image": form([BASE64, other])})
    rows = read_rows(path)
    assert [picture.read() for picture in Gallery(rows).of(rows[0])] == [PIXELS, PIXELS[::-1]]


def test_a_row_may_use_the_picture_of_another(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "a.tsv", {"index": "7", "image": BASE64}, {"index": "1000007", "image": "7"})
    rows = read_rows(path)
    assert Gallery(rows).of(rows[1])[0].read() == PIXELS


def test_pictures_lie_beside_the_table_or_in_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(PIXELS)
    rows = read_rows(write(tmp_path / "a.jsonl", {"id": 1, "image": "a.png"}))
    assert Gallery(rows).of(rows[0])[0].read() == PIXELS


def test_what_is_no_base64_is_an_invalid_image(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path / "a.jsonl", {"id": 1, "image": "!" * 2000}))
    with pytest.raises(InvalidImage, match=r"^a\.jsonl line 1: column 'image' is no base64"):
        Gallery(rows).of(rows[0])[0].read()


@pytest.mark.parametrize("listed", [False, True])
def test_pictures_in_parquet_are_read_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    cell = {"bytes": PIXELS, "path": "a.png"}
    table = arrow.table({"id": ["1", "2"], "image": [[cell, cell], []] if listed else [cell, None]})
    parquet.write_table(table, tmp_path / "a.parquet")
    rows = read_rows(tmp_path / "a.parquet")
    assert [row.fields["id"] for row in rows] == ["1", "2"]
    assert [picture.read() for picture in Gallery(rows).of(rows[0])] == [PIXELS] * (1 + listed)
    assert Gallery(rows).of(rows[1], optional=True) == ()


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("7", "refers to row '7', which holds no picture"),
        (7.0, "refers to row '7', which holds no picture"),
        ("1", "refers to row '1', which holds no picture"),  # itself
        ("[a.png]", "expected a list"),
        ("[[1], 2]", "expected a list"),
        ([["a.png"]], "lists within a list"),
        (True, "refers to row 'True'"),
        ("a.png", "names 'a.png', which is not in the table's folder or its images/"),
        ("../secret.png", "names '../secret.png', which is not in"),
        ("a\nb\u202e.png", r"names 'a\\nb\\u202e.png', which is not in"),
        ("\0.png", "which is not in"),
        ("x" * 300 + ".png", "which is not in"),
        ("loop.png", "which is not in"),
        ("out.png", "which is not in"),
        (None, "no picture: expected a column image, image_1 or image_path"),
        ("", "no picture"),
        (" ", "no picture"),
        ("nan", "no picture"),
        ([], "no picture"),
    ],
)
def test_a_picture_that_is_nowhere_is_its_rows_fault(tmp_path: Path, cell: Any, told: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(PIXELS)
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    rows = read_rows(write(folder / "a.jsonl", {"index": 1, "image": cell}))
    assert told.replace("\\\\", "\\") in why(Gallery(rows), rows[0])


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("[" + "x" * 2000 + "]", "expected a list"),
        ("[" + "'a.png', " * 2000 + "'a.png']", "a list of more than 1,000 elements"),
    ],
)
@pytest.mark.parametrize("save", [write, write_tsv])
def test_a_long_list_that_is_none_is_its_rows_fault(tmp_path: Path, save: Any, cell: str, told: str) -> None:
    rows = read_rows(save(tmp_path / ("a.jsonl" if save is write else "a.tsv"), {"index": 1, "image": cell}))
    (lost,) = Gallery(rows).of(rows[0])
    with pytest.raises(InvalidImage, match=rf"line \d: column 'image': {told}"):
        lost.read()


def test_an_absolute_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PIXELS)
    (tmp_path / "data").mkdir()
    rows = read_rows(write(tmp_path / "data" / "a.jsonl", {"image_path": str(tmp_path / "secret.png")}))
    assert "which is not in" in why(Gallery(rows), rows[0])


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(PIXELS)
    rows = read_rows(write(tmp_path / "a.jsonl", {"image": "a.png"}))
    monkeypatch.setattr(pictures, "MOST_BYTES", 100)
    with pytest.raises(InvalidImage, match=r"picture 'a\.png' has 2,048 bytes: at most 100 are read"):
        Gallery(rows).of(rows[0])[0].read()


def test_rows_that_point_at_each_other_end(tmp_path: Path) -> None:
    rows = read_rows(write_tsv(tmp_path / "a.tsv", {"index": "1", "image": "2"}, {"index": "2", "image": "1"}))
    assert "which holds no picture" in why(Gallery(rows), rows[0])


def test_a_row_may_name_another_in_any_writing_of_its_number(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path / "a.jsonl", {"index": "7.0", "image": BASE64}, {"index": 8, "image": 7}))
    assert Gallery(rows).of(rows[1])[0].read() == PIXELS


def test_eleven_pictures_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    columns = {f"image_{number}": f"{number}.png" for number in (10, 2, 11, 1, 3, 9)}
    for name in columns.values():
        (tmp_path / name).write_bytes(name.encode())
    rows = read_rows(write(tmp_path / "a.jsonl", columns))
    found = [each.read().decode() for each in Gallery(rows).of(rows[0])]
    assert found == ["1.png", "2.png", "3.png", "9.png", "10.png", "11.png"]


@pytest.mark.parametrize("preset", ["janus-pr541", "lmms-eval"])
def test_mmmu_shows_eleven_pictures_in_order(tmp_path: Path, preset: str) -> None:
    row = {f"image_{number}": png(number) for number in range(1, 12)}
    marks = " ".join(f"<image {number}>" for number in range(1, 12))
    row |= {"id": "validation_Art_1", "question": marks, "options": ["x", "y"], "answer": "A"}
    (sample,) = Mmmu(data=str(write(tmp_path / "d.jsonl", row)), preset=preset).samples()
    assert [pictures.open_picture(each.read(), "x").width for each in sample.images] == [*range(1, 12)]


def pope_row(number: int, image: Any) -> dict[str, Any]:
    row = {"id": number, "category": "random", "question": "Is there a cat?", "answer": "yes"}
    return row if image is Ellipsis else {**row, "image": image}


@pytest.mark.parametrize("image", ["", None, ..., "gone.png", "99", "[a", "!" * 2000])
def test_one_row_without_its_picture_leaves_the_others_alone(tmp_path: Path, image: Any) -> None:
    path = write(tmp_path / "d.jsonl", pope_row(1, png(9)), pope_row(2, image), pope_row(3, png(7)))
    first, second, third = Pope(data=str(path)).samples()
    assert pictures.open_picture(first.images[0].read(), "x").width == 9
    assert pictures.open_picture(third.images[0].read(), "x").width == 7
    with pytest.raises(InvalidImage, match=r"^d\.jsonl line 2: "):
        second.images[0].read()


def test_one_empty_cell_of_a_tsv_leaves_the_others_alone(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "d.tsv", pope_row(1, png(9)), pope_row(2, ""))
    first, second = Pope(data=str(path)).samples()
    assert first.images[0].read()
    with pytest.raises(InvalidImage, match=r"d\.tsv line 3: no picture"):
        second.images[0].read()


@pytest.mark.parametrize("image", ["", ..., "gone.png"])
def test_a_table_without_any_picture_is_refused_in_a_line(tmp_path: Path, image: Any) -> None:
    path = write(tmp_path / "d.jsonl", pope_row(1, image), pope_row(2, image))
    with pytest.raises(UsageError, match=r"d\.jsonl line 1: (no picture|column 'image' names 'gone\.png')") as caught:
        Pope(data=str(path)).samples()
    assert "\n" not in str(caught.value)


def mmmu_row(number: int, question: str, **more: Any) -> dict[str, Any]:
    row = {"id": f"validation_Art_{number}", "question": question, "options": ["x", "y"], "answer": "A"}
    return {**row, **more}


@pytest.mark.parametrize("preset", ["janus-pr541", "official", "lmms-eval"])
@pytest.mark.parametrize("cell", [{}, {"image_1": ""}, {"image_1": None}])
def test_a_question_in_words_alone_is_asked_without_a_picture(tmp_path: Path, preset: str, cell: Any) -> None:
    rows = (mmmu_row(1, "Which has <image 1>?", image_1=png(5)), mmmu_row(2, "What is red?", **cell))
    shown, bare = Mmmu(data=str(write(tmp_path / "d.jsonl", *rows)), preset=preset).samples()
    assert len(shown.images) == 1 and bare.images == ()
    (alone,) = Mmmu(data=str(write(tmp_path / "e.jsonl", rows[1])), preset=preset).samples()
    assert alone.images == ()


@pytest.mark.parametrize("preset", ["janus-pr541", "official", "lmms-eval"])
def test_a_question_about_a_picture_that_is_not_there_is_not_asked_without(tmp_path: Path, preset: str) -> None:
    rows = (mmmu_row(1, "Which has <image 1>?", image_1=png(5)), mmmu_row(2, "And <image 1>?", image_1=""))
    _, lost = Mmmu(data=str(write(tmp_path / "d.jsonl", *rows)), preset=preset).samples()
    with pytest.raises(InvalidImage, match=r"d\.jsonl line 2: "):
        lost.images[0].read()


def test_a_gqa_question_whose_picture_the_other_table_lacks_is_not_asked_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": str(n), "imageId": f"n{n}", "question": "q?", "answer": "yes", "isBalanced": True} for n in (1, 2)]
    on_the_hub(tmp_path / "testdev_balanced_instructions" / "testdev-00000-of-00001.parquet", rows, monkeypatch)
    images = [{"id": "n1", "image": picture("n1")}]
    on_the_hub(tmp_path / "testdev_balanced_images" / "testdev-00000-of-00001.parquet", images, monkeypatch)
    first, second = Gqa(data=str(tmp_path)).samples()
    assert first.images[0].read() == b"n1"
    with pytest.raises(InvalidImage, match="column 'imageId' refers to row 'n2'"):
        second.images[0].read()
