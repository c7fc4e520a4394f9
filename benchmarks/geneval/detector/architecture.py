"""The detector network's sizes, and the name and shape of each of its tensors in mmdet and in transformers.

A port of behaviour: names of mmdet 2.28.2 and 3.3.0 (mask2former_swin-s), targets as transformers
4.57 spells them; later versions rename those on load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ....evals.errors import UsageError
from ..prompts import CLASSES

if TYPE_CHECKING:
    from torch import Tensor

Naming = Literal["mmdet 2.x", "mmdet 3.x"]
Operation = Literal["copy", "thirds", "merge"]

POINTS = 4
"""Sampling points of the deformable attention: a constant of the network in both libraries."""
_TO_3X = (
    (re.compile(r"(pixel_decoder\.encoder\.layers\.\d+)\.attentions\.0\."), r"\1.self_attn."),
    (re.compile(r"(transformer_decoder\.layers\.\d+)\.attentions\.0\.attn\."), r"\1.cross_attn.attn."),
    (re.compile(r"(transformer_decoder\.layers\.\d+)\.attentions\.1\.attn\."), r"\1.self_attn.attn."),
    (re.compile(r"(decoder\.(?:encoder\.)?layers\.\d+)\.ffns\.0\."), r"\1.ffn."),
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network's sizes, all read from the shapes of its tensors."""

    patch: int
    embed_dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    mlp_ratio: float
    width: int
    mask_width: int
    encoder_layers: int
    encoder_ffn: int
    attention_heads: int
    decoder_layers: int
    decoder_ffn: int
    queries: int
    classes: int

    def config(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the content of transformers' config.json."""
        swin = {
            "model_type": "swin",
            "image_size": 224,
            "patch_size": self.patch,
            "embed_dim": self.embed_dim,
            "depths": list(self.depths),
            "num_heads": list(self.heads),
            "window_size": self.window,
            "mlp_ratio": self.mlp_ratio,
            "layer_norm_eps": 1e-5,
            "out_features": [f"stage{each + 1}" for each in range(len(self.depths))],
        }
        return {
            "model_type": "mask2former",
            "architectures": ["Mask2FormerForUniversalSegmentation"],
            "backbone_config": swin,
            "feature_size": self.width,
            "mask_feature_size": self.mask_width,
            "hidden_dim": self.width,
            "encoder_feedforward_dim": self.encoder_ffn,
            "encoder_layers": self.encoder_layers,
            "decoder_layers": self.decoder_layers + 1,  # transformers counts the prediction head before layer 0
            "dim_feedforward": self.decoder_ffn,
            "num_attention_heads": self.attention_heads,
            "num_queries": self.queries,
            "id2label": dict(enumerate(names)),
            "label2id": {name: index for index, name in enumerate(names)},
        }


def naming(keys: Sequence[str], path: Path) -> Naming:
    """Return which library's names these are. Raises UsageError for any other file."""
    if any(".attentions.0." in key or ".ffns.0." in key for key in keys):
        return "mmdet 2.x"
    if any(".cross_attn.attn." in key for key in keys):
        return "mmdet 3.x"
    if any(key.startswith("model.pixel_level_module.") for key in keys):
        raise UsageError(f"{path} holds transformers' names already: give its folder (config.json, model.safetensors)")
    raise UsageError(
        f"{path} is no Mask2Former checkpoint of mmdet 2.x or 3.x: {len(keys)} tensors, "
        f"beginning with {', '.join(keys[:3])}"
    )


def to_3x(key: str) -> str:
    """Return the mmdet 3.x name of a 2.x name (itself where both agree)."""
    for pattern, new in _TO_3X:
        key = pattern.sub(new, key)
    return key


def architecture(tensors: Mapping[str, Tensor], path: Path) -> Architecture:
    """Return the sizes of a network from its tensors under 3.x names. Raises UsageError naming what is missing."""

    def shape(key: str) -> tuple[int, ...]:
        if key not in tensors:
            raise UsageError(f"{path}: the tensor {key} is missing: a truncated or different checkpoint")
        return tuple(tensors[key].shape)

    def count(prefix: str) -> int:
        return _count(tensors, prefix)

    stages = count("backbone.stages.")
    depths = tuple(count(f"backbone.stages.{stage}.blocks.") for stage in range(stages))
    tables = [
        shape(f"backbone.stages.{stage}.blocks.0.attn.w_msa.relative_position_bias_table") for stage in range(stages)
    ]
    levels = shape("panoptic_head.level_embed.weight")[0]
    first = "panoptic_head.pixel_decoder.encoder.layers.0"
    patches = shape("backbone.patch_embed.projection.weight")
    found = Architecture(
        patch=patches[-1],
        embed_dim=patches[0],
        depths=depths,
        heads=tuple(table[-1] for table in tables),
        window=(round(tables[0][0] ** 0.5) + 1) // 2 if tables else 0,
        mlp_ratio=shape("backbone.stages.0.blocks.0.ffn.layers.0.0.weight")[0] / patches[0],
        width=shape("panoptic_head.query_embed.weight")[1],
        mask_width=shape("panoptic_head.pixel_decoder.mask_feature.weight")[0],
        encoder_layers=count("panoptic_head.pixel_decoder.encoder.layers."),
        encoder_ffn=shape(f"{first}.ffn.layers.0.0.weight")[0],
        attention_heads=shape(f"{first}.self_attn.attention_weights.weight")[0] // (levels * POINTS),
        decoder_layers=count("panoptic_head.transformer_decoder.layers."),
        decoder_ffn=shape("panoptic_head.transformer_decoder.layers.0.ffn.layers.0.0.weight")[0],
        queries=shape("panoptic_head.query_embed.weight")[0],
        classes=shape("panoptic_head.cls_embed.weight")[0] - 1,
    )
    _check_architecture(found, path)
    return found


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many numbered parts stand under a prefix: the highest number and one."""
    numbers = {int(key[len(prefix) :].partition(".")[0]) for key in tensors if key.startswith(prefix)}
    return max(numbers, default=-1) + 1


def _check_architecture(found: Architecture, path: Path) -> None:
    if found.classes != len(CLASSES):
        raise UsageError(f"{path}: a network for {found.classes} classes; GenEval's detector has COCO's {len(CLASSES)}")
    official = ((2, 2, 18, 2), 6, 9, 100)
    sizes = (found.depths, found.encoder_layers, found.decoder_layers, found.queries)
    # A file whose tail is lost may lack whole layers, which its own shapes cannot show; full width decides.
    if found.embed_dim >= 96 and sizes != official:
        raise UsageError(
            f"{path}: Swin depths {found.depths}, {sizes[1]} encoder and {sizes[2]} decoder layers, {sizes[3]} "
            f"queries; GenEval's Swin-S has {official[0]}, {official[1]}, {official[2]} and {official[3]}: "
            "another or an incomplete checkpoint"
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one tensor: its mmdet 3.x name and shape, what is done, its names in transformers."""

    source: str
    shape: tuple[int, ...]
    operation: Operation
    targets: tuple[str, ...]


def plan(size: Architecture) -> dict[str, Step]:
    """Return the step of every tensor of a network of this size, by its mmdet 3.x name."""
    return {step.source: step for step in (*_backbone(size), *_pixel_decoder(size), *_decoder(size))}


def _both(source: str, target: str, *shape: int) -> Iterator[Step]:
    """Copy a weight of this shape and its bias."""
    yield Step(f"{source}.weight", shape, "copy", (f"{target}.weight",))
    yield Step(f"{source}.bias", shape[:1], "copy", (f"{target}.bias",))


def _backbone(size: Architecture) -> Iterator[Step]:
    encoder = "model.pixel_level_module.encoder"
    wide = size.embed_dim
    projection = f"{encoder}.embeddings.patch_embeddings.projection"
    yield from _both("backbone.patch_embed.projection", projection, wide, 3, size.patch, size.patch)
    yield from _both("backbone.patch_embed.norm", f"{encoder}.embeddings.norm", wide)
    for stage, depth in enumerate(size.depths):
        wide = size.embed_dim << stage
        for block in range(depth):
            old, new = f"backbone.stages.{stage}.blocks.{block}", f"{encoder}.encoder.layers.{stage}.blocks.{block}"
            yield from _swin_block(size, old, new, wide, size.heads[stage])
        if stage + 1 < len(size.depths):
            for name, shape in (
                ("norm.weight", (4 * wide,)),
                ("norm.bias", (4 * wide,)),
                ("reduction.weight", (2 * wide, 4 * wide)),
            ):
                target = f"{encoder}.encoder.layers.{stage}.downsample.{name}"
                yield Step(f"backbone.stages.{stage}.downsample.{name}", shape, "merge", (target,))
        yield from _both(f"backbone.norm{stage}", f"{encoder}.hidden_states_norms.stage{stage + 1}", wide)


def _swin_block(size: Architecture, old: str, new: str, wide: int, heads: int) -> Iterator[Step]:
    hidden = int(size.mlp_ratio * wide)
    yield from _both(f"{old}.norm1", f"{new}.layernorm_before", wide)
    yield from _both(f"{old}.norm2", f"{new}.layernorm_after", wide)
    for kind, shape in (("weight", (3 * wide, wide)), ("bias", (3 * wide,))):
        parts = tuple(f"{new}.attention.self.{each}.{kind}" for each in ("query", "key", "value"))
        yield Step(f"{old}.attn.w_msa.qkv.{kind}", shape, "thirds", parts)
    table, offsets = "relative_position_bias_table", (2 * size.window - 1) ** 2
    yield Step(f"{old}.attn.w_msa.{table}", (offsets, heads), "copy", (f"{new}.attention.self.{table}",))
    yield from _both(f"{old}.attn.w_msa.proj", f"{new}.attention.output.dense", wide, wide)
    yield from _both(f"{old}.ffn.layers.0.0", f"{new}.intermediate.dense", hidden, wide)
    yield from _both(f"{old}.ffn.layers.1", f"{new}.output.dense", wide, hidden)


def _pixel_decoder(size: Architecture) -> Iterator[Step]:
    source, target = "panoptic_head.pixel_decoder", "model.pixel_level_module.decoder"
    wide, levels = size.width, len(size.depths) - 1
    for level in range(levels):
        inner = size.embed_dim << (levels - level)  # level 0 is the coarsest
        yield from _both(
            f"{source}.input_convs.{level}.conv", f"{target}.input_projections.{level}.0", wide, inner, 1, 1
        )
        yield from _both(f"{source}.input_convs.{level}.gn", f"{target}.input_projections.{level}.1", wide)
    yield Step(f"{source}.level_encoding.weight", (levels, wide), "copy", (f"{target}.level_embed",))
    points = size.attention_heads * levels * POINTS
    for layer in range(size.encoder_layers):
        old, new = f"{source}.encoder.layers.{layer}", f"{target}.encoder.layers.{layer}"
        for name, rows in (
            ("sampling_offsets", 2 * points),
            ("attention_weights", points),
            ("value_proj", wide),
            ("output_proj", wide),
        ):
            yield from _both(f"{old}.self_attn.{name}", f"{new}.self_attn.{name}", rows, wide)
        yield from _both(f"{old}.norms.0", f"{new}.self_attn_layer_norm", wide)
        yield from _both(f"{old}.norms.1", f"{new}.final_layer_norm", wide)
        yield from _both(f"{old}.ffn.layers.0.0", f"{new}.fc1", size.encoder_ffn, wide)
        yield from _both(f"{old}.ffn.layers.1", f"{new}.fc2", wide, size.encoder_ffn)
    for old, new, shape in (
        ("lateral_convs", "adapter_1", (wide, size.embed_dim, 1, 1)),
        ("output_convs", "layer_1", (wide, wide, 3, 3)),
    ):
        yield Step(f"{source}.{old}.0.conv.weight", shape, "copy", (f"{target}.{new}.0.weight",))
        yield from _both(f"{source}.{old}.0.gn", f"{target}.{new}.1", wide)
    yield from _both(f"{source}.mask_feature", f"{target}.mask_projection", size.mask_width, wide, 1, 1)


def _decoder(size: Architecture) -> Iterator[Step]:
    source, target = "panoptic_head.transformer_decoder", "model.transformer_module"
    wide = size.width
    for layer in range(size.decoder_layers):
        old, new = f"{source}.layers.{layer}", f"{target}.decoder.layers.{layer}"
        for kind, shape in (("weight", (3 * wide, wide)), ("bias", (3 * wide,))):
            crossed = (f"{new}.cross_attn.in_proj_{kind}",)
            yield Step(f"{old}.cross_attn.attn.in_proj_{kind}", shape, "copy", crossed)
            parts = tuple(f"{new}.self_attn.{each}_proj.{kind}" for each in "qkv")
            yield Step(f"{old}.self_attn.attn.in_proj_{kind}", shape, "thirds", parts)
        yield from _both(f"{old}.cross_attn.attn.out_proj", f"{new}.cross_attn.out_proj", wide, wide)
        yield from _both(f"{old}.self_attn.attn.out_proj", f"{new}.self_attn.out_proj", wide, wide)
        for index, name in enumerate(("cross_attn_layer_norm", "self_attn_layer_norm", "final_layer_norm")):
            yield from _both(f"{old}.norms.{index}", f"{new}.{name}", wide)
        yield from _both(f"{old}.ffn.layers.0.0", f"{new}.fc1", size.decoder_ffn, wide)
        yield from _both(f"{old}.ffn.layers.1", f"{new}.fc2", wide, size.decoder_ffn)
    yield from _both(f"{source}.post_norm", f"{target}.decoder.layernorm", wide)
    for index in range(3):
        embedder = f"{target}.decoder.mask_predictor.mask_embedder.{index}.0"
        rows = size.mask_width if index == 2 else wide
        yield from _both(f"panoptic_head.mask_embed.{2 * index}", embedder, rows, wide)
    for old, new, rows in (
        ("query_embed", "queries_embedder", size.queries),
        ("query_feat", "queries_features", size.queries),
        ("level_embed", "level_embed", len(size.depths) - 1),
    ):
        yield Step(f"panoptic_head.{old}.weight", (rows, wide), "copy", (f"{target}.{new}.weight",))
    yield from _both("panoptic_head.cls_embed", "class_predictor", size.classes + 1, wide)
