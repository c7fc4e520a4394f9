"""A checkpoint of mmdet becomes the same network in transformers, or an error that says why not."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
import torch
from janus_eval.benchmarks.geneval.detector import architecture, checkpoint, convert, small
from janus_eval.benchmarks.geneval.detector import folder as converted
from janus_eval.benchmarks.geneval.detector.pixels import Settings
from janus_eval.benchmarks.geneval.detector.weights import Weights
from janus_eval.evals.errors import EnvironmentProblem, UsageError
from support import mmdet_files

PARTS = ("q_proj", "k_proj", "v_proj", "self.query", "self.key", "self.value")
"""Rows of one tensor of mmdet, as transformers 5 and 4 name them."""

UNUSED = re.compile(r"encoder\.(swin\.)?layernorm\.")


def parameters(folder: Path) -> dict[str, torch.Tensor]:
    return dict(converted.load(str(folder)).named_parameters())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("converted")
    convert.convert(mmdet_files.write_pth(root / "a.pth"), root / "folder", small.SMALL_SETTINGS)
    return root / "folder"


def test_both_namings_and_both_file_formats_give_the_same_network(folder: Path, tmp_path: Path) -> None:
    expected = parameters(folder)
    for naming, zipped in (("3.x", False), ("2.x", True), ("3.x", True)):
        path = mmdet_files.write_pth(tmp_path / "b.pth", naming, zipped=zipped)
        assert convert.convert(path, tmp_path / "b") == f"mmdet {naming}"
        found = parameters(tmp_path / "b")
        assert all(torch.equal(found[key], value) for key, value in expected.items() if not UNUSED.search(key))


def test_every_loaded_parameter_comes_from_the_checkpoint(folder: Path) -> None:
    source = {tuple(value.shape): [] for value in mmdet_files.state_dict().values()}
    for value in mmdet_files.state_dict().values():
        source[tuple(value.shape)].append(value)
    found = parameters(folder)
    copied = [key for key in found if not any(word in key for word in (*PARTS, "downsample"))]
    copied = [key for key in copied if not UNUSED.search(key)]
    assert len(copied) > 100
    for key in copied:
        assert any(torch.equal(found[key], each) for each in source[tuple(found[key].shape)]), key


def test_patch_merging_computes_what_unfold_computes(folder: Path) -> None:
    """mmdet merges patches by torch.nn.Unfold; the permuted layer of transformers must give the same."""
    state = mmdet_files.state_dict()
    model = converted.load(str(folder))
    wide = small.SMALL.embed_dim
    features = torch.randn(1, wide, 8, 6, generator=torch.Generator().manual_seed(0))
    flat = torch.nn.functional.unfold(features, kernel_size=2, stride=2).transpose(1, 2)
    name = "backbone.stages.0.downsample"
    normed = torch.nn.functional.layer_norm(flat, (4 * wide,), state[f"{name}.norm.weight"], state[f"{name}.norm.bias"])
    expected = normed @ state[f"{name}.reduction.weight"].T
    layer = next(each for key, each in model.named_modules() if key.endswith("layers.0.downsample"))
    found = layer(features.flatten(2).transpose(1, 2), (8, 6))
    assert torch.allclose(found, expected, atol=1e-5)


def test_sizes_are_read_from_the_tensors() -> None:
    tensors = mmdet_files.state_dict("3.x")
    assert architecture.architecture(tensors, Path("x.pth")) == small.SMALL


def test_settings_travel_with_the_folder(folder: Path) -> None:
    assert converted.settings_of(folder) == small.SMALL_SETTINGS
    assert converted.settings_of(folder.parent) == Settings()


@pytest.mark.parametrize(
    "lost", ["panoptic_head.query_feat.weight", "backbone.norm2.bias", "panoptic_head.mask_embed.4.weight"]
)
def test_a_missing_tensor_is_named(tmp_path: Path, lost: str) -> None:
    state = mmdet_files.state_dict()
    del state[lost]
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match=lost.replace(".", r"\.")):
        convert.convert(tmp_path / "x.pth", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_unknown_tensor_is_named(tmp_path: Path) -> None:
    torch.save({**mmdet_files.state_dict(), "backbone.extra.weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match=r"unknown tensor: backbone\.extra\.weight"):
        convert.convert(tmp_path / "x.pth", tmp_path / "x")


def test_a_misshapen_tensor_is_named(tmp_path: Path) -> None:
    state = mmdet_files.state_dict()
    state["backbone.norm1.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(UsageError, match=r"backbone\.norm1\.weight has the shape \(3,\), expected \(32,\)"):
        convert.convert(tmp_path / "x.pth", tmp_path / "x")


def test_another_class_list_is_refused(tmp_path: Path) -> None:
    names = list(mmdet_files.coco_names())
    names[3], names[4] = names[4], names[3]
    path = mmdet_files.write_pth(tmp_path / "x.pth", meta={"CLASSES": tuple(names)})
    with pytest.raises(UsageError, match="class 3 is 'airplane'"):
        convert.convert(path, tmp_path / "x")


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    state = mmdet_files.state_dict()
    state["panoptic_head.cls_embed.weight"] = torch.zeros(134, 32)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="133 classes"):
        convert.convert(tmp_path / "x.pth", tmp_path / "x")


def test_a_full_width_network_without_its_last_layers_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    wide = replace(small.SMALL, embed_dim=96, heads=(3, 6, 12, 24), depths=(2, 2, 6, 2))
    tensors = {name: torch.zeros(step.shape) for name, step in architecture.plan(wide).items()}
    with pytest.raises(UsageError, match="another or an incomplete checkpoint"):
        architecture.architecture(tensors, tmp_path / "x.pth")


def test_transformers_own_names_are_told_apart(tmp_path: Path) -> None:
    torch.save({"model.pixel_level_module.x": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="give its folder"):
        convert.convert(tmp_path / "x.pth", tmp_path / "x")


def test_a_truncated_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    for zipped in (False, True):
        path = mmdet_files.write_pth(tmp_path / "x.pth", zipped=zipped)
        path.write_bytes(path.read_bytes()[:200_000])
        with pytest.raises(EnvironmentProblem, match=r"x\.pth cannot be read") as caught:
            convert.convert(path, tmp_path / "x")
        assert "\n" not in str(caught.value)


def test_a_file_named_as_the_official_one_must_have_its_digest(tmp_path: Path) -> None:
    path = mmdet_files.write_pth(tmp_path / "mask2former_x-743b7d99.pth")
    with pytest.raises(EnvironmentProblem, match="truncated or altered"):
        checkpoint.read(path)


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.target}",)


def test_pickled_code_never_runs(tmp_path: Path) -> None:
    target = tmp_path / "exploded"
    for zipped in (False, True):
        path = mmdet_files.write_pth(tmp_path / "x.pth", zipped=zipped, meta={"bomb": _Bomb(target)})
        found = checkpoint.read(path)
        assert found.tensors.keys() == mmdet_files.state_dict().keys()
        assert not target.exists()


def test_a_bomb_in_place_of_a_tensor_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": _Bomb(tmp_path / "exploded")}}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="'a' is no tensor"):
        checkpoint.read(tmp_path / "x.pth")
    assert not (tmp_path / "exploded").exists()


def test_meta_objects_of_other_libraries_are_passed_over(tmp_path: Path) -> None:
    module = type(sys)("gone_library")
    exec("class History(dict):\n    def __init__(self): self.x = [1]\n", module.__dict__)
    module.History.__module__ = "gone_library"
    sys.modules["gone_library"] = module
    try:
        path = mmdet_files.write_pth(
            tmp_path / "x.pth", meta={"CLASSES": mmdet_files.coco_names(), "hub": module.History()}
        )
    finally:
        del sys.modules["gone_library"]
    assert checkpoint.read(path).classes == mmdet_files.coco_names()


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    path = mmdet_files.write_pth(tmp_path / "x.pth")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(UsageError, match="no converted detector"):
        convert.convert(path, tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_altered_weights_in_a_converted_folder_are_noticed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    convert.convert(mmdet_files.write_pth(tmp_path / "x.pth", seed=1), other)
    (other / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(EnvironmentProblem, match="not the file that the conversion wrote"):
        converted.check_files(other)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder that was converted from a checkpoint with the official settings."""
    convert.convert(mmdet_files.write_pth(tmp_path / "own.pth"), tmp_path / "own")
    return tmp_path / "own"


