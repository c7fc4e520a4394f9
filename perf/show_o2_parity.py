"""Print how far `show-o2` is from the authors' own code, on tiny random weights, both in its environment.

    janus-eval env create show-o2 && python perf/show_o2_parity.py [FOLDER]

The environment's interpreter makes weights in the authors' formats in FOLDER (else a temporary one), loads them by
their `from_pretrained` and makes the calls of `inference_t2i.py` and `inference_mmu.py`, one picture and one question
at a time (the scripts themselves want wandb, a safety checker of the hub and a jpg); then the worker is asked for the
same. The language model and SigLIP are tiny, the head for pictures has one layer of the released width, the VAE the
released size; 96 px. All in float32 on the CPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from side_by_side import drawn, words

PROMPTS = (("a photo of a red apple", 3), ("two dogs and a blue chair", 2**62 + 5))
QUESTIONS = (("what is it?", (60, 40)), ("is there a cat in it? answer yes or no.", (30, 90)))
SIDE, STEPS, GUIDANCE, WORDS, TEXT = 6, 4, 7.5, 24, 290


# -- in the environment -------------------------------------------------------------------------------


def made(folder: Path) -> None:
    """Make the files: the language model's folder, SigLIP's, the VAE's weights, the whole network's folder."""
    import torch
    from models.misc import get_text_tokenizer
    from models.modeling_siglip import SiglipConfig, SiglipModel
    from models.wan21_vae import WanVAE_
    from transformers import Qwen2Config

    from models import Showo2Qwen2_5

    torch.manual_seed(0)
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    marks += ["<|image_pad|>", "<|video_pad|>"]
    words(folder / "qwen", marks, "what is it yes no cat a photo of an apple")
    Qwen2Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ).save_pretrained(folder / "qwen")
    sizes = {"hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 16}
    tower = {**sizes, "image_size": SIDE * 14, "patch_size": 14}
    SiglipModel(SiglipConfig(text_config={"num_hidden_layers": 1}, vision_config=tower)).save_pretrained(folder / "sig")
    vae = WanVAE_(dim=96, z_dim=16, temperal_downsample=[False, True, True])
    torch.save(vae.state_dict(), folder / "vae.pth")
    tokenizer, _ = get_text_tokenizer(str(folder / "qwen"), return_showo_token_ids=True)
    whole = Showo2Qwen2_5(
        llm_vocab_size=len(tokenizer),
        llm_model_path=str(folder / "qwen"),
        load_from_showo=True,
        image_latent_height=SIDE,
        image_latent_width=SIDE,
        hidden_size=64,
        clip_latent_dim=64,
        num_diffusion_layers=1,
        add_qk_norm=True,
        clip_pretrained_model_path=str(folder / "sig"),
    )
    with torch.no_grad():
        for each in whole.parameters():
            flat = each.dim() == 1
            each.add_(torch.randn_like(each) * 0.05) if flat else each.normal_(std=each[0].numel() ** -0.5)
        whole.showo.model.embed_tokens.weight.mul_(0.3)  # else a tied head repeats the last word
    whole.save_pretrained(folder / "showo", safe_serialization=False)


def official(folder: Path) -> None:
    """Load as the authors' scripts do and make their calls."""
    import numpy as np
    import torch
    from datasets.utils import image_transform
    from models.misc import get_text_tokenizer, prepare_gen_input
    from PIL import Image
    from transport import Sampler, create_transport

    from models import Showo2Qwen2_5, WanVAE, omni_attn_mask_naive

    device = torch.device("cpu")
    vae = WanVAE(vae_pth=str(folder / "vae.pth"), dtype=torch.float32, device=device)
    tokenizer, ids = get_text_tokenizer(str(folder / "qwen"), return_showo_token_ids=True)
    model = Showo2Qwen2_5.from_pretrained(folder / "showo", use_safetensors=False).eval()
    tokens = SIDE * SIDE + 1
    whole = TEXT + tokens + 4
    marks = (ids["bos_id"], ids["eos_id"], ids["boi_id"], ids["eoi_id"], tokenizer.pad_token_id, ids["img_pad_id"])
    transport = create_transport("Linear", "velocity", None, None, None, "lognorm", True, tokens)
    for number, (prompt, seed) in enumerate(PROMPTS):
        texts, nulls, places, none = prepare_gen_input([prompt], tokenizer, tokens, *marks, TEXT, device)
        torch.manual_seed(seed)
        z = torch.randn((1, 16, SIDE * 2, SIDE * 2)).to(torch.bfloat16)
        texts, places = torch.cat([texts, nulls], dim=0), torch.cat([places, none], dim=0)
        mask = omni_attn_mask_naive(2, whole, places, device).to(torch.float32)
        more = {"text_tokens": texts, "attention_mask": mask, "modality_positions": places}
        more |= {"output_hidden_states": True, "max_seq_len": whole, "guidance_scale": GUIDANCE}
        draw = Sampler(transport).sample_ode(
            sampling_method="euler", num_steps=STEPS, atol=1e-6, rtol=1e-3, reverse=False, time_shifting_factor=3.0
        )
        samples = torch.chunk(draw(torch.cat([z, z], dim=0), model.t2i_generate, **more)[-1], 2)[0]
        with torch.no_grad():
            images = vae.batch_decode(samples.unsqueeze(2)).squeeze(2)
        images = torch.clamp((images + 1.0) / 2.0, min=0.0, max=1.0).to(torch.float32) * 255.0  # utils.denorm
        np.save(folder / f"drawn-{number}.npy", images.permute(0, 2, 3, 1).numpy().astype(np.uint8)[0])
    said = []
    for number, (question, size) in enumerate(QUESTIONS):
        picture = Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 60 + number).convert("RGB")
        picture.save(folder / f"{number}.png")
        torch.manual_seed(number)
        with torch.no_grad():
            answer = asked_officially(model, vae, tokenizer, ids, image_transform(picture, SIDE * 16), question)
        said.append(answer)
    (folder / "said.json").write_text(json.dumps(said))


