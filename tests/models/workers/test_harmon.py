"""Harmon's worker, as far as it goes without its environment: perf/harmon_parity.py runs the authors' scripts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.models.workers import named
from janus_eval.models.workers.named import HARMON


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Files that stand for weights; nothing opens them before the model is asked for something."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "harmon.pth").write_bytes(b"weights")
    (tmp_path / "kl16.ckpt").write_bytes(b"more")
    return {"checkpoint": str(tmp_path / "harmon.pth"), "vae": str(tmp_path / "kl16.ckpt")}


def created(**options: str) -> Any:
    return registry.create("models", "harmon", python=sys.executable, source="/nowhere", device="cpu", **options)


CHANGES = {
    "guidance": "5",
    "steps": "32",
    "temperature": "0.9",
    "size": "256",
    "template": "Draw {}",
    "max_new_tokens": "9",
    "dtype": "float32",
    "variant": "0.5b",
}


def test_its_card_has_every_knob_and_names_weights_and_environment(weights: dict[str, str]) -> None:
    cards = []
    for change in ({}, *({name: value} for name, value in CHANGES.items())):
        model = created(**weights, **change)
        assert model.kinds == {"image", "text"}
        assert model.image_size == int(change.get("size", 512))
        cards.append(dict(model.card))
        model.close()
    told = {name: cards[0][name] for name in ("guidance", "steps", "temperature", "template", "max_new_tokens")}
    assert list(told.values()) == [3.0, 64, 1.0, "Generate an image: {}.", 1024]
    assert str(cards[0]["checkpoint"]).startswith("harmon.pth#")
    assert cards[0]["language"] == "Qwen/Qwen2.5-1.5B-Instruct@main"
    assert cards[0]["environment"] == f"#{HARMON.digest}"
    assert len({str(sorted(each.items())) for each in cards}) == len(cards)


def test_the_hub_s_files_are_named_by_the_variant(weights: dict[str, str]) -> None:
    told = []
    for variant in ("1.5b-o", "0.5b"):
        model = created(variant=variant)
        told.append((model.card["checkpoint"], model.card["language"]))
        model.close()
    assert told[0] == ("wusize/harmon/harmon_1.5b-o.pth@main", "Qwen/Qwen2.5-1.5B-Instruct@main")
    assert told[1] == ("wusize/harmon/harmon_0.5b.pth@main", "Qwen/Qwen2.5-0.5B-Instruct@main")


def test_without_its_environment_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JANUS_EVAL_ENVS", str(tmp_path))
    assert main(["run", "-m", "harmon", "-b", "geneval", "-o", str(tmp_path / "runs")]) == 6
    assert "janus-eval env create harmon" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [{"guidance": "nan"}, {"size": "500"}, {"steps": "0"}, {"template": "draw"}, {"batch_size": "0"}, {"vae": "/none"}],
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="harmon: "):
        created(**wrong)


def test_the_lock_pins_every_package_with_hashes_and_the_repository_by_its_trees() -> None:
    assert HARMON.lock is not None and HARMON.repository is not None
    lines = HARMON.lock.read_text().splitlines()
    pins = [line for line in lines if line and line[0].isalpha()]
    assert all("==" in line and line.endswith("\\") for line in pins)
    assert {"torch==2.13.0 \\", "transformers==4.45.2 \\", "timm==0.9.12 \\"} <= {*pins}
    assert sum("--hash=sha256:" in line for line in lines) > len(pins)
    assert sorted(HARMON.repository.trees) == ["src"]


def adapter() -> ModuleType:
    path = Path(named.__file__).with_name("harmon.py")
    spec = importlib.util.spec_from_file_location("harmon_adapter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def noise(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the noise of a drawing, in the place of two modules that stand for the authors'."""
    import torch

    for name in ("src.models.mar.diffloss", "src.models.mar.diffusion.gaussian_diffusion"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    return adapter()._Noise(SimpleNamespace(device=torch.device("cpu")), 16)


def test_a_picture_s_noise_is_what_the_authors_code_sees_after_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import torch

    made = noise(monkeypatch)
    made.begin([2**40 + 7], halves=2)
    found = [made.orders(2, 64), made.randn(5, 16), made.randn_like(torch.zeros(10, 16)), made.randn(3, 16)]
    torch.manual_seed(2**40 + 7)
    np.random.seed(7)
    order = np.arange(64)
    np.random.shuffle(order)
    expected = [torch.from_numpy(np.stack([order, order])), *(torch.randn(rows, 16) for rows in (5, 10, 3))]
    assert all((one == other).all() for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("halves", [1, 2])
def test_a_picture_s_noise_does_not_depend_on_its_neighbours(monkeypatch: pytest.MonkeyPatch, halves: int) -> None:
    import torch

    made, seeds = noise(monkeypatch), [3, 2**62 + 5, 4]

    def seen(own: list[int]) -> list[torch.Tensor]:
        made.begin(own, halves=halves)
        many = len(own)
        first, step = made.randn(5 * many, 16), made.randn_like(torch.zeros(halves * 5 * many, 16))
        order = made.orders(halves * many, 64)
        return [order.reshape(halves, many, 64), first.reshape(1, many, 80), step.reshape(halves, many, 80)]

    together = seen(seeds)
    for row, seed in enumerate(seeds):
        for one, other in zip(seen([seed]), together, strict=True):
            assert (one[:, 0] == other[:, row]).all()
    assert (together[2][0, 0] != together[2][0, 1]).any()


def test_sizes_are_those_of_the_checkpoint() -> None:
    import torch

    shapes = {
        "mar.z_proj.weight": (768, 16),
        "mar.decoder_embed.weight": (1280, 768),
        "mar.diffusion_pos_embed_learned": (1, 256, 1280),
        "mar.encoder_pos_embed_learned": (1, 320, 768),
        "mar.class_emb.weight": (1000, 768),
        "mar.diffloss.net.input_proj.weight": (1536, 16),
        **{f"mar.encoder_blocks.{n}.norm1.weight": (768,) for n in range(12)},
        **{f"mar.decoder_blocks.{n}.norm1.weight": (1280,) for n in range(20)},
        **{f"mar.diffloss.net.res_blocks.{n}.in_ln.weight": (1536,) for n in range(6)},
    }
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    found = adapter().sizes(tensors)
    assert (found["img_size"], found["buffer_size"], found["vae_embed_dim"]) == (256, 64, 16)
    assert (found["encoder_depth"], found["encoder_num_heads"], found["decoder_num_heads"]) == (12, 12, 16)
    assert (found["decoder_depth"], found["diffloss_d"], found["diffloss_w"]) == (20, 6, 1536)
    with pytest.raises(ValueError, match=r"has no mar\.z_proj\.weight: it is none of Harmon"):
        adapter().sizes({"llm.weight": tensors["mar.z_proj.weight"]})
