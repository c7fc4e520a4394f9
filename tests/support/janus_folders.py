"""Janus folders for tests: loading one, and a native one's configuration and tensors in the original format."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from janus_eval.models.janus.checkpoint import Checkpoint
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.prompts import Tokens


def load(folder: Path, tokens: Tokens, dtype: torch.dtype = torch.float32, *, pack: bool = True) -> Network:
    return Network(Checkpoint(folder).network(tokens.image, device=torch.device("cpu"), dtype=dtype), pack=pack)


def original_config(native: dict) -> dict:
    """Return the configuration as the original format has it; sizes that it keeps in code stand in params."""
    text, vision, vq = native["text_config"], native["vision_config"], native["vq_config"]
    width = text["hidden_size"]
    return {
        "model_type": "multi_modality",
        "vision_config": {
            "params": {
                "image_size": vision["image_size"],
                "model_name": "siglip_small_patch8_64",
                "select_layer": -1,
                "width": vision["hidden_size"],
                "layers": vision["num_hidden_layers"],
                "heads": vision["num_attention_heads"],
                "mlp_ratio": 4,
                "patch_size": vision["patch_size"],
            }
        },
        "aligner_config": {"params": {"depth": 2, "n_embed": width, "projector_type": "mlp_gelu"}},
        "gen_aligner_config": {"params": {"depth": 2, "n_embed": width, "projector_type": "mlp_gelu"}},
        "gen_head_config": {
            "params": {"image_token_embed": width, "image_token_size": vq["num_embeddings"], "n_embed": width}
        },
        "gen_vision_config": {
            "params": {
                "n_embed": vq["embed_dim"],
                "ch": vq["base_channels"],
                "ch_mult": vq["channel_multiplier"],
                "num_res_blocks": vq["num_res_blocks"],
                "z_channels": vq["latent_channels"],
            }
        },
        "language_config": {key: text[key] for key in text if "token" not in key and key != "tie_word_embeddings"},
    }


_OLD_NAMES = (
    ("model.vision_model.embeddings.patch_embedding.", "vision_model.vision_tower.patch_embed.proj."),
    ("model.vision_model.post_layernorm.", "vision_model.vision_tower.norm."),
    ("model.aligner.fc1.", "aligner.layers.0."),
    ("model.aligner.hidden_layers.0.", "aligner.layers.2."),
    ("model.generation_aligner.fc1.", "gen_aligner.layers.0."),
    ("model.generation_aligner.hidden_layers.0.", "gen_aligner.layers.2."),
    ("model.generation_embeddings.", "gen_embed."),
    ("model.generation_head.proj_out.", "gen_head.output_mlp_projector."),
    ("model.generation_head.vision_head.", "gen_head.vision_head."),
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
    ("model.vqmodel.", "gen_vision_model."),
)


def original_tensors(native: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors under the original names: joined qkv, positions with a batch axis, dead weight."""
    old: dict[str, torch.Tensor] = {"gen_vision_model.quantize.codebook_used": torch.zeros(4)}
    for name, value in native.items():
        if name == "model.vision_model.embeddings.position_embedding.weight":
            old["vision_model.vision_tower.pos_embed"] = value[None]
        elif "vision_model.encoder" in name:
            block = re.sub(r"^model\.vision_model\.encoder\.layers", "vision_model.vision_tower.blocks", name)
            if ".q_proj." in name:
                three = [native[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
                old[block.replace("self_attn.q_proj", "attn.qkv")] = torch.cat(three)
            elif ".k_proj." not in name and ".v_proj." not in name:
                block = block.replace("self_attn.projection_layer", "attn.proj")
                old[block.replace("layer_norm", "norm")] = value
        else:
            new, first = next((new, first) for new, first in _OLD_NAMES if name.startswith(new))
            short = first + name[len(new) :]
            short = re.sub(r"encoder\.down\.(\d)\.block", r"encoder.conv_blocks.\1.res", short)
            short = re.sub(r"decoder\.up\.(\d)\.block", r"decoder.conv_blocks.\1.res", short)
            short = re.sub(r"\.(down|up)\.(\d)\.", r".conv_blocks.\2.", short)
            for number, part in enumerate(("block_1", "attn_1", "block_2")):
                short = short.replace(f".mid.{part}.", f".mid.{number}.")
            old[short] = value
    old["vision_model.vision_tower.attn_pool.latent"] = torch.zeros(1, 1, 4)
    return old
