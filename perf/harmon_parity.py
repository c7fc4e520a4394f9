"""Print how far `harmon` is from the authors' own scripts, on tiny random weights, both in its environment.

    janus-eval env create harmon && python perf/harmon_parity.py CHECKOUT [FOLDER]

CHECKOUT is wusize/Harmon at 4eb6087. The environment's interpreter makes weights in the authors' formats in FOLDER
(else a temporary one) and runs `scripts/text2image.py` and `scripts/image2text.py` as they stand, one picture and one
question at a time, but for `.cuda()`, which there is none of; then the worker is asked for the same. The language model
and MAR are tiny, the VAE has the released size. All in float32 on the CPU.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from side_by_side import drawn, words

PROMPTS = (("a photo of a red apple", 3), ("two dogs and a blue chair", 2**32 + 5))
QUESTIONS = (("what is it?", (60, 40)), ("is there a cat in it? answer yes or no.", (30, 90)))
SIZE, STEPS, WORDS = 64, 5, 1024
CONFIG = """
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from src.models.harmon import Harmon
from src.models.mar.vae import AutoencoderKL
from tiny import mar_tiny

prompt_template = dict(INSTRUCTION='<|im_start|>user\\n{input}<|im_end|>\\n<|im_start|>assistant\\n')
tokenizer = dict(type=AutoTokenizer.from_pretrained, pretrained_model_name_or_path='FOLDER/qwen', padding_side='right')
model = dict(
    type=Harmon, tokenizer=tokenizer, prompt_template=prompt_template, vae_scale=0.2325,
    vae=dict(type=AutoencoderKL, embed_dim=16, ch_mult=(1, 1, 2, 2, 4), ckpt_path='FOLDER/kl16.ckpt'),
    llm=dict(type=AutoModelForCausalLM.from_pretrained, pretrained_model_name_or_path='FOLDER/qwen',
             torch_dtype=torch.float32, attn_implementation='sdpa'),
    mar=dict(type=mar_tiny, img_size=128, vae_stride=16, patch_size=1, vae_embed_dim=16, class_num=10, buffer_size=64,
             diffloss_d=2, diffloss_w=32, num_sampling_steps="100", attn_dropout=0.1, proj_dropout=0.1,
             grad_checkpointing=True),
)
"""
TINY = """
from functools import partial
from src.models.mar.mar import MAR, nn

def mar_tiny(**kwargs):  # as mar_base and mar_huge
    return MAR(encoder_embed_dim=64, encoder_depth=2, encoder_num_heads=16, decoder_embed_dim=48, decoder_depth=3,
               decoder_num_heads=16, mlp_ratio=4, norm_layer=partial(nn.LayerNorm, eps=1e-6), **kwargs)
"""


# -- in the environment -------------------------------------------------------------------------------


def made(folder: Path) -> None:
    """Make the files: a language model's folder, the VAE's and the whole network's weights, a configuration."""
    import torch
    from mmengine.config import Config
    from src.builder import BUILDER
    from src.models.mar.vae import AutoencoderKL
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words(folder / "qwen", marks, "what is it yes no cat Generate an image")
    config = Qwen2Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder / "qwen")
    vae = AutoencoderKL(embed_dim=16, ch_mult=(1, 1, 2, 2, 4))
    torch.save({"model": vae.state_dict()}, folder / "kl16.ckpt")
    (folder / "tiny.py").write_text(TINY)
    (folder / "config.py").write_text(CONFIG.replace("FOLDER", str(folder)))
    whole = BUILDER.build(Config.fromfile(folder / "config.py").model)
    with torch.no_grad():
        for name, each in whole.named_parameters():
            if not name.startswith("vae."):
                flat = each.dim() == 1
                each.add_(torch.randn_like(each) * 0.05) if flat else each.normal_(std=each.shape[-1] ** -0.5)
    held = {name: each for name, each in whole.state_dict().items() if not name.startswith("vae.")}
    torch.save(held, folder / "harmon.pth")