def asked_officially(model: Any, vae: Any, tokenizer: Any, ids: dict[str, int], image: Any, question: str) -> str:
    """Make the calls of inference_mmu.py."""
    import torch

    from models import omni_attn_mask_naive

    latents = vae.sample(image.unsqueeze(0).unsqueeze(2)).squeeze(2).to(torch.float32)
    und, gen = model.image_embedder_und(latents), model.image_embedder_gen(latents)
    und = model.und_trans(und + model.position_embedding(model.image_position_ids))["last_hidden_state"]
    image_embeds = model.fusion_proj(torch.cat([und, gen], dim=-1))
    system = tokenizer("system\nYou are a helpful assistant.<|im_end|>", add_special_tokens=False)["input_ids"]
    role_a = tokenizer("\n<|im_start|>user\n", add_special_tokens=False)["input_ids"]
    role_b = tokenizer("\n<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    asked = tokenizer(question, add_special_tokens=False).input_ids
    a = torch.tensor([ids["bos_id"], *system, *role_a])[None, :]
    b = torch.tensor([ids["boi_id"], ids["eoi_id"], *asked, *role_b])[None, :]
    embeds_a, embeds_b = model.showo.model.embed_tokens(a), model.showo.model.embed_tokens(b)
    time_embeds = model.time_embed(torch.Tensor([[1.0]]), embeds_a.dtype)
    if hasattr(model, "time_embed_proj"):
        time_embeds = model.time_embed_proj(time_embeds)
    embeds = torch.cat([embeds_a, embeds_b[:, :1], time_embeds, image_embeds, embeds_b[:, 1:]], dim=1)
    places = torch.tensor([a.shape[1] + 2, SIDE * SIDE + 1])[None, None, :]
    mask = omni_attn_mask_naive(B=1, LEN=embeds.size(1), modalities=places, device=embeds.device, inverted=True)
    tokens = model.mmu_generate(
        input_embeds=embeds,
        attention_mask=mask.to(embeds.dtype),
        top_k=1,
        max_new_tokens=WORDS,
        eos_token=tokenizer.eos_token_id,
    )
    return tokenizer.batch_decode(torch.stack(tokens).squeeze()[None], skip_special_tokens=True)[0]


# -- here ---------------------------------------------------------------------------------------------


def created(folder: Path, **more: str) -> Any:
    from janus_eval.evals import registry

    given = {"checkpoint": folder / "showo", "vae": folder / "vae.pth", "language": folder / "qwen"}
    options = {name: str(each) for name, each in given.items()} | {"steps": str(STEPS), "guidance": str(GUIDANCE)}
    return registry.create("models", "show-o2", device="cpu", max_new_tokens=str(WORDS), **options, **more)


def asked(folder: Path) -> int:
    from janus_eval.evals.types import Job, Picture, Sample

    model = created(folder)
    jobs = [
        Job(Sample(str(n), question, (Picture(f"{n}.png", (folder / f"{n}.png").read_bytes),)), "text", 0, n)
        for n, (question, _) in enumerate(QUESTIONS)
    ]
    said = [each.text for each in model.predict(jobs)]
    model.close()
    expected = json.loads((folder / "said.json").read_text())
    print(f"answers: {said}, expected {expected}")
    return int(said != expected)


def main(folder: Path) -> int:
    import numpy as np
    from janus_eval.models.workers.named import SHOW_O2

    folder.mkdir(parents=True, exist_ok=True)
    python, source = str(SHOW_O2.python()), str(SHOW_O2.source_folder(elsewhere=False))
    line = [python, __file__, "--official", str(folder.absolute()), source]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    expected = [np.load(folder / f"drawn-{number}.npy").astype(int) for number in range(len(PROMPTS))]
    return drawn(lambda size: created(folder, batch_size=size), PROMPTS, expected) + asked(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--official"]:
        sys.path.insert(0, f"{sys.argv[3]}/show-o2")
        os.environ["HF_HUB_OFFLINE"] = "1"
        made(Path(sys.argv[2]))
        official(Path(sys.argv[2]))
        sys.exit()
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) == 2 else temporary)))
