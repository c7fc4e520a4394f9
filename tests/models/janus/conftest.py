"""Janus folders of both formats, made once: the toy's native one and the same weights renamed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.prompts import Tokens
from janus_eval.models.janus.toy import build
from safetensors.torch import load_file, save_file
from support.janus_folders import load, original_config, original_tensors


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def original(native: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the native folder's model as deepseek-ai would have published it, in two shards."""
    folder = tmp_path_factory.mktemp("original")
    weights = original_tensors(load_file(native / "model.safetensors"))
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, own in shards.items():
        save_file({name: weights[name].contiguous() for name in own}, folder / file)
    where = {name: file for file, own in shards.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "config.json").write_text(json.dumps(original_config(json.loads((native / "config.json").read_text()))))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_size": 64, "do_normalize": True}))
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (folder / name).write_text((native / name).read_text(encoding="utf-8"), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tokens(native: Path) -> Tokens:
    return Tokens(native)


@pytest.fixture(scope="session")
def network(native: Path, tokens: Tokens) -> Network:
    return load(native, tokens)