def scripts(checkout: Path, folder: Path) -> None:
    """Run the authors' two scripts for each prompt and question."""
    import numpy as np
    import torch
    from PIL import Image
    from src.models.harmon import Harmon

    torch.Tensor.cuda = lambda self, *_, **__: self
    torch.nn.Module.cuda = lambda self, *_, **__: self
    sample = Harmon.sample
    for number, (prompt, seed) in enumerate(PROMPTS):

        def seeded(self: Any, *args: Any, _seed: int = seed, **more: Any) -> Any:
            torch.manual_seed(_seed)
            np.random.seed(_seed % (1 << 32))
            return sample(self, *args, **more)

        Harmon.sample = seeded
        line = ["text2image.py", str(folder / "config.py"), "--checkpoint", str(folder / "harmon.pth")]
        line += ["--prompt", prompt, "--num_iter", str(STEPS), "--grid_size", "1", "--image_size", str(SIZE)]
        sys.argv = [*line, "--output", str(folder / f"drawn-{number}.png")]
        runpy.run_path(str(checkout / "scripts" / "text2image.py"), run_name="__main__")
    said = []
    for number, (question, size) in enumerate(QUESTIONS):
        picture = folder / f"{number}.png"
        Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 60 + number).convert("RGB").save(picture)
        line = ["image2text.py", str(folder / "config.py"), "--checkpoint", str(folder / "harmon.pth")]
        sys.argv = [*line, "--image", str(picture), "--image_size", str(SIZE), "--prompt", question]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            runpy.run_path(str(checkout / "scripts" / "image2text.py"), run_name="__main__")
        said.append(printed.getvalue().partition("Image token: <image>\n")[2])
    (folder / "said.json").write_text(json.dumps(said))


# -- here ---------------------------------------------------------------------------------------------


def created(folder: Path, **more: str) -> Any:
    from janus_eval.evals import registry

    given = {"checkpoint": folder / "harmon.pth", "vae": folder / "kl16.ckpt", "language": folder / "qwen"}
    options = {name: str(each) for name, each in given.items()} | {"size": str(SIZE), "steps": str(STEPS)}
    return registry.create("models", "harmon", device="cpu", template="Generate an image: {}", **options, **more)


def asked(folder: Path) -> int:
    from janus_eval.evals.types import Job, Picture, Sample

    model = created(folder, max_new_tokens=str(WORDS))
    jobs = [
        Job(Sample(str(n), question, (Picture(f"{n}.png", (folder / f"{n}.png").read_bytes),)), "text", 0, 1)
        for n, (question, _) in enumerate(QUESTIONS)
    ]
    said = [(each.text, each.finish) for each in model.predict(jobs)]
    model.close()
    wrong = 0
    for (text, finish), theirs in zip(said, json.loads((folder / "said.json").read_text()), strict=True):
        for mark in ("<|im_end|>", "<|im_start|>", "<|endoftext|>"):  # the script prints them
            theirs = theirs.replace(mark, "")
        wrong += int(text != theirs.strip())
        print(f"answer of {len(text)} characters ({finish}), equal: {text == theirs.strip()}: {text[:40]!r}")
    return wrong


def main(checkout: Path, folder: Path) -> int:
    import numpy as np
    from janus_eval.models.workers.named import HARMON
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    python, source = str(HARMON.python()), str(HARMON.source_folder(elsewhere=False))
    line = [python, __file__, "--scripts", str(checkout.absolute()), str(folder.absolute()), source]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    expected = [np.asarray(Image.open(folder / f"drawn-{number}.png")).astype(int) for number in range(len(PROMPTS))]
    return drawn(lambda size: created(folder, batch_size=size), PROMPTS, expected) + asked(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--scripts"]:
        sys.path[:0] = [sys.argv[4], sys.argv[3]]
        os.environ["HF_HUB_OFFLINE"] = "1"
        made(Path(sys.argv[3]))
        scripts(Path(sys.argv[2]), Path(sys.argv[3]))
        sys.exit()
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else temporary)))
