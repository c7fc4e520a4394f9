"""A folder of pictures as a system, friendly and hostile."""

import json
import os

import pytest
from janus_eval.evals import registry
from janus_eval.evals.errors import InvalidImage, UsageError
from janus_eval.evals.types import Job, Sample
from janus_eval.models.images import Images
from PIL import Image


def job(name="00000", index=0, prompt="a cat"):
    return Job(Sample(name, prompt), "image", index, 1)


def paint(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), grey).save(path)
    return path


def test_the_official_layout_is_read_under_any_number_of_zeros(tmp_path):
    made = [paint(tmp_path / "00000/samples" / name, k) for k, name in enumerate(["0000.png", "00001.png", "2.png"])]
    assert Images(tmp_path).predict([job(index=k) for k in range(3)]) == made


def test_a_plain_layout_is_read_too(tmp_path):
    made = [paint(tmp_path / "a cat #1" / name) for name in ("0.jpg", "1.PNG")]
    assert Images(tmp_path).predict([job("a cat #1", k) for k in range(2)]) == made


def test_numbers_may_start_at_one(tmp_path):
    made = [paint(tmp_path / "00000" / f"{k}.png") for k in (1, 2)]
    assert Images(tmp_path).predict([job(index=k) for k in range(2)]) == made


def test_a_missing_picture_is_named(tmp_path):
    for number in (0, 1, 3):
        paint(tmp_path / f"00000/samples/000{number}.png")
    with pytest.raises(InvalidImage, match=r"picture 3 of sample '00000'.*0003\.png; found 3 .*0001\.png, 0003\.png"):
        Images(tmp_path).predict([job(index=3)])
    with pytest.raises(InvalidImage, match=r"00001/samples/0000\.png; found 0"):
        Images(tmp_path).predict([job("00001")])


def test_a_picture_cut_in_half_is_handed_on_as_it_is(tmp_path):
    path = paint(tmp_path / "00000/0.png")
    path.write_bytes(path.read_bytes()[:40])
    assert Images(tmp_path).predict([job()]) == [path]


def test_no_link_leads_out_of_the_folder(tmp_path):
    secret = paint(tmp_path / "secret/0.png")
    folder = tmp_path / "pictures"
    (folder / "00000/samples").mkdir(parents=True)
    (folder / "00000/samples/0.png").symlink_to(secret)
    (folder / "00001").symlink_to(tmp_path / "secret")
    (folder / "00002").mkdir()
    (folder / "00002/0.png").symlink_to("0.png")
    for name in ("00000", "00002"):
        with pytest.raises(InvalidImage, match="is refused"):
            Images(folder).predict([job(name)])
    with pytest.raises(InvalidImage, match="found 0"):
        Images(folder).predict([job("00001")])
    assert Images(folder).card["pictures"] == 0


@pytest.mark.parametrize("name", ["..", "../secret", "/etc", "a/b", "", ".", "a\0b"])
def test_a_sample_id_cannot_lead_out_of_the_folder(tmp_path, name):
    paint(tmp_path / "secret/0.png")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InvalidImage, match="cannot name a folder"):
        Images(tmp_path / "pictures").predict([job(name)])


def test_what_is_no_file_is_never_opened(tmp_path):
    (tmp_path / "00000").mkdir()
    os.mkfifo(tmp_path / "00000/0.png")  # opening it would wait for ever
    (tmp_path / "00001/0.png").mkdir(parents=True)
    for name in ("00000", "00001"):
        with pytest.raises(InvalidImage, match="no regular file"):
            Images(tmp_path).predict([job(name)])


def test_hostile_names_are_passed_over(tmp_path):
    made = paint(tmp_path / "00000/0.png")
    for name in ("-rf.png", "1.png.exe", "1;rm.png", "\N{SUPERSCRIPT TWO}.png", "1\n.png", "9" * 30 + ".png"):
        (tmp_path / "00000" / name).write_bytes(b"x")
    (tmp_path / os.fsdecode(b"bad\xff")).mkdir()
    paint(tmp_path / os.fsdecode(b"bad\xff") / "0.png")
    images = Images(tmp_path)
    assert images.predict([job()]) == [made] and images.card["pictures"] == 2
    with pytest.raises(InvalidImage):
        images.predict([job(index=1)])


def test_pictures_of_another_prompt_are_refused(tmp_path):
    paint(tmp_path / "00000/samples/0.png")
    (tmp_path / "00000/metadata.jsonl").write_text(json.dumps({"prompt": "a dog"}))
    assert Images(tmp_path).predict([job(prompt="a dog")])
    with pytest.raises(UsageError, match="drawn for 'a dog', but '00000' asks for 'a cat'"):
        Images(tmp_path).predict([job(prompt="a cat")])


def test_the_card_follows_the_bytes_and_not_the_place(tmp_path):
    for place in ("a", "b"):
        paint(tmp_path / place / "00000/0.png", 7)
    a, b = Images(tmp_path / "a").card, Images(tmp_path / "b").card
    paint(tmp_path / "b/00000/0.png", 8)
    assert a == b != Images(tmp_path / "b").card


def test_it_is_created_by_its_folder(tmp_path):
    assert registry.create("models", f"images:{tmp_path}").folder == tmp_path.resolve()
    with pytest.raises(UsageError, match="no such folder"):
        registry.create("models", "images:nowhere")
