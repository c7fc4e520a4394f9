"""Tiny pipelines with random weights, each of a recipe's real class, saved in the layout of its public folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from support.tiny_models import _clip_text, save_sd3, word_tokenizer

SIZE = {"OmniGenPipeline": 32, "SanaPipeline": 64}
"""Pixels of a tiny picture, where 32 do not fit the autoencoder."""
TURNS = (
    "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endif %} {% endfor %}"
)


def _tokenizer(*, padding: str = "right", **more: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(("<pad>", "<s>", "</s>")),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side=padding,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
        **more,
    )


def _flow() -> Any:
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler()


def _text(**more: Any) -> dict[str, Any]:
    """Return the size of a language model that encodes prompts."""
    return {
        "vocab_size": 300,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.5,
        **more,
    }


def _autoencoder(**more: Any) -> Any:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return AutoencoderKL(
        sample_size=32,
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=1,
        **{"latent_channels": 4, "use_quant_conv": False, "use_post_quant_conv": False, "shift_factor": 0.1, **more},
    )


def _qwen_image(folder: Path) -> Any:
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    del folder
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e4}
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = Qwen2_5_VLConfig(text_config=_text(rope_parameters=rope, rope_scaling=rope), vision_config=vision)
    return QwenImagePipeline(
        scheduler=_flow(),
        vae=AutoencoderKLQwenImage(
            base_dim=24,
            z_dim=4,
            dim_mult=[1, 2, 4, 4],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=_tokenizer(),
        transformer=QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(8, 4, 4),
        ),
    )


def _qwen_image_edit(folder: Path) -> Any:
    """Return the editing pipeline; its processor needs torchvision."""
    from diffusers import QwenImageEditPipeline, QwenImageTransformer2DModel
    from support.tiny_families import MAKERS as FAMILIES

    model, processor = FAMILIES["Qwen2.5-VL"]()
    plain = _qwen_image(folder)
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=64,
        axes_dims_rope=(8, 4, 4),
    )
    return QwenImageEditPipeline(
        scheduler=_flow(),
        vae=plain.vae,
        text_encoder=model,
        tokenizer=processor.tokenizer,
        processor=processor,
        transformer=transformer,
    )


def _flux(folder: Path, *, edits: bool = False) -> Any:
    from diffusers import FluxKontextPipeline, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel, T5Config, T5EncoderModel

    clip, clip_config = _clip_text(folder / "clip")
    t5 = T5Config(vocab_size=300, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    kind = FluxKontextPipeline if edits else FluxPipeline
    return kind(
        scheduler=_flow(),
        vae=_autoencoder(),
        text_encoder=CLIPTextModel(clip_config),
        tokenizer=clip,
        text_encoder_2=T5EncoderModel(t5),
        tokenizer_2=_tokenizer(),
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            guidance_embeds=True,
            axes_dims_rope=(4, 4, 8),
        ),
    )


def _flux_2_parts(joint: int) -> tuple[Any, Any]:
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

    vae = AutoencoderKLFlux2(
        sample_size=32,
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=1,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=joint,
        axes_dims_rope=(4, 4, 4, 4),
    )
    for name, weight in transformer.named_parameters():
        if "add_v_proj" in name:
            weight.data.mul_(20)  # words are to be seen
    return vae, transformer


def _flux_2(folder: Path) -> Any:
    from diffusers import Flux2Pipeline
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, PixtralImageProcessor, PixtralProcessor

    del folder
    vision = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 4,
    }
    text = {"model_type": "mistral", **_text(num_hidden_layers=31)}  # the pipeline reads layers 10, 20 and 30
    config = Mistral3Config(text_config=text, vision_config=vision, image_token_index=3, spatial_merge_size=1)
    vae, transformer = _flux_2_parts(48)
    return Flux2Pipeline(
        scheduler=_flow(),
        vae=vae,
        text_encoder=Mistral3ForConditionalGeneration(config),
        tokenizer=PixtralProcessor(
            PixtralImageProcessor(), _tokenizer(additional_special_tokens=["[IMG]"]), chat_template=TURNS
        ),
        transformer=transformer,
    )


def _flux_2_klein(folder: Path) -> Any:
    from diffusers import Flux2KleinPipeline
    from transformers import Qwen3Config, Qwen3ForCausalLM

    del folder
    vae, transformer = _flux_2_parts(48)
    return Flux2KleinPipeline(
        scheduler=_flow(),
        vae=vae,
        text_encoder=Qwen3ForCausalLM(Qwen3Config(**_text(num_hidden_layers=28))),  # layers 9, 18 and 27 are read
        tokenizer=_tokenizer(chat_template=TURNS),
        transformer=transformer,
        is_distilled=True,
    )


def _omnigen(folder: Path) -> Any:
    from diffusers import OmniGenPipeline, OmniGenTransformer2DModel

    del folder
    return OmniGenPipeline(
        transformer=OmniGenTransformer2DModel(
            hidden_size=16,
            num_attention_heads=4,
            num_key_value_heads=4,
            intermediate_size=32,
            num_layers=2,
            in_channels=4,
            time_step_dim=4,
            rope_scaling={"long_factor": [1, 2], "short_factor": [1, 2]},
        ),
        scheduler=_flow(),
        vae=_autoencoder(),
        tokenizer=_tokenizer(),
    )


def _lumina_2(folder: Path) -> Any:
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    del folder
    return Lumina2Pipeline(
        transformer=Lumina2Transformer2DModel(
            sample_size=4,
            patch_size=2,
            in_channels=4,
            hidden_size=24,
            num_layers=2,
            num_refiner_layers=1,
            num_attention_heads=3,
            num_kv_heads=1,
            multiple_of=16,
            axes_dim_rope=(4, 2, 2),
            axes_lens=(300, 512, 512),
            cap_feat_dim=16,
        ),
        scheduler=_flow(),
        vae=_autoencoder(),
        text_encoder=Gemma2Model(Gemma2Config(**_text())),
        tokenizer=_tokenizer(),
    )


def _sana(folder: Path) -> Any:
    from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    del folder
    return SanaPipeline(
        tokenizer=_tokenizer(),
        text_encoder=Gemma2Model(Gemma2Config(**_text(max_position_embeddings=4096))),
        vae=AutoencoderDC(
            latent_channels=4,
            attention_head_dim=2,
            encoder_block_types=("ResBlock", "EfficientViTBlock"),
            decoder_block_types=("ResBlock", "EfficientViTBlock"),
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            encoder_qkv_multiscales=((), (5,)),
            decoder_qkv_multiscales=((), (5,)),
            encoder_layers_per_block=(1, 1),
            decoder_layers_per_block=(1, 1),
            downsample_block_type="conv",
            upsample_block_type="interpolate",
            decoder_norm_types="rms_norm",
            decoder_act_fns="silu",
        ),
        transformer=SanaTransformer2DModel(
            patch_size=1,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            num_attention_heads=2,
            attention_head_dim=4,
            num_cross_attention_heads=2,
            cross_attention_head_dim=4,
            cross_attention_dim=8,
            caption_channels=16,
            sample_size=32,
        ),
        scheduler=DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, final_sigmas_type="zero"
        ),
    )


MAKERS: Mapping[str, Callable[[Path], Any]] = {
    "QwenImagePipeline": _qwen_image,
    "QwenImageEditPipeline": _qwen_image_edit,
    "FluxPipeline": _flux,
    "FluxKontextPipeline": partial(_flux, edits=True),
    "Flux2Pipeline": _flux_2,
    "Flux2KleinPipeline": _flux_2_klein,
    "OmniGenPipeline": _omnigen,
    "Lumina2Pipeline": _lumina_2,
    "SanaPipeline": _sana,
}


def save_drawer(kind: str, folder: Path) -> None:
    """Save a tiny pipeline of a class by its name."""
    import torch

    if kind == "StableDiffusion3Pipeline":
        save_sd3(folder)
        return
    torch.manual_seed(0)
    MAKERS[kind](folder.parent / f"{folder.name}-parts").save_pretrained(folder)
