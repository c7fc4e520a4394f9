"""A small mPLUG model folder in the format of ModelScope's, random weights, unused tensors included."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import torch
import yaml
from janus_eval.benchmarks import dpg_bench
from janus_eval.benchmarks.dpg_bench.vqa.mplug import MPlug
from janus_eval.benchmarks.dpg_bench.vqa.sizes import Sizes
from janus_eval.benchmarks.dpg_bench.vqa.tokens import SPECIAL, Tokens


def tokens() -> Tokens:
    """Return a tokenizer over yes, no, letters and the example's words; 101 and 102 are [CLS] and [SEP]."""
    text = (Path(dpg_bench.__path__[0]) / "example.csv").read_text(encoding="utf-8").lower()
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no"]
    words += [*letters, *(f"##{each}" for each in letters), *"?.,;:'!-"]
    words += sorted(set(re.findall(r"[a-z]{2,}", text)) - set(words))
    assert words.index("[CLS]") == 101
    assert set(SPECIAL) <= set(words)
    return Tokens(words)


WORDS = tokens().words


def fill(network: MPlug, seed: int = 0) -> None:
    """Give a network random weights of its own seed: linear 1/sqrt(fan in), embeddings 1, norms 1 and 0."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, each in network.named_parameters():
            if each.dim() == 1:
                each.fill_(1.0 if re.search(r"(LayerNorm|ln_\w+|layer_norm)\.weight$", name) else 0.0)
                continue
            scale = 1.0 if "embedding" in name else 1 / math.sqrt(each[0].numel())
            each.copy_(torch.randn(each.shape, generator=random) * scale)
        head = network.text_decoder.get_submodule("cls.predictions")
        words = network.text_decoder.get_parameter("bert.embeddings.word_embeddings.weight")
        head.get_parameter("decoder.weight").copy_(words)


def sizes(stride: int = 2, **changes: Any) -> Sizes:
    found: dict[str, Any] = {
        "image_size": 28,
        "patch": 14,
        "vision_width": 64,
        "vision_layers": 2,
        "width": 32,
        "heads": 2,
        "inner": 48,
        "words": len(WORDS),
        "positions": 32,
        "kinds": 2,
        "eps": 1e-12,
        "text_layers": 1,
        "fusion_list": 6,
        "fusion_layers": 5,
        "decoder_layers": 2,
        "stride": stride,
        "memory_width": 32,
        "min_length": 1,
        "max_length": 6,
        "beams": 5,
    }
    return Sizes(**(found | changes))


def network(made: Sizes, seed: int = 0, end: float = 2.0) -> MPlug:
    """Return a calm random network whose beams end after few tokens; `end` is the end token's bias."""
    found = MPlug(made)
    fill(found, seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, each in found.named_parameters():
            if each.dim() == 1 and not name.startswith("text_decoder.cls"):
                each.add_(torch.randn(each.shape, generator=random) * 0.1)
        head = found.text_decoder.get_submodule("cls.predictions")
        head.get_parameter("decoder.weight").mul_(0.3)
        bias = torch.randn(made.words, generator=random)
        bias[: WORDS.index("yes")] = -30.0
        bias[WORDS.index("[SEP]")] = end
        head.get_parameter("decoder.bias").copy_(bias)
        head.get_parameter("bias").copy_(bias)
        found.text_decoder.get_parameter("bert.embeddings.word_embeddings.weight").mul_(0.3)
    return found.eval().requires_grad_(False)


def unused(made: Sizes) -> dict[str, torch.Tensor]:
    """Return what the published file holds beside the network: it must be dropped, not used."""
    junk = torch.full((3,), math.nan)
    names = [
        "visual_encoder.visual.proj",
        "visual_encoder.positional_embedding",
        "visual_encoder.text_projection",
        "visual_encoder.logit_scale",
        "visual_encoder.transformer.resblocks.0.ln_1.weight",
        "visual_encoder.token_embedding.weight",
        "visual_encoder.ln_final.bias",
        "visual_encoder_m.visual.class_embedding",
        "visn_fc_m.weight",
        "visn_layer_norm_m.bias",
        "text_encoder_m.embeddings.word_embeddings.weight",
        "text_encoder.embeddings.position_ids",
        "text_decoder.bert.embeddings.position_ids",
        "text_decoder_m.cls.predictions.bias",
        "fusion_encoder_m.encoder.layer.5.output.dense.bias",
        "fusion_encoder.encoder.layer.0.attention.self.query.weight",
        "fusion_encoder.encoder.layer.0.crossattention.self.query.weight",
    ]
    joint = [made.first_fusion + step for step in range(made.fusion_layers) if made.joint(step)]
    names += [f"fusion_encoder.encoder.layer.{number}.crossattention.self.key.weight" for number in joint]
    return dict.fromkeys(names, junk)


def write_configs(folder: Path, made: Sizes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    outer = {
        "task": "visual-question-answering",
        "bert_config": "config_bert.json",
        "image_res": made.image_size,
        "vision_width": made.vision_width,
        "distill": True,
        "clip_name": "ViT-L-14",
        "min_length": made.min_length,
        "max_length": made.max_length,
        "beam_size": made.beams,
    }
    inner = {
        "hidden_act": "gelu",
        "hidden_size": made.width,
        "num_attention_heads": made.heads,
        "intermediate_size": made.inner,
        "vocab_size": made.words,
        "max_position_embeddings": made.positions,
        "type_vocab_size": made.kinds,
        "layer_norm_eps": made.eps,
        "text_encoder_layers": made.text_layers,
        "num_hidden_layers": made.fusion_list,
        "fusion_layers": made.fusion_layers,
        "text_decode_layers": made.decoder_layers,
        "stride_layer": made.stride,
        "encoder_width": made.memory_width,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(outer))
    (folder / "config_bert.json").write_text(json.dumps(inner))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")


def write_folder(folder: Path, made: Sizes, *, seed: int = 0, legacy: bool = False) -> MPlug:
    """Write the folder with pytorch_model.bin and return the network whose weights it holds."""
    write_configs(folder, made)
    found = network(made, seed)
    state = {**found.state_dict(), **unused(made)}
    wrapped = {"model": {"module": {f"model.{name}": each for name, each in state.items()}}, "epoch": 7}
    torch.save(wrapped, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    return found