def test_a_converted_folder_is_named_as_its_checkpoint(own: Path) -> None:
    assert Weights(str(own)).identity == Weights(str(own.with_suffix(".pth"))).identity


@pytest.mark.parametrize(("file", "key", "value"), [("detector.json", "divisor", 64), ("config.json", "dropout", 0.5)])
def test_a_converted_folder_with_a_changed_setting_is_another_detector(
    own: Path, file: str, key: str, value: float
) -> None:
    row = json.loads((own / file).read_text())
    (own / file).write_text(json.dumps({**row, key: value}))
    assert Weights(str(own)).identity != Weights(str(own.with_suffix(".pth"))).identity


def test_a_converted_folder_with_changed_weights_has_no_name(own: Path) -> None:
    weights = own / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(EnvironmentProblem, match="not the file that the conversion wrote"):
        _ = Weights(str(own)).identity


def test_a_folder_with_other_labels_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "x")
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    config["id2label"]["0"] = "cat"
    (tmp_path / "x" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="class 0 is 'cat'"):
        converted.load(str(tmp_path / "x"))


def test_a_folder_as_transformers_saves_it_loads_with_the_official_settings(folder: Path, tmp_path: Path) -> None:
    expected = parameters(folder)
    model = converted.load(str(folder))
    model.config.id2label = dict(enumerate(mmdet_files.coco_names()))
    model.config.id2label |= {3: "motorbike", 57: "sofa"}
    model.save_pretrained(tmp_path / "saved")
    found = parameters(tmp_path / "saved")
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert converted.settings_of(tmp_path / "saved") == Settings()
    assert converted.recorded_response(tmp_path / "saved") is None
    assert Weights(str(tmp_path / "saved")).identity.startswith("unpublished-")


