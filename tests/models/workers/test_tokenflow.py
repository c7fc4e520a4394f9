"""TokenFlow-XL's worker, as far as it goes without its environment: perf/tokenflow_parity.py runs the authors' code."""

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
from janus_eval.models.workers.named import TOKENFLOW


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Folders and files that stand for weights; nothing opens them before the model is asked for something."""
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "draws").mkdir()
    (tmp_path / "draws" / "config.json").write_text("{}")
    (tmp_path / "tokenizer.pt").write_bytes(b"weights")
    return {"drawing": str(tmp_path / "draws"), "drawing_tokenizer": str(tmp_path / "tokenizer.pt")}


def created(**options: str) -> Any:
    return registry.create("models", "tokenflow-xl", python=sys.executable, source="/nowhere", device="cpu", **options)


def test_its_card_has_every_knob_and_names_weights_and_environment(weights: dict[str, str]) -> None:
    cards = []
    for change in ({}, {"guidance": "5"}, {"loops": "2"}, {"max_new_tokens": "9"}, {"dtype": "float32"}):
        model = created(**weights, **change)
        assert model.kinds == {"image", "text"}
        assert model.image_size == 256
        cards.append(dict(model.card))
        model.close()
    assert (cards[0]["guidance"], cards[0]["loops"]) == (7.5, 1)
    assert str(cards[0]["drawing"]).startswith("draws#")
    assert cards[0]["answering"] == ("ByteFlow-AI/Tokenflow-llava-qwen2.5-14B-finetuning@main, tokenflow_siglip_32k.pt")
    assert cards[0]["environment"] == f"#{TOKENFLOW.digest}"
    assert len({str(sorted(each.items())) for each in cards}) == len(cards)


def test_other_weights_of_the_same_name_are_another_card(weights: dict[str, str]) -> None:
    before, after = created(**weights), created(**weights)
    first = before.card["drawing"]
    (Path(weights["drawing"]) / "config.json").write_text('{"hidden_size": 4}')
    assert after.card["drawing"] != first
    before.close(), after.close()


def test_without_its_environment_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JANUS_EVAL_ENVS", str(tmp_path))
    assert main(["run", "-m", "tokenflow-xl", "-b", "geneval", "-o", str(tmp_path / "runs")]) == 6
    assert "janus-eval env create tokenflow-xl" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"loops": "4"}, {"guidance": "nan"}, {"batch_size": "0"}, {"drawing": "/nowhere"}])
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="tokenflow-xl: "):
        created(**wrong)


def test_the_lock_pins_every_package_with_hashes_and_the_repository_by_its_trees() -> None:
    assert TOKENFLOW.lock is not None and TOKENFLOW.repository is not None
    lines = TOKENFLOW.lock.read_text().splitlines()
    pins = [line for line in lines if line and line[0].isalpha()]
    assert all("==" in line and line.endswith("\\") for line in pins)
    assert {"torch==2.13.0 \\", "transformers==4.43.4 \\"} <= {*pins}
    assert sum("--hash=sha256:" in line for line in lines) > len(pins)
    assert sorted(TOKENFLOW.repository.trees) == ["i2t", "t2i", "tokenflow"]


def adapter() -> ModuleType:
    path = Path(named.__file__).with_name("tokenflow.py")
    spec = importlib.util.spec_from_file_location("tokenflow_adapter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_row_is_drawn_by_its_own_generator_under_the_authors_rule() -> None:
    import torch

    def rule(logits: torch.Tensor, top_k: int, rng: torch.Generator) -> torch.Tensor:
        odds = logits.topk(top_k).values.softmax(-1)
        return torch.multinomial(odds.view(-1, top_k), 1, generator=rng).view(*logits.shape[:2], 1)

    drawing = object.__new__(adapter()._Drawing)
    drawing._sample = rule
    logits = torch.randn(3, 50, 40, generator=torch.Generator().manual_seed(0))

    def drawn(rows: list[int]) -> torch.Tensor:
        drawing.generators = [torch.Generator().manual_seed(seed) for seed in rows]
        return drawing._sample_rows(logits[rows], top_k=20)

    together = drawn([0, 1, 2])
    assert together.shape == (3, 50, 1)
    for row in range(3):
        assert (drawn([row])[0] == together[row]).all()
        assert (rule(logits[row : row + 1], 20, torch.Generator().manual_seed(row))[0] == together[row]).all()
    assert (together[0] != together[1]).any()
