"""The original deepseek-ai format of a Janus checkpoint: its configuration and names as transformers'.

Names as in the conversion table of transformers (`models/janus/convert_janus_weights_to_hf.py`,
Apache-2.0); the sizes of the vision tower and of the VQ model are those of the official code
(`janus/models/siglip_vit.py`, `vq_model.py`, deepseek-ai/Janus 1daa72f, MIT), which a released
config.json does not repeat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...evals.errors import EnvironmentProblem

if TYPE_CHECKING:
    from torch import Tensor

_TOWERS: Mapping[str, Mapping[str, Any]] = {
    "siglip_large_patch16_384": {"width": 1024, "layers": 24, "heads": 16, "mlp_ratio": 4, "patch_size": 16},
}
_VQ: Mapping[str, Any] = {"ch": 128, "ch_mult": [1, 1, 2, 2, 4], "num_res_blocks": 2, "z_channels": 256, "n_embed": 8}

_RENAMES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"^vision_model\.vision_tower\.pos_embed$", "model.vision_model.embeddings.position_embedding.weight"),
        (r"^vision_model\.vision_tower\.patch_embed\.proj\.", "model.vision_model.embeddings.patch_embedding."),
        (r"^vision_model\.vision_tower\.norm\.", "model.vision_model.post_layernorm."),
        (
            r"^vision_model\.vision_tower\.blocks\.(\d+)\.norm([12])\.",
            r"model.vision_model.encoder.layers.\1.layer_norm\2.",
        ),
        (r"^vision_model\.vision_tower\.blocks\.(\d+)\.mlp\.", r"model.vision_model.encoder.layers.\1.mlp."),
        (
            r"^vision_model\.vision_tower\.blocks\.(\d+)\.attn\.proj\.",
            r"model.vision_model.encoder.layers.\1.self_attn.projection_layer.",
        ),
        (r"^aligner\.layers\.0\.", "model.aligner.fc1."),
        (r"^gen_aligner\.layers\.0\.", "model.generation_aligner.fc1."),
        (r"^gen_embed\.", "model.generation_embeddings."),
        (r"^gen_head\.output_mlp_projector\.", "model.generation_head.proj_out."),
        (r"^gen_head\.vision_head\.", "model.generation_head.vision_head."),
        (r"^gen_vision_model\.encoder\.conv_blocks\.(\d+)\.res\.", r"model.vqmodel.encoder.down.\1.block."),
        (r"^gen_vision_model\.decoder\.conv_blocks\.(\d+)\.res\.", r"model.vqmodel.decoder.up.\1.block."),
        (r"^gen_vision_model\.encoder\.conv_blocks\.", "model.vqmodel.encoder.down."),
        (r"^gen_vision_model\.decoder\.conv_blocks\.", "model.vqmodel.decoder.up."),
        (r"^gen_vision_model\.(encoder|decoder)\.mid\.0\.", r"model.vqmodel.\1.mid.block_1."),
        (r"^gen_vision_model\.(encoder|decoder)\.mid\.1\.", r"model.vqmodel.\1.mid.attn_1."),
        (r"^gen_vision_model\.(encoder|decoder)\.mid\.2\.", r"model.vqmodel.\1.mid.block_2."),
        (r"^gen_vision_model\.", "model.vqmodel."),
        (r"^language_model\.model\.", "model.language_model."),
        (r"^language_model\.lm_head\.", "lm_head."),
    )
)
_DEEPER = re.compile(r"^(gen_)?aligner\.layers\.(\d+)\.")
_QKV = re.compile(r"^vision_model\.vision_tower\.blocks\.(\d+)\.attn\.qkv\.")
_DROPPED = re.compile(
    r"^vision_model\.vision_tower\.attn_pool\.|^gen_vision_model\.quantize\.codebook_used$|\.rotary_emb\.inv_freq$"
)


def is_original(config: Mapping[str, Any]) -> bool:
    """Return whether a config.json is of the original format."""
    return config.get("model_type") == "multi_modality" or "language_config" in config


def native_config(config: Mapping[str, Any], *, image_token: int, where: str) -> dict[str, Any]:
    """Return the configuration in the form of transformers' JanusConfig.

    Raises EnvironmentProblem for a vision tower or projector that the native classes lack.
    """
    vision = params(config, "vision_config", where)
    head = params(config, "gen_head_config", where)
    aligner = params(config, "aligner_config", where)
    gen_aligner = params(config, "gen_aligner_config", where)
    vq = {**_VQ, **params(config, "gen_vision_config", where)}
    for what, told in (("aligner", aligner), ("gen_aligner", gen_aligner)):
        if told.get("projector_type", "mlp_gelu") != "mlp_gelu":
            raise EnvironmentProblem(f"{where}: {what} of type {told['projector_type']!r}; this reads mlp_gelu only")
    if vision.get("select_layer", -1) != -1 or vision.get("pixel_mean") is not None:
        raise EnvironmentProblem(
            f"{where}: the vision tower asks for select_layer or pixel_mean, which Janus never used"
        )
    if head["image_token_embed"] != gen_aligner["n_embed"]:
        raise EnvironmentProblem(
            f"{where}: gen_head and gen_aligner differ in width; transformers' Janus has one width"
        )
    language = {key: value for key, value in config["language_config"].items() if key not in ("torch_dtype", "dtype")}
    return {
        "model_type": "janus",
        "tie_word_embeddings": False,
        "image_token_id": image_token,
        "text_config": {**language, "model_type": "llama", "tie_word_embeddings": False},
        "vision_config": {
            **tower_config(vision, where),
            "projection_dim": aligner["n_embed"],
            "depth": aligner.get("depth", 1),
        },
        "vq_config": {
            "embed_dim": vq["n_embed"],
            "num_embeddings": head["image_token_size"],
            "latent_channels": vq["z_channels"],
            "base_channels": vq["ch"],
            "channel_multiplier": list(vq["ch_mult"]),
            "num_res_blocks": vq["num_res_blocks"],
            "projection_dim": gen_aligner["n_embed"],
            "num_hidden_layers": gen_aligner.get("depth", 1),
            "image_token_embed_dim": head["n_embed"],
        },
    }


def tower_config(vision: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the sizes of a vision tower under the names of transformers' JanusVisionConfig.

    Raises EnvironmentProblem for a tower that is not known here.
    """
    name = vision.get("model_name", _KNOWN_TOWER)
    tower = {**_TOWERS.get(name, {}), **{key: vision[key] for key in _TOWERS[_KNOWN_TOWER] if key in vision}}
    if len(tower) < len(_TOWERS[_KNOWN_TOWER]):
        raise EnvironmentProblem(f"{where}: unknown vision tower {name!r}; known: {', '.join(_TOWERS)}")
    size = int(vision.get("image_size", 384))
    return {
        "hidden_size": tower["width"],
        "num_hidden_layers": tower["layers"],
        "num_attention_heads": tower["heads"],
        "mlp_ratio": tower["mlp_ratio"],
        "patch_size": tower["patch_size"],
        "image_size": size,
        "num_image_tokens": (size // tower["patch_size"]) ** 2,
    }


def native_tensors(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield what one tensor of the original format is called and looks like in the native one.

    Yields nothing for tensors without influence, and an unknown name unchanged, so that the strict
    loading names it.
    """
    if _DROPPED.search(name):
        return
    qkv = _QKV.match(name)
    if qkv:
        rows = tensor.shape[0] // 3
        for place, part in enumerate(("q_proj", "k_proj", "v_proj")):
            new = f"model.vision_model.encoder.layers.{qkv[1]}.self_attn.{part}.{name[qkv.end() :]}"
            yield new, tensor[place * rows : (place + 1) * rows]
        return
    if name == "vision_model.vision_tower.pos_embed":
        tensor = tensor.reshape(tensor.shape[-2:])
    for pattern, new in _RENAMES:
        renamed, found = pattern.subn(new, name)
        if found:
            yield renamed, tensor
            return
    deeper = _DEEPER.match(name)
    if deeper:
        # nn.Sequential counts the activations too: linear layers are 0, 2, 4, ...
        which = "generation_aligner" if deeper[1] else "aligner"
        yield f"model.{which}.hidden_layers.{int(deeper[2]) // 2 - 1}.{name[deeper.end() :]}", tensor
        return
    yield name, tensor


_KNOWN_TOWER = "siglip_large_patch16_384"


def params(config: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return the `params` of a part of an original configuration. Raises EnvironmentProblem where there are none."""
    found = config.get(key)
    if not isinstance(found, dict) or not isinstance(found.get("params"), dict):
        raise EnvironmentProblem(f"{where} has no {key}.params: it is no Janus configuration")
    return dict(found["params"])
