"""JanusFlow folders for tests: tiny random weights under the names and in the files of the public checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from janus_eval.models.janus.toy import build

HIDDEN, TOWER, MAPS = 64, 32, 16


def config(words: int) -> dict[str, Any]:
    """Return a config.json as deepseek-ai/JanusFlow-1.3B has it; sizes that the official code keeps stand in params."""
    flow = {
        "block_out_channels": [MAPS],
        "hidden_size": HIDDEN,
        "layers_in_middle": 2,
        "norm_eps": 1e-06,
        "dropout": 0.0,
    }
    return {
        "architectures": ["MultiModalityCausalLM"],
        "model_type": "multi_modality",
        "torch_dtype": "float32",
        "language_config": {
            "model_type": "llama",
            "hidden_size": HIDDEN,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": words,
            "max_position_embeddings": 512,
            "torch_dtype": "float32",
        },
        "vision_und_enc_config": {
            "cls": "CLIPVisionTower",
            "model_type": "vision_und_enc",
            "params": {
                "image_size": 32,
                "model_name": "siglip_tiny_patch8_32",
                "select_layer": -1,
                "width": TOWER,
                "layers": 2,
                "heads": 4,
                "mlp_ratio": 4,
                "patch_size": 8,
            },
        },
        "vision_gen_enc_config": {
            "cls": "ShallowUViTEncoder",
            "model_type": "vision_gen_enc",
            "params": {"input_channels": 4, "stride": 2, "kernel_size": 2, "padding": 0, **flow},
        },
        "vision_gen_dec_config": {
            "cls": "ShallowUViTDecoder",
            "model_type": "vision_gen_dec",
            "params": {"in_channels": MAPS, "out_channels": 4, "upsamples": 1, **flow},
        },
    }


def shapes(words: int) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the official modules' tensors (modeling_vlm.py, uvit.py, siglip_vit.py)."""
    wide, both = 4 * TOWER, 2 * MAPS
    found: dict[str, tuple[int, ...]] = {
        "beg_of_und_embed": (1, HIDDEN),
        "language_model.model.embed_tokens.weight": (words, HIDDEN),
        "language_model.model.norm.weight": (HIDDEN,),
        "language_model.lm_head.weight": (words, HIDDEN),
        "vision_und_enc_model.vision_tower.pos_embed": (1, 16, TOWER),
        "vision_und_enc_model.vision_tower.patch_embed.proj.weight": (TOWER, 3, 8, 8),
        "vision_und_enc_model.vision_tower.patch_embed.proj.bias": (TOWER,),
        "vision_und_enc_model.vision_tower.attn_pool.latent": (1, 1, TOWER),
        "vision_gen_enc_model.in_conv.weight": (MAPS, 4, 2, 2),
        "vision_gen_enc_model.in_conv.bias": (MAPS,),
        "vision_gen_dec_model.input_norm.weight": (MAPS,),
        "vision_gen_dec_model.out_convs.0.norm.weight": (both,),
        "vision_gen_dec_model.out_convs.0.unpatch_conv.weight": (16, both, 1, 1),
        "vision_gen_dec_model.out_convs.0.unpatch_conv.bias": (16,),
        "vision_gen_dec_aligner_norm.weight": (HIDDEN,),
    }

    def linear(name: str, out: int, into: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (out, into), (out,)

    def norm(name: str) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (TOWER,), (TOWER,)

    norm("vision_und_enc_model.vision_tower.norm")
    for layer in range(2):
        llama, block = f"language_model.model.layers.{layer}", f"vision_und_enc_model.vision_tower.blocks.{layer}"
        for part in "qkvo":
            found[f"{llama}.self_attn.{part}_proj.weight"] = (HIDDEN, HIDDEN)
        found[f"{llama}.mlp.gate_proj.weight"] = found[f"{llama}.mlp.up_proj.weight"] = (96, HIDDEN)
        found[f"{llama}.mlp.down_proj.weight"] = (HIDDEN, 96)
        found[f"{llama}.input_layernorm.weight"] = found[f"{llama}.post_attention_layernorm.weight"] = (HIDDEN,)
        norm(f"{block}.norm1")
        norm(f"{block}.norm2")
        linear(f"{block}.attn.qkv", 3 * TOWER, TOWER)
        linear(f"{block}.attn.proj", TOWER, TOWER)
        linear(f"{block}.mlp.fc1", wide, TOWER)
        linear(f"{block}.mlp.fc2", TOWER, wide)
        for model, width in (("vision_gen_enc_model", MAPS), ("vision_gen_dec_model", both)):
            inner = f"{model}.mid_block.res_blocks.{layer}"
            found[f"{inner}.depthwise.weight"], found[f"{inner}.depthwise.bias"] = (width, 1, 7, 7), (width,)
            found[f"{inner}.norm.weight"] = (width,)
            found[f"{inner}.channelwise_norm.weight"] = (1, 1, 1, 4 * width)
            found[f"{inner}.channelwise_norm.bias"] = (1, 1, 1, 4 * width)
            linear(f"{inner}.channelwise_linear_1", 4 * width, width)
            linear(f"{inner}.channelwise_linear_2", width, 4 * width)
            linear(f"{inner}.cond_embeds_mapper", 2 * width, HIDDEN)
    linear("vision_gen_enc_model.time_embed.linear_1", HIDDEN, MAPS)
    linear("vision_gen_enc_model.time_embed.linear_2", HIDDEN, HIDDEN)
    linear("vision_und_enc_aligner", HIDDEN, TOWER)
    linear("vision_gen_enc_aligner", HIDDEN, MAPS)
    linear("vision_gen_dec_aligner", MAPS, HIDDEN)
    return found


def save_flow(folder: Path) -> None:
    """Save a tiny model in FOLDER/model, and a VAE that widens latents twice in FOLDER/vae."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from safetensors.torch import save_file

    build(folder / "toy")
    model = folder / "model"
    model.mkdir()
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (model / name).write_bytes((folder / "toy" / name).read_bytes())
    words = json.loads((folder / "toy" / "config.json").read_text())["text_config"]["vocab_size"]
    (model / "config.json").write_text(json.dumps(config(words)))
    (model / "preprocessor_config.json").write_text(json.dumps({"image_size": 32, "do_normalize": True}))
    generator = torch.Generator().manual_seed(0)

    def random(shape: tuple[int, ...]) -> torch.Tensor:
        flat = len(shape) == 1 or shape[0] == 1
        scale = 0.1 if flat else torch.tensor(shape[1:]).prod().item() ** -0.5
        return torch.randn(shape, generator=generator) * scale + (1 if len(shape) == 1 else 0)

    save_file({name: random(shape) for name, shape in shapes(words).items()}, model / "model.safetensors")
    torch.manual_seed(0)
    AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.13025,
    ).save_pretrained(folder / "vae")
