"""Tiny vision-language models with random weights, one of each family's real class, with its real processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.tiny_models import word_tokenizer

QWEN = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")


def _template(picture: str) -> str:
    """Return a chat template that writes `picture` for each picture."""
    return (
        "{% for m in messages %}{{ m['role'].upper() }}: {% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}" + picture + "{% else %}{{ c['text'] }}{% endif %}{% endfor %} {% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )


def _tokenizer(*extra: str, **named: str) -> Any:
    """Return a tokenizer with further special tokens; `named` ones are its attributes too."""
    from transformers import PreTrainedTokenizerFast

    specials = dict.fromkeys(("<pad>", "<s>", "</s>", *extra, *named.values()))
    return PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(tuple(specials)),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=list(extra),
        extra_special_tokens=named,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "initializer_range": 0.5,
        "tie_word_embeddings": False,
        **more,
    }


def _siglip(**more: Any) -> dict[str, Any]:
    return {
        "model_type": "siglip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "vision_use_head": False,
        **more,
    }


def _ids(tokenizer: Any, **named: str) -> dict[str, int]:
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in named.items()}


def _qwen(kind: str) -> tuple[Any, Any]:
    import transformers as t

    start, picture, end, video = QWEN
    tokenizer = _tokenizer(*QWEN)
    ids = _ids(
        tokenizer, vision_start_token_id=start, image_token_id=picture, vision_end_token_id=end, video_token_id=video
    )
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    text = _text(tokenizer, rope_parameters=rope, rope_scaling=rope, **ids)
    vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 8, "spatial_merge_size": 2}
    if kind == "Qwen2VL":
        vision |= {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 32, "intermediate_size": 32, "out_hidden_size": 64}
    if kind == "Qwen2_5_VL":
        vision |= {"window_size": 32, "fullatt_block_indexes": [1]}
    if kind == "Qwen3VL":
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
        text["rope_parameters"] = text["rope_scaling"] = {**rope, "mrope_interleaved": True}
    config = getattr(t, f"{kind}Config")(text_config=text, vision_config=vision, tie_word_embeddings=False, **ids)
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    video_kind = "Qwen3VL" if kind == "Qwen3VL" else "Qwen2VL"
    processor = getattr(t, f"{kind}Processor")(
        t.Qwen2VLImageProcessor(size=size, patch_size=8, merge_size=2),
        tokenizer,
        getattr(t, f"{video_kind}VideoProcessor")(patch_size=8, merge_size=2),
        chat_template=_template(start + picture + end),
    )
    return getattr(t, f"{kind}ForConditionalGeneration")(config), processor


def _intern() -> tuple[Any, Any]:
    import transformers as t

    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = _tokenizer(**named)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [32, 32],
        "patch_size": [8, 8],
    }
    config = t.InternVLConfig(
        vision_config=vision,
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        **_ids(tokenizer, image_token_id="<IMG_CONTEXT>"),
        tie_word_embeddings=False,
    )
    size = {"height": 32, "width": 32}
    processor = t.InternVLProcessor(
        t.GotOcr2ImageProcessor(size=size, crop_to_patches=True, max_patches=4),
        tokenizer,
        t.InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=_template("<IMG_CONTEXT>\n"),
    )
    return t.InternVLForConditionalGeneration(config), processor


def _one_vision() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer("<image>", "<video>")
    points = [[32, 32], [32, 64], [64, 32], [64, 64]]
    config = t.LlavaOnevisionConfig(
        vision_config=_siglip(),
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        **_ids(tokenizer, image_token_index="<image>", video_token_index="<video>"),
        image_grid_pinpoints=points,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    size = {"height": 32, "width": 32}
    processor = t.LlavaOnevisionProcessor(
        t.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=points),
        tokenizer,
        t.LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=_template("<image>\n"),
    )
    return t.LlavaOnevisionForConditionalGeneration(config), processor


def _idefics(kind: str) -> tuple[Any, Any]:
    import transformers as t

    named = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tokenizer = _tokenizer("<global-img>", "<row_1_col_1>", **named)
    config = getattr(t, f"{kind}Config")(
        vision_config={**_siglip(), "model_type": {"Idefics3": "idefics3_vision", "SmolVLM": "smolvlm_vision"}[kind]},
        text_config={"model_type": "llama", **_text(tokenizer)},
        scale_factor=2,
        **_ids(tokenizer, image_token_id="<image>"),
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    size, edge = {"longest_edge": 64}, {"longest_edge": 32}
    more = {"video_processor": t.SmolVLMVideoProcessor(size=size)} if kind == "SmolVLM" else {}
    processor = getattr(t, f"{kind}Processor")(
        getattr(t, f"{kind}ImageProcessor")(size=size, max_image_size=edge),
        tokenizer,
        image_seq_len=4,
        chat_template=_template("<image>"),
        **more,
    )
    return getattr(t, f"{kind}ForConditionalGeneration")(config), processor


def _gemma() -> tuple[Any, Any]:
    import torch
    import transformers as t

    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = _tokenizer(**named)
    config = t.Gemma3Config(
        vision_config=_siglip(),
        text_config=_text(tokenizer, sliding_window=64, query_pre_attn_scalar=16),
        mm_tokens_per_image=4,
        **_ids(
            tokenizer,
            image_token_index="<image_soft_token>",
            boi_token_index="<start_of_image>",
            eoi_token_index="<end_of_image>",
        ),
        tie_word_embeddings=False,
    )
    processor = t.Gemma3Processor(
        t.Gemma3ImageProcessor(size={"height": 32, "width": 32}),
        tokenizer,
        image_seq_length=4,
        chat_template=_template("<start_of_image>"),
    )
    model = t.Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight)  # zeros at first
    return model, processor


def _emu() -> tuple[Any, Any]:
    import transformers as t

    named = {
        "image_token": "<image>",
        "boi_token": "<|image start|>",
        "eoi_token": "<|image end|>",
        "image_wrapper_token": "<|image token|>",
        "eof_token": "<|extra_201|>",
        "eol_token": "<|extra_200|>",
    }
    visual = [f"<|visual token {number:06d}|>" for number in range(20)]
    tokenizer = _tokenizer(*visual, **named)
    config = t.Emu3Config(
        text_config=_text(tokenizer, attention_dropout=0.0),
        vq_config={
            "codebook_size": 20,
            "temporal_downsample_factor": 1,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "hidden_size": 32,
            "attn_resolutions": [],
        },
        vocabulary_map=tokenizer.get_vocab(),
    )
    processor = t.Emu3Processor(
        t.Emu3ImageProcessor(min_pixels=32 * 32, max_pixels=48 * 48), tokenizer, chat_template=_template("<image>")
    )
    return t.Emu3ForConditionalGeneration(config), processor


MAKERS: Mapping[str, Callable[[], tuple[Any, Any]]] = {
    "Qwen2-VL": lambda: _qwen("Qwen2VL"),
    "Qwen2.5-VL": lambda: _qwen("Qwen2_5_VL"),
    "Qwen3-VL": lambda: _qwen("Qwen3VL"),
    "InternVL": _intern,
    "LLaVA-OneVision": _one_vision,
    "Idefics3": lambda: _idefics("Idefics3"),
    "SmolVLM": lambda: _idefics("SmolVLM"),
    "Gemma 3": _gemma,
    "Emu3": _emu,
}


def save_family(family: str, folder: Path) -> None:
    """Save a tiny model of a family with its processor."""
    import torch

    torch.manual_seed(0)
    model, processor = MAKERS[family]()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
