"""open_clip and transformers hold the same CLIP, prepare a crop alike and name the same colours."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from janus_eval.benchmarks.geneval.detector import colour
from janus_eval.benchmarks.geneval.detector.colour import ColourNames, OpenClip, TransformersClip
from janus_eval.benchmarks.geneval.observer import load_clip
from PIL import Image
from support import clip_files
from support.torchvision_ops import import_torchvision

if importlib.util.find_spec("open_clip") is None:
    pytest.skip("open_clip is not installed: tox -e clip runs this", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")  # timm and torchvision warn on import in several ways


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One small random CLIP with the real vocabulary, as a transformers and as an open_clip folder."""
    import_torchvision()
    import open_clip
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPModel

    ours, theirs = tmp_path_factory.mktemp("transformers"), tmp_path_factory.mktemp("open_clip")
    clip_files.write_clip(ours)
    config = CLIPConfig.from_pretrained(ours)
    for key, value in (
        ("vocab_size", 49408),
        ("bos_token_id", 49406),
        ("eos_token_id", 49407),
        ("pad_token_id", 49407),
    ):
        setattr(config.text_config, key, value)
    torch.manual_seed(0)
    model = CLIPModel(config)
    model.save_pretrained(ours)
    write_vocabulary(Path(open_clip.__file__).parent, ours)
    save_file(open_clip_names(model.state_dict()), theirs / "open_clip_model.safetensors")
    side = {"width": 32, "layers": 2, "mlp_ratio": 2.0}
    row = {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {**side, "image_size": 32, "patch_size": 8, "head_width": 16},
        "text_cfg": {**side, "context_length": 77, "vocab_size": 49408, "heads": 2},
    }
    (theirs / "open_clip_config.json").write_text(json.dumps({"model_cfg": row, "preprocess_cfg": {}}))
    return ours, theirs


def write_vocabulary(package: Path, folder: Path) -> None:
    """Write CLIP's own vocabulary, which open_clip carries, as transformers reads it."""
    text = gzip.decompress((package / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode("utf-8")
    merges = text.split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = clip_files.byte_letters()
    tokens = [*letters, *(f"{each}</w>" for each in letters), *("".join(each.split()) for each in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def open_clip_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a CLIP of transformers under open_clip's names."""
    result = {
        "visual.conv1.weight": state["vision_model.embeddings.patch_embedding.weight"],
        "visual.class_embedding": state["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": state["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": state["text_model.embeddings.position_embedding.weight"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": state["logit_scale"],
    }
    norms = {"visual.ln_pre": "vision_model.pre_layrnorm", "visual.ln_post": "vision_model.post_layernorm"}
    norms["ln_final"] = "text_model.final_layer_norm"
    for new, old in (("visual.transformer", "vision_model"), ("transformer", "text_model")):
        for layer in range(2):
            source, target = f"{old}.encoder.layers.{layer}", f"{new}.resblocks.{layer}"
            norms |= {f"{target}.ln_1": f"{source}.layer_norm1", f"{target}.ln_2": f"{source}.layer_norm2"}
            norms |= {f"{target}.mlp.c_fc": f"{source}.mlp.fc1", f"{target}.mlp.c_proj": f"{source}.mlp.fc2"}
            norms[f"{target}.attn.out_proj"] = f"{source}.self_attn.out_proj"
            for kind in ("weight", "bias"):
                parts = [state[f"{source}.self_attn.{each}_proj.{kind}"] for each in "qkv"]
                result[f"{target}.attn.in_proj_{kind}"] = torch.cat(parts)
    for new, old in norms.items():
        result |= {f"{new}.{kind}": state[f"{old}.{kind}"] for kind in ("weight", "bias")}
    return {key: value.contiguous() for key, value in result.items()}


def test_features_are_equal(folders: tuple[Path, Path]) -> None:
    ours, theirs = TransformersClip(folders[0], "cpu"), OpenClip(folders[1], "cpu")
    assert ours.image_size == theirs.image_size == 32
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    texts = ["a photo of a red hot dog", "a photo of a yellow-colored computer keyboard", "a photo of a black object"]
    with torch.inference_mode():
        assert torch.allclose(ours.images(pixels), theirs.images(pixels), atol=1e-5)
        assert torch.allclose(ours.texts(texts), theirs.texts(texts), atol=1e-5)


@pytest.mark.parametrize("size", [(224, 224), (225, 300), (301, 90), (1, 1), (3, 400), (50, 77), (640, 481)])
def test_pixels_are_those_of_open_clips_transform(size: tuple[int, int]) -> None:
    import_torchvision()
    from open_clip.transform import image_transform

    transform: Any = image_transform(224, is_train=False)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    assert np.abs(colour.pixels(picture, 224) - transform(picture).numpy()).max() < 1e-6


def test_colours_are_equal(folders: tuple[Path, Path]) -> None:
    rng = np.random.default_rng(0)
    crops = [Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(12)]
    named = []
    for folder, backend in zip(folders, ("transformers", "open_clip"), strict=True):
        names = ColourNames(load_clip(str(folder), backend, "cpu", True), "cpu")
        named.append(names.name(names.prepare(crops), ["hot dog", "computer keyboard", "cow"] * 4))
    assert named[0] == named[1]
