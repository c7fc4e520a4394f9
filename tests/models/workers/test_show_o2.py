"""Show-o2's worker, as far as it goes without its environment: perf/show_o2_parity.py runs the authors' code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from janus_eval.evals import registry
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.models.workers import named
from janus_eval.models.workers.named import SHOW_O2


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A folder and a file that stand for weights; nothing opens them before the model is asked for something."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "showo").mkdir()
    (tmp_path / "showo" / "config.json").write_text("{}")
    (tmp_path / "vae.pth").write_bytes(b"more")
    return {"checkpoint": str(tmp_path / "showo"), "vae": str(tmp_path / "vae.pth")}


def created(**options: str) -> Any:
    return registry.create("models", "show-o2", python=sys.executable, source="/nowhere", device="cpu", **options)


def test_its_card_has_every_knob_and_names_weights_and_environment(weights: dict[str, str]) -> None:
    changes = {"guidance": "5", "steps": "20", "max_new_tokens": "9", "dtype": "float32", "variant": "7b"}
    cards = []
    for change in ({}, *({name: value} for name, value in changes.items())):
        model = created(**weights, **change)
        assert model.kinds == {"image", "text"} and model.image_size == 432
        cards.append(dict(model.card))
        model.close()
    assert [cards[0][name] for name in ("guidance", "steps", "max_new_tokens")] == [7.5, 50, 300]
    assert str(cards[0]["checkpoint"]).startswith("showo#") and str(cards[0]["vae"]).startswith("vae.pth#")
    assert (cards[0]["language"], cards[-1]["language"]) == (
        "Qwen/Qwen2.5-1.5B-Instruct@main",
        "Qwen/Qwen2.5-7B-Instruct@main",
    )
    assert cards[0]["environment"] == f"#{SHOW_O2.digest}"
    assert len({str(sorted(each.items())) for each in cards}) == len(cards)


def test_without_its_environment_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JANUS_EVAL_ENVS", str(tmp_path))
    assert main(["run", "-m", "show-o2", "-b", "geneval", "-o", str(tmp_path / "runs")]) == 6
    assert "janus-eval env create show-o2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [{"guidance": "inf"}, {"steps": "1"}, {"max_new_tokens": "0"}, {"batch_size": "0"}, {"vae": "/none"}]
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="show-o2: "):
        created(**wrong)


def test_the_lock_pins_every_package_with_hashes_and_the_repository_by_its_trees() -> None:
    assert SHOW_O2.lock is not None and SHOW_O2.repository is not None
    lines = SHOW_O2.lock.read_text().splitlines()
    pins = [line for line in lines if line and line[0].isalpha()]
    assert all("==" in line and line.endswith("\\") for line in pins)
    assert {"torch==2.13.0 \\", "transformers==4.47.0 \\", "diffusers==0.31.0 \\"} <= {*pins}
    assert sum("--hash=sha256:" in line for line in lines) > len(pins)
    assert sorted(SHOW_O2.repository.trees) == ["show-o2/datasets", "show-o2/models", "show-o2/transport"]


def adapter() -> ModuleType:
    path = Path(named.__file__).with_name("show_o2.py")
    spec = importlib.util.spec_from_file_location("show_o2_adapter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_siglip_has_the_sizes_of_its_tensors_and_the_layer_that_is_taken_off() -> None:
    import torch

    shapes = {
        "position_embedding.weight": (729, 1152),
        **{f"und_trans.layers.{n}.mlp.fc1.weight": (4304, 1152) for n in range(26)},
    }
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    found = adapter().tower(tensors)  # those of google/siglip-so400m-patch14-384, but for its 384: 27 times 14 are seen
    assert (found["hidden_size"], found["intermediate_size"], found["num_hidden_layers"]) == (1152, 4304, 27)
    assert (found["image_size"], found["patch_size"], found["num_attention_heads"]) == (378, 14, 16)
    with pytest.raises(ValueError, match=r"has no position_embedding\.weight: it is none of Show-o2"):
        adapter().tower({})


def test_weights_are_read_as_tensors_alone_and_none_comes_twice(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.ones(2)}, tmp_path / "one.bin")
    torch.save({"b": torch.zeros(2)}, tmp_path / "two.bin")
    assert sorted(adapter().tensors(tmp_path)) == ["a", "b"]
    torch.save({"a": torch.ones(2)}, tmp_path / "two.bin")
    with pytest.raises(ValueError, match="tensor 'a' comes twice"):
        adapter().tensors(tmp_path)
    torch.save({"a": Path("/")}, tmp_path / "two.bin")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        adapter().tensors(tmp_path)
