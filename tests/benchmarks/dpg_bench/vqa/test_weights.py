"""Model folders as ModelScope ships them: read strictly, nothing assumed, nothing executed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from janus_eval.benchmarks.dpg_bench.vqa.weights import convert, load, read_sizes, read_state
from janus_eval.evals.errors import EnvironmentProblem, JanusEvalError, UsageError
from support.mplug_folder import sizes, write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "mplug", sizes())
    return tmp_path / "mplug"


def change(folder: Path, name: str, value: torch.Tensor | None) -> None:
    """Replace a tensor of the folder's file, or take it out."""
    state = dict(read_state(folder))
    state = {key: each.clone() for key, each in state.items() if key != name}
    if value is not None:
        state[name] = value
    torch.save(state, folder / "pytorch_model.bin")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_folder_gives_back_the_network_that_was_written(tmp_path: Path, legacy: bool) -> None:
    written = write_folder(tmp_path, sizes(3), legacy=legacy)
    network, tokens = load(tmp_path)
    assert network.sizes == sizes(3)
    assert tokens.words[101] == "[CLS]"
    state = written.state_dict()
    assert set(network.state_dict()) == set(state)
    assert all(torch.equal(each, state[name]) for name, each in network.state_dict().items())


def test_sizes_come_from_the_folder(tmp_path: Path) -> None:
    other = sizes(4, image_size=42, vision_layers=3, text_layers=2, beams=3, max_length=4, inner=20)
    write_folder(tmp_path, other)
    assert read_sizes(tmp_path, read_state(tmp_path)) == other


def test_a_converted_folder_holds_the_same_weights_and_no_others(folder: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "converted")
    before, after = load(folder)[0].state_dict(), load(tmp_path / "converted")[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert set(read_state(tmp_path / "converted")) == set(before)


def test_tied_tensors_may_be_stored_once(folder: Path) -> None:
    words = read_state(folder)["text_decoder.bert.embeddings.word_embeddings.weight"].clone()
    change(folder, "text_decoder.cls.predictions.decoder.weight", None)
    change(folder, "text_decoder.cls.predictions.decoder.bias", None)
    head = load(folder)[0].text_decoder.get_submodule("cls.predictions")
    assert torch.equal(head.get_parameter("decoder.weight"), words)


def test_half_precision_is_asked_for(folder: Path) -> None:
    network, _ = load(folder, dtype=torch.float16)
    assert {each.dtype for each in network.parameters()} == {torch.float16}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("visn_fc.bias", None, "lacks 1 tensors: visn_fc.bias"),
        ("text_encoder.pooler.dense.bias", torch.zeros(3), "unknown 1 tensors: text_encoder.pooler.dense.bias"),
        ("fusion_encoder.encoder.layer.6.output.dense.bias", torch.zeros(3), "unknown 1 tensors: fusion_encoder"),
        ("visn_fc.bias", torch.zeros(3), "visn_fc.bias has shape [3] where the config files ask for [32]"),
        ("visual_encoder.visual.conv1.weight", None, "not mPLUG's"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named(
    folder: Path, name: str, value: torch.Tensor | None, words: str
) -> None:
    change(folder, name, value)
    with pytest.raises(EnvironmentProblem) as refused:
        load(folder)
    assert words in str(refused.value)


def test_many_missing_tensors_are_counted(folder: Path) -> None:
    state = {key: each.clone() for key, each in read_state(folder).items() if not key.startswith("text_decoder")}
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(EnvironmentProblem, match=r"lacks \d\d tensors: .*, \.\.\."):
        load(folder)


@pytest.mark.parametrize(
    ("file", "key", "value", "words"),
    [
        ("config_bert.json", "stride_layer", None, "stride_layer is None"),
        ("config_bert.json", "fusion_layers", 9, "cannot be meant"),
        ("config_bert.json", "num_attention_heads", 0, "num_attention_heads is 0"),
        ("config_bert.json", "hidden_size", -1, "hidden_size is -1"),
        ("config_bert.json", "hidden_size", 64.5, "hidden_size is 64.5"),
        ("config_bert.json", "layer_norm_eps", 5, "between 0 and 1"),
        ("config_bert.json", "hidden_act", "relu", "hidden_act 'relu'"),
        ("config_bert.json", "text_encoder_layers", 2, "lacks"),
        ("config_bert.json", "text_encoder_layers", "two", "expected a whole number"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(
    folder: Path, file: str, key: str, value: object, words: str
) -> None:
    settings = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(settings | {key: value}))
    with pytest.raises(EnvironmentProblem) as refused:
        load(folder)
    assert words in str(refused.value)


def test_another_image_resolution_than_the_weights_is_refused(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("image_res: 28", "image_res: 56"))
    with pytest.raises(EnvironmentProblem, match="positional_embedding has shape"):
        load(folder)


@pytest.mark.parametrize("name", ["config.yaml", "config_bert.json", "vocab.txt", "pytorch_model.bin"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EnvironmentProblem, match=name.replace(".", r"\.")):
        load(folder)


@pytest.mark.parametrize("name", ["config.yaml", "config_bert.json"])
def test_lists_without_end_are_one_line(folder: Path, name: str) -> None:
    (folder / name).write_text("[" * 20_000)
    with pytest.raises(EnvironmentProblem, match="cannot be read"):
        load(folder)


@pytest.mark.parametrize("name", ["config.yaml", "config_bert.json", "pytorch_model.bin", "model.safetensors"])
def test_a_damaged_file_is_one_line(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04: [broken")
    with pytest.raises(JanusEvalError) as refused:
        load(folder)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


class Intruder:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_that_runs_code_is_refused_and_runs_none(folder: Path, tmp_path: Path, legacy: bool) -> None:
    mark = tmp_path / "was_here"
    content = {"model": Intruder(mark)}
    if legacy:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(EnvironmentProblem, match="cannot be read as plain tensors"):
        load(folder)
    assert not mark.exists()


def test_no_folder_at_all_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        load(tmp_path / "nowhere")