@pytest.mark.parametrize("values", [{"scale": [1333]}, {"scale": ["a", 1]}, {"divisor": 0}, {"std": [1, 1, 0]}])
def test_wrong_settings_are_refused(tmp_path: Path, values: dict[str, object]) -> None:
    (tmp_path / "detector.json").write_text(json.dumps(values))
    with pytest.raises(UsageError, match="convert the checkpoint again"):
        converted.settings_of(tmp_path)


def test_a_checkpoint_is_converted_into_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANUS_EVAL_CACHE", str(tmp_path / "cache"))
    chosen = Weights(str(mmdet_files.write_pth(tmp_path / "x.pth")))
    with chosen.folder() as first:
        made = (first / "model.safetensors").stat().st_mtime_ns
    with chosen.folder() as second:
        assert second == first and (second / "model.safetensors").stat().st_mtime_ns == made
    assert [each.name for each in first.parent.iterdir()] == [first.name]


def test_the_command_converts_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = mmdet_files.write_pth(tmp_path / "x.pth", "3.x")
    assert convert.main([str(path), str(tmp_path / "out"), "--scale", "160", "128", "--max-per-image", "20"]) == 0
    assert "mmdet 3.x names" in capsys.readouterr().out
    assert converted.settings_of(tmp_path / "out") == small.SMALL_SETTINGS
    assert convert.main([str(tmp_path / "none.pth"), str(tmp_path / "out")]) == 6
    assert capsys.readouterr().err.startswith("error: detector checkpoint")
