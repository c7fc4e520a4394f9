"""Vision-language models by id or folder: a tiny LLaVA on disk, asked through the registered name."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands import cli
from janus_eval.evals.environment import installed
from janus_eval.evals.errors import EnvironmentProblem, InvalidImage, JanusEvalError, UsageError
from janus_eval.evals.types import Answer, Job, Picture, Sample
from janus_eval.models.packages import command
from PIL import Image
from support.tiny_models import save_vision_language_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("vlm") / "model"
    save_vision_language_model(made)
    return made


def picture(colour: str, size: tuple[int, int] = (40, 30)) -> Picture:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(buffer, "PNG")
    plain = Image.new("RGB", size, colour)
    blended = Image.blend(plain, Image.open(buffer).convert("RGB"), 0.5)
    buffer = io.BytesIO()
    blended.save(buffer, "PNG")
    data = buffer.getvalue()
    return Picture(f"{colour}.png", lambda: data)


def job(name: str, prompt: str, *pictures: Picture, system: str = "") -> Job:
    return Job(Sample(name, prompt, images=pictures, system=system), "text", 0, 1)


JOBS = [
    job("a", "\nwhat is this ?", picture("red")),
    job("b", "\nis this a photo of the red cat ? yes no", picture("blue", (64, 20))),
    job("c", "yes", picture("white", (9, 200))),
    job("d", "what is this ? one two", picture("red"), picture("blue")),
    job("e", "no picture"),
]


def model(folder: Path, **options: Any) -> Any:
    return registry.create("models", f"hf:{folder}", device="cpu", max_new_tokens="8", **options)


def test_a_batch_gives_the_answers_that_single_questions_give(folder: Path) -> None:
    adapter = model(folder)
    together = adapter.predict(JOBS)
    alone = [adapter.predict([each])[0] for each in JOBS]
    assert together == alone
    assert adapter.predict(JOBS[::-1])[::-1] == alone
    assert len({each.text for each in alone}) == len(alone)


def test_questions_about_one_picture_read_it_once_and_answer_as_alone(folder: Path) -> None:
    """The first question is run whole up to its picture's end; behind it each other's rest alone."""
    asked = [
        job("1", "what is this ?", picture("red")),
        job("2", "is this a photo of the red cat ? yes no", picture("red")),
        job("3", "is this the dog", picture("blue")),
        job("4", "no", picture("red")),
        job("5", "yes", picture("red"), picture("blue")),
        job("6", "one two ?", picture("red"), picture("blue")),
        job("7", "what ?"),
        job("8", "what ?", picture("red"), system="one dog"),
    ]
    adapter = model(folder)
    alone = [adapter.predict([each])[0] for each in asked]
    looks: list[int] = []
    tower = adapter._loaded.model.model.vision_tower
    with_hook = tower.register_forward_hook(lambda *seen: looks.append(len(seen[1][0])))
    assert adapter.predict(asked[:7]) == alone[:7]
    assert sorted(looks) == [1, 1, 2]  # red, blue, red and blue: seven pictures stand in the questions
    looks.clear()
    assert adapter.predict(asked) == alone  # another system prompt stands before the picture: that one is read alone
    assert sorted(looks) == [1, 2, 2]
    with_hook.remove()
    assert len({each.text for each in alone}) == len(alone)


def test_the_answer_is_transformers_own_for_the_template_s_prompt(folder: Path) -> None:
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    processor = AutoProcessor.from_pretrained(folder)
    reference = LlavaForConditionalGeneration.from_pretrained(folder)
    image = Image.open(io.BytesIO(JOBS[0].sample.images[0].read()))
    inputs = processor(text="USER: <image>\nwhat is this ? ASSISTANT:", images=image, return_tensors="pt")
    ids = reference.generate(**inputs, do_sample=False, max_new_tokens=8)[0, inputs["input_ids"].shape[1] :]
    assert model(folder).predict(JOBS[:1]) == [Answer(processor.decode(ids, skip_special_tokens=True), "length")]


def test_an_answer_is_cut_where_its_end_token_is_not_among_the_new_ones(folder: Path, tmp_path: Path) -> None:
    free = ids_of(model(folder), JOBS)
    end = free[0][2]
    copy = shutil.copytree(folder, tmp_path / "model")
    config = copy / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "eos_token_id": [end, 299]}))
    found = [model(copy).predict([each])[0].finish for each in JOBS]
    assert found == ["stop" if {end, 299} & {*row} else "length" for row in free]
    assert found[0] == "stop" and "length" in found
    assert [each.finish for each in model(copy).predict(JOBS)] == found


def ids_of(adapter: Any, jobs: list[Job]) -> list[list[int]]:
    """Return the new ids of each answer, asked for one by one."""
    seen: list[list[int]] = []
    decode = adapter._loaded.processor.batch_decode
    adapter._loaded.processor.batch_decode = lambda ids, **options: seen.extend(ids) or decode(ids, **options)
    for each in jobs:
        adapter.predict([each])
    return seen


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error_and_no_answer(folder: Path, tmp_path: Path, wrong: float) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "model")
    tensors = load_file(copy / "model.safetensors")
    name = next(each for each in tensors if each.endswith("lm_head.weight"))
    tensors[name][5] = wrong
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JanusEvalError, match="the network's logits are not finite"):
        model(copy).predict(JOBS[:2])


def test_the_answer_depends_on_the_picture_and_the_system_prompt(folder: Path) -> None:
    adapter = model(folder)
    asked = [
        job("r", "what ?", picture("red")),
        job("b", "what ?", picture("blue")),
        job("s", "what ?", picture("red"), system="one dog"),
    ]
    answers = adapter.predict(asked)
    assert len({each.text for each in answers}) == 3
    overridden = model(folder, system_prompt="one dog").predict(asked[:1])
    assert overridden == answers[2:]


def test_the_same_answers_by_path_and_by_name(folder: Path) -> None:
    named = registry.create("models", "hf:ORG/NAME", path=str(folder), device="cpu", max_new_tokens=8)
    assert named.predict(JOBS[:2]) == model(folder).predict(JOBS[:2])
    assert named.card == model(folder).card


def test_the_card_changes_with_the_weights(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    assert model(copy).card == model(folder).card
    config = copy / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "repetition_penalty": 1.1}))
    assert model(copy).card != model(folder).card


def test_an_adapter_beside_the_model_is_not_passed_over(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "tuned")
    (copy / "adapter_config.json").write_text("{}")
    with pytest.raises(EnvironmentProblem, match="a whole model and a LoRA adapter"):
        _ = model(copy).card


def test_a_missing_tensor_is_an_error_not_a_random_one(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "model")
    tensors = load_file(copy / "model.safetensors")
    del tensors[next(name for name in tensors if "q_proj" in name)]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(EnvironmentProblem, match=r"lacks 1 tensors, .*q_proj"):
        model(copy).predict(JOBS[:1])


def test_cut_weights_are_an_error_in_one_line(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-10])
    with pytest.raises(EnvironmentProblem, match="cannot be loaded") as caught:
        model(copy).predict(JOBS[:1])
    assert "\n" not in str(caught.value)


def test_code_in_a_repository_is_never_run(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForImageTextToText": "mine.M"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "mine.py").write_text("raise SystemExit('code was run')")
    with pytest.raises((UsageError, EnvironmentProblem)) as caught:
        model(copy).predict(JOBS[:1])
    assert "\n" not in str(caught.value)


def test_pickled_weights_that_do_more_than_hold_tensors_are_refused(folder: Path, tmp_path: Path) -> None:
    import torch

    copy = shutil.copytree(folder, tmp_path / "model")
    (copy / "model.safetensors").unlink()

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"w": Trap()}, copy / "pytorch_model.bin")
    with pytest.raises(EnvironmentProblem, match=r"more than tensors|cannot be loaded"):
        model(copy).predict(JOBS[:1])
    assert not (tmp_path / "sprung").exists()


def test_a_model_without_chat_template_is_refused(tmp_path: Path) -> None:
    save_vision_language_model(tmp_path / "model", chat_template=None)
    with pytest.raises(UsageError, match="no chat template"):
        model(tmp_path / "model").predict(JOBS[:1])


def test_a_template_that_drops_the_system_prompt_is_refused(tmp_path: Path) -> None:
    save_vision_language_model(tmp_path / "model", chat_template="{{ messages[-1]['content'][-1]['text'] }}")
    with pytest.raises(UsageError, match="drops the system prompt"):
        model(tmp_path / "model").predict([job("a", "what", system="think")])


def test_a_broken_picture_is_an_invalid_image(folder: Path) -> None:
    whole = picture("red").read()
    with pytest.raises(InvalidImage, match=r"'half\.png' cannot be decoded"):
        model(folder).predict([job("a", "what", Picture("half.png", lambda: whole[: len(whole) // 2]))])


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model at"):
        model(tmp_path).predict(JOBS[:1])
    with pytest.raises(UsageError, match="hf:ORG/NAME"):
        registry.create("models", "hf")


@pytest.mark.skipif(installed("torchvision") is not None, reason="is about a machine without torchvision")
def test_a_processor_that_needs_torchvision_is_told_by_a_dry_run_and_before_the_weights(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    (copy / "model.safetensors").unlink()
    told = json.loads((copy / "processor_config.json").read_text())
    (copy / "processor_config.json").write_text(json.dumps({**told, "processor_class": "PixtralProcessor"}))
    wanted = f"no torchvision: {command(['torchvision'])}"
    with pytest.raises(EnvironmentProblem, match=re.escape(wanted)):
        model(copy).predict(JOBS[:1])
    asked = ["run", "-m", f"hf:{copy}", "-b", "pope", "--data", "toy", "--device", "cpu", "-o", str(tmp_path / "runs")]
    assert cli.main([*asked, "-n"]) == 0
    assert wanted in capsys.readouterr().out
    assert cli.main(asked) == 6


def test_what_was_read_ahead_gives_the_same_answers_and_is_read_once(folder: Path) -> None:
    read: list[str] = []

    def counted(name: str, source: Picture) -> Picture:
        def open_it() -> bytes:
            read.append(name)
            return source.read()

        return Picture(f"{name}.png", open_it)

    jobs = [job(f"{n}", "what is this ?", counted(f"{n}", picture("red", (40 + n, 30)))) for n in range(4)]
    adapter = model(folder)
    alone = [adapter.predict([each])[0] for each in jobs]
    read.clear()
    adapter.ahead(jobs[2:])
    first = adapter.predict(jobs[:2])  # another batch than that which was begun: read anew
    adapter.ahead(jobs[2:])
    second = adapter.predict(jobs[2:])
    assert first + second == alone
    assert sorted(read[-2:]) == ["2", "3"]
    assert read.count("2") == 2  # begun twice, asked once: the batch in between let go of the first
    adapter.close()


def test_a_broken_picture_that_was_read_ahead_fails_its_batch_as_ever(folder: Path) -> None:
    broken = job("x", "what is this ?", Picture("x.png", lambda: b"no picture"))
    adapter = model(folder)
    adapter.predict(JOBS[:1])
    adapter.ahead([broken])
    with pytest.raises(InvalidImage, match=r"x\.png"):
        adapter.predict([broken])


def test_a_run_reads_ahead_and_leaves_the_bytes_of_one_that_does_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(where: Path, *more: str) -> list[bytes]:
        given = ["-m", f"hf:{folder}", "-b", "pope", "--data", "toy", "-l", "9", "--batch-size", "2", "--device", "cpu"]
        assert cli.main(["run", *given, "-a", "max_new_tokens=4", *more, "-o", str(where)]) == 0
        return [each.read_bytes() for each in sorted(where.rglob("predictions/*.jsonl"))]

    kind = type(model(folder))
    asked: list[int] = []
    ahead = kind.ahead
    monkeypatch.setattr(kind, "ahead", lambda self, jobs: (asked.append(len(jobs)), ahead(self, jobs))[1])
    with_it = answers(tmp_path / "with", "--overlap")
    assert len(asked) >= 4
    asked.clear()
    assert answers(tmp_path / "cpu") == with_it
    assert asked == []  # on a CPU it would want the same cores
    monkeypatch.setattr(kind, "ahead", lambda self, jobs: None)
    assert answers(tmp_path / "without") == with_it
