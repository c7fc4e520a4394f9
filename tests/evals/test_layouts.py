"""Folders of pictures as people have them: every layout, every number, every clash."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.evals.errors import InvalidImage, UsageError
from janus_eval.evals.layouts import Folder


def lay(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    return root


def of(root: Path, sample: str, pattern: str | None = None, prompt: str = "") -> list[str]:
    folder = Folder(root, pattern)
    return [path.relative_to(folder.root).as_posix() for path in folder.of(sample, prompt)]


@pytest.mark.parametrize(
    ("names", "sample"),
    [
        (["00000/samples/0000.png", "00000/samples/0001.png"], "00000"),
        (["00000/1.png", "00000/2.jpg"], "00000"),
        (["00000/samples/42.webp", "00000/samples/43.PNG"], "00000"),
        (["00000/samples/0002.png"], "00000"),
        (["00000/2.png", "00000/10.png"], "00000"),
        (["a cat_0.png", "a cat_1.jpeg"], "a cat"),
        (["00000_00001.png", "00000_00002.png"], "00000"),
        (["0/0.png", "0/1.png"], "00000"),
    ],
)
def test_any_numbers_count_in_order(tmp_path, names, sample):
    assert of(lay(tmp_path, *names), sample) == names


def test_grids_and_all_else_are_passed_over(tmp_path):
    lay(tmp_path, "00000/grid.png", "00000/metadata.jsonl", "00000/samples/0000.png", "00000/samples/._0001.png")
    folder = Folder(lay(tmp_path, "notes.txt", "sheet.png"))
    assert [path.name for path in folder.of("00000")] == ["0000.png"] and folder.of("00001") == []
    assert folder.others == ["00000/samples/._0001.png", "notes.txt"]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["x/001.png", "x/1.jpg"], "001.png and 1.jpg have one number"),
        (["x/1.png", "x_1.png"], "x/1.png and x_1.png are both taken"),
        (["x_01.png", "x_1.png"], "x_01.png and x_1.png have one number"),
    ],
)
def test_pictures_that_clash_are_refused_by_name(tmp_path, names, told):
    with pytest.raises(InvalidImage, match=told):
        of(lay(tmp_path, *names), "x")


def test_numbers_that_may_begin_with_one_are_not_guessed(tmp_path):
    lay(tmp_path, "1/0.png", "2/0.png")
    with pytest.raises(UsageError, match=r"1 need not be sample '00001'.*\{prompt1\}"):
        of(tmp_path, "00001")
    assert of(tmp_path, "00000", "{prompt1}/{index}.png") == ["1/0.png"]
    assert of(tmp_path, "00001", "{prompt0}/{index}.png") == ["1/0.png"]
    lay(tmp_path, "1/metadata.jsonl")  # it says itself what it shows
    assert of(tmp_path, "00001") == ["1/0.png"]


@pytest.mark.parametrize(
    ("pattern", "sample", "names"),
    [
        ("{prompt:05d}_{index}.png", "00000", ["00000_2.png", "00000_10.png"]),
        ("img{prompt1}-{index:02d}.jpg", "00000", ["img1-00.jpg", "img1-01.jpg"]),
        ("out/{id}/image_{index}", "a_1", ["out/a_1/image_1.webp", "out/a_1/image_2.png"]),
        ("{id}_{index}.png", "a_1", ["a_1_0.png"]),
        ("{index}.{id}.png", "x", ["0.x.png", "1.x.png"]),
        ("{id}.png", "x", ["x.png"]),
        ("{prompt0}/{prompt0}_{index}.png", "00007", ["7/7_0.png"]),
    ],
)
def test_a_pattern_says_how_pictures_are_named(tmp_path, pattern, sample, names):
    assert of(lay(tmp_path, *names, "7/8_0.png", "other.txt"), sample, pattern) == names


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("{prompt}{index}.png", "without anything between"),
        ("{number}_{index}.png", "{number} is no field"),
        ("{prompt.real}.png", "is no field"),
        ("{prompt!r}.png", "is no field"),
        ("{prompt:>5}.png", "is no field"),
        ("{index}.png", "expected one of {id}"),
        ("{id}_{prompt}.png", "expected one of {id}"),
        ("{id", "--pattern '{id'"),
        ("nowhere.csv", "no such file"),
    ],
)
def test_a_pattern_that_does_not_say_whose_is_refused(tmp_path, pattern, told):
    with pytest.raises(UsageError) as caught:
        Folder(tmp_path, pattern)
    assert told in str(caught.value)


def test_a_pattern_from_zero_needs_its_zero(tmp_path):
    with pytest.raises(UsageError, match=r"no picture of prompt 0: write \{prompt1\}"):
        Folder(lay(tmp_path, "1_0.png", "2_0.png"), "{prompt}_{index}.png")


def test_a_named_sample_has_no_number(tmp_path):
    with pytest.raises(UsageError, match="'midjourney12' has a name, no number"):
        of(lay(tmp_path, "0_0.png"), "midjourney12", "{prompt}_{index}.png")


def csv(tmp_path: Path, text: str) -> str:
    path = tmp_path / "pictures.csv"
    path.write_text(text)
    return str(path)


def test_a_csv_names_files_by_prompt_or_id(tmp_path):
    root = lay(tmp_path / "d", "z.png", "a/y.jpg", "x.webp")
    table = csv(tmp_path, 'file,prompt\nz.png,"a cat, red"\na/y.jpg,"a cat, red"\nx.webp,a dog\n')
    assert of(root, "00000", table, "a cat, red") == ["z.png", "a/y.jpg"]
    table = csv(tmp_path, "\ufeffid,index,file\nq,2,z.png\nq,1,a/y.jpg\n")
    assert of(root, "q", table) == ["a/y.jpg", "z.png"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,prompt\na,b\n", "expected the columns file and id"),
        ("", "found nothing"),
        ("file,id\n../secret.png,q\n", "line 2: '../secret.png' is no picture below"),
        ("file,id\n/etc/hosts,q\n", "is no picture below"),
        ("file,id\nz.png,q\nz.png,r\n", "line 3: the file stands above"),
        ("file,id\nz.png\n", "line 2: not as many cells"),
        ("file,id,index\nz.png,q,one\n", "index 'one'"),
        ('file,id\nz.png,"q\n', "no CSV"),
    ],
)
def test_a_csv_that_cannot_be_followed_is_refused(tmp_path, text, told):
    with pytest.raises(UsageError) as caught:
        Folder(lay(tmp_path / "d", "z.png"), csv(tmp_path, text))
    assert told in str(caught.value)


def test_two_samples_of_one_prompt_need_ids(tmp_path):
    folder = Folder(lay(tmp_path / "d", "z.png"), csv(tmp_path, "file,prompt\nz.png,a cat\n"))
    assert folder.of("00000", "a cat")
    with pytest.raises(UsageError, match="'00000' and '00004' ask for one prompt"):
        folder.of("00004", "a cat")


def test_nothing_outside_is_read(tmp_path):
    secret = lay(tmp_path / "secret", "0.png")
    root = lay(tmp_path / "d", "y_0.png")
    (root / "x").symlink_to(secret)
    (root / "y_1.png").symlink_to(secret / "0.png")
    folder = Folder(root)
    assert folder.of("x") == [] and folder.files() == [folder.root / "y_0.png"]
    with pytest.raises(InvalidImage, match="no regular file inside"):
        folder.check(folder.of("y")[1])
    stated = Folder(root, "{id}_{index}.png")
    with pytest.raises(InvalidImage, match="no regular file inside"):
        stated.check(stated.of("y")[1])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["img_00012_3.png"], "00000_0.png and 00000/0.png: say how they are named, such as --pattern "),
        (["img_00012_3.png"], "'img_{prompt:05d}_{index}.png', or make one: mkdir -p"),
        (["set/pic 7.png"], "00000/samples/0000.png and 00000/0.png: say how they are named"),
        (["cat.png"], "--pattern FILE.csv with the columns file and prompt"),
        ([], "holds no pictures; expected 00000/samples/0000.png"),
    ],
)
def test_a_folder_that_fits_nothing_is_told_the_nearest_layouts(tmp_path, names, told):
    assert told in Folder(lay(tmp_path, *names)).unfit("00000")


def test_the_command_that_makes_a_layout_makes_it(tmp_path):
    import subprocess

    root = lay(tmp_path / "my pictures", "cat.png")
    command = Folder(root).unfit("00000").rpartition("or make one: ")[2]
    subprocess.run(["bash", "-c", command], check=True)
    assert of(root, "00000") == ["00000/0.png"]
