"""A D-DiT pipeline folder of some ten thousand weights, in the files and names of the public one."""

from __future__ import annotations

import json
from pathlib import Path

from support.tiny_models import word_tokenizer

NETWORK = {
    "sample_size": 16,
    "patch_size": 2,
    "in_channels": 4,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "joint_attention_dim": 32,
    "caption_projection_dim": 32,
    "pooled_projection_dim": 64,
    "out_channels": 4,
    "pos_embed_max_size": 16,
    "dual_attention_layers": [],
    "qk_norm": None,
}


def save_dual(folder: Path) -> None:
    """Save the pipeline: 32 px a picture, a vocabulary of words with T5's control tokens."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
    from janus_eval.models.dual_diffusion.network import DualTransformer
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    torch.manual_seed(0)
    inner = word_tokenizer(("<pad>", "</s>", "<unk>", "<extra_id_0>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    network = DualTransformer(vocab_size=len(tokenizer), **NETWORK)
    for each in network.parameters():
        torch.nn.init.normal_(each, std=0.3)
    vae = AutoencoderKL(
        sample_size=32,
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0609,
        scaling_factor=1.5035,
    )
    t5 = T5EncoderModel(T5Config(vocab_size=310, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4))
    parts = {"transformer": network, "vae": vae, "text_encoder": t5, "tokenizer": tokenizer}
    for name, part in {**parts, "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0)}.items():
        part.save_pretrained(folder / name)
    index = {
        "_class_name": "DualDiffSD3Pipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["sd3_modules.sd3_model", "SD3JointModelFlexible"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "SD3JointModelFlexible"}))
