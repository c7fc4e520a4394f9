"""Janus folders: both formats load strictly, and what is damaged, missing or hostile is named."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from janus_eval.models.janus.checkpoint import Checkpoint
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.prompts import Tokens
from safetensors.torch import load_file, save_file
from support.janus_folders import load, original_config, original_tensors


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(original, folder)
    return folder


@pytest.fixture
def single(native: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "single"
    shutil.copytree(native, folder)
    return folder


def read(folder: Path, tokens: Tokens, dtype: torch.dtype = torch.float32) -> Network:
    return load(folder, tokens, dtype, pack=False)


@pytest.fixture(scope="module")
def whole(native: Path, tokens: Tokens) -> Network:
    return read(native, tokens)


def same(one: Network, other: Network) -> bool:
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_both_formats_give_the_same_network(original: Path, whole: Network, tokens: Tokens) -> None:
    assert Checkpoint(original).original
    assert same(read(original, tokens), whole)


def test_pytorch_bin_files_load_as_safetensors_do(native: Path, whole: Network, tokens: Tokens, tmp_path: Path) -> None:
    weights = original_tensors(load_file(native / "model.safetensors"))
    names = sorted(weights)
    folder = tmp_path / "bins"
    shutil.copytree(native, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    files = {"pytorch_model-00001-of-00002.bin": names[:50], "pytorch_model-00002-of-00002.bin": names[50:]}
    for file, own in files.items():
        torch.save({name: weights[name] for name in own}, folder / file, _use_new_zipfile_serialization="00001" in file)
    where = {name: file for file, own in files.items() for name in own}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))
    config = original_config(json.loads((native / "config.json").read_text()))
    (folder / "config.json").write_text(json.dumps(config))
    assert same(read(folder, tokens), whole)


def test_the_head_is_not_tied_to_the_embeddings(whole: Network) -> None:
    embeddings = whole.model.model.language_model.embed_tokens.weight
    assert not torch.equal(embeddings, whole.model.lm_head.weight)


def test_a_checkpoint_that_ties_them_itself_is_taken_at_its_word(single: Path, tokens: Tokens) -> None:
    weights = load_file(single / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, single / "model.safetensors")
    with pytest.raises(EnvironmentProblem, match=r"1 of \d+ tensors are missing, the first is 'lm_head.weight'"):
        read(single, tokens)
    config = json.loads((single / "config.json").read_text())
    (single / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    tied = read(single, tokens)
    assert torch.equal(tied.model.lm_head.weight, weights["model.language_model.embed_tokens.weight"])


def test_a_truncated_shard_is_named(copy: Path, tokens: Tokens) -> None:
    shard = copy / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(EnvironmentProblem, match=r"model-00002-of-00002\.safetensors is damaged or cut short"):
        read(copy, tokens)


def test_a_truncated_bin_file_is_named(native: Path, tokens: Tokens, tmp_path: Path) -> None:
    folder = tmp_path / "bins"
    shutil.copytree(native, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(load_file(native / "model.safetensors"), folder / "pytorch_model.bin")
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EnvironmentProblem, match=r"pytorch_model\.bin is damaged"):
        read(folder, tokens)


def test_a_missing_shard_is_named(copy: Path) -> None:
    (copy / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(EnvironmentProblem, match=r"model-00001-of-00002\.safetensors is missing: the index names it"):
        Checkpoint(copy)


def test_an_index_cannot_lead_outside_the_folder(copy: Path) -> None:
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../native/model.safetensors"}}))
    with pytest.raises(EnvironmentProblem, match="no plain file name"):
        Checkpoint(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.update({"model.extra.weight": torch.zeros(3)}), "unknown tensor 'model.extra.weight'"),
        (
            lambda w: w.pop("model.aligner.fc1.bias"),
            r"1 of \d+ tensors are missing, the first is 'model.aligner.fc1.bias'",
        ),
        (lambda w: w.update({"lm_head.weight": torch.zeros(2, 2)}), r"'lm_head.weight' is \(2, 2\)"),
        (lambda w: w.update({"lm_head.weight": w["lm_head.weight"].to(torch.int8)}), "int8"),
    ],
)
def test_loading_is_strict(single: Path, tokens: Tokens, change, message: str) -> None:
    weights = load_file(single / "model.safetensors")
    change(weights)
    save_file(weights, single / "model.safetensors")
    with pytest.raises(EnvironmentProblem, match=message):
        read(single, tokens)


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("sprung"),))


def test_a_pickle_is_refused_and_not_executed(native: Path, tokens: Tokens, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "hostile"
    shutil.copytree(native, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"lm_head.weight": Trap()}, protocol=2))
    with pytest.raises(EnvironmentProblem, match="not executed"):
        read(folder, tokens)
    assert not (tmp_path / "sprung").exists()


def test_another_kind_of_model_or_no_model_is_a_usage_error(single: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model folder at"):
        Checkpoint(tmp_path / "nowhere")
    (single / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(UsageError, match="'llava' model"):
        Checkpoint(single)
    (single / "config.json").write_text("{")
    with pytest.raises(EnvironmentProblem, match="no JSON"):
        Checkpoint(single)


def test_a_folder_without_weights_says_what_is_looked_for(single: Path) -> None:
    (single / "model.safetensors").unlink()
    with pytest.raises(EnvironmentProblem, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        Checkpoint(single)


def test_weights_load_in_the_type_that_is_asked_for(native: Path, tokens: Tokens) -> None:
    assert read(native, tokens, torch.bfloat16).dtype == torch.bfloat16


def test_other_weights_have_another_fingerprint(single: Path) -> None:
    before = Checkpoint(single).fingerprint
    weights = load_file(single / "model.safetensors")
    weights["lm_head.weight"][0, 0] += 1
    save_file(weights, single / "model.safetensors")
    assert Checkpoint(single).fingerprint != before


# -- as training leaves it -----------------------------------------------------------------------------


@pytest.fixture
def bare(native: Path, tmp_path: Path) -> Path:
    """A native folder without its weights."""
    folder = tmp_path / "bare"
    shutil.copytree(native, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.index.json"))
    return folder


@pytest.fixture(scope="module")
def tensors(native: Path) -> dict[str, torch.Tensor]:
    return load_file(native / "model.safetensors")


WRAPPERS = ["module.", "_orig_mod.", "base_model.model.", "module._orig_mod.", "_forward_module."]
WRAPPERS += ["_orig_mod.module.", "_fsdp_wrapped_module.", "module._fsdp_wrapped_module._orig_mod.base_model.model."]


@pytest.mark.parametrize("prefix", WRAPPERS)
def test_what_a_wrapper_set_before_each_name_is_taken_off(bare, tensors, whole, tokens, prefix: str) -> None:
    save_file({prefix + name: value for name, value in tensors.items()}, bare / "model.safetensors")
    assert same(read(bare, tokens), whole)


def test_a_compiled_part_is_found(bare, tensors, whole, tokens) -> None:
    names = {name: name.replace("model.language_model.", "model.language_model._orig_mod.") for name in tensors}
    save_file({names[name]: value for name, value in tensors.items()}, bare / "model.safetensors")
    assert same(read(bare, tokens), whole)


def test_names_that_are_one_without_their_wrapper_are_refused(bare, tensors, tokens) -> None:
    save_file({**tensors, "module.lm_head.weight": tensors["lm_head.weight"].clone()}, bare / "model.safetensors")
    with pytest.raises(EnvironmentProblem, match=r"tensor 'lm_head.weight' comes twice"):
        read(bare, tokens)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "module"])
def test_a_trainings_own_checkpoint_is_opened(bare, tensors, whole, tokens, key: str) -> None:
    torch.save({key: tensors, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}, bare / "pytorch_model.bin")
    assert same(read(bare, tokens), whole)


def test_two_sets_of_weights_are_not_chosen_from(bare, tensors, tokens) -> None:
    torch.save({"state_dict": tensors, "state_dict_ema": tensors}, bare / "pytorch_model.bin")
    with pytest.raises(EnvironmentProblem, match=r"two sets of weights, 'state_dict' and 'state_dict_ema': which"):
        read(bare, tokens)


def test_an_adapter_beside_a_whole_model_is_not_passed_over(single: Path) -> None:
    (single / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(EnvironmentProblem, match=r"a whole model and a LoRA adapter .*: which of them is meant"):
        Checkpoint(single)


def test_a_checkpoint_without_weights_is_none(bare, tokens) -> None:
    torch.save({"epoch": 3, "state_dict": {"a": 1}}, bare / "pytorch_model.bin")
    with pytest.raises(EnvironmentProblem, match="is no table of tensors"):
        read(bare, tokens)


def test_buffers_that_the_network_makes_itself_are_left_out(bare, tensors, whole, tokens) -> None:
    table = tensors | {
        "model.vision_model.embeddings.position_ids": torch.arange(64)[None],
        "model.language_model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(3),
        "model.language_model.rotary_emb.inv_freq": torch.zeros(3),
    }
    save_file(table, bare / "model.safetensors")
    assert same(read(bare, tokens), whole)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_need_no_index(bare, tensors, whole, tokens, kind: str) -> None:
    names, write = sorted(tensors), save_file if kind == "safetensors" else torch.save
    stem = "model" if kind == "safetensors" else "pytorch_model"
    for number in range(3):
        own = {name: tensors[name] for name in names[number::3]}
        write(own, bare / f"{stem}-{number + 1:05d}-of-00003.{kind}")
    assert same(read(bare, tokens), whole)
    (bare / f"{stem}-00002-of-00003.{kind}").unlink()
    with pytest.raises(EnvironmentProblem, match=rf"2 of 3 shards: {stem}-00002-of-00003\.{kind} is missing"):
        Checkpoint(bare)


def test_shards_of_two_models_are_refused(bare, tensors) -> None:
    for name in ("model-00001-of-00002.safetensors", "model-00001-of-00001.safetensors"):
        save_file(tensors, bare / name)
    with pytest.raises(EnvironmentProblem, match="shards of several models"):
        Checkpoint(bare)


def test_an_adapter_is_told_apart(bare, tensors, tokens) -> None:
    (bare / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "deepseek-ai/Janus-Pro-1B"}))
    with pytest.raises(EnvironmentProblem, match=r"a LoRA adapter for deepseek-ai/Janus-Pro-1B, no whole model: merge"):
        Checkpoint(bare)
    (bare / "adapter_config.json").unlink()
    lora = {"base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight": torch.zeros(2, 2)}
    save_file({**tensors, **lora}, bare / "model.safetensors")
    with pytest.raises(EnvironmentProblem, match=r"holds a LoRA adapter .*: merge"):
        read(bare, tokens)


@pytest.mark.parametrize(("name", "told"), [("__0_0.distcp", "FSDP"), ("zero_to_fp32.py", "DeepSpeed")])
def test_a_distributed_checkpoint_is_told_apart(bare, name: str, told: str) -> None:
    (bare / name).write_bytes(b"")
    with pytest.raises(EnvironmentProblem, match=told):
        Checkpoint(bare)


@pytest.mark.parametrize("size", [2**70, -1, "wide"])
def test_a_network_of_no_possible_size_is_one_line(single: Path, tokens: Tokens, size: object) -> None:
    config = json.loads((single / "config.json").read_text())
    config["vision_config"]["patch_size"] = size
    (single / "config.json").write_text(json.dumps(config))
    with pytest.raises(EnvironmentProblem, match=r"config\.json ") as raised:
        read(single, tokens)
    assert "\n" not in str(raised.value)
