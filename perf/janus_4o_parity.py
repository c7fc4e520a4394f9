"""Print how far `janus-4o-7b` is from the drawing function of its authors' README, on tiny random weights.

    python perf/janus_4o_parity.py JANUS SHAREGPT PYTHON [FOLDER]

JANUS is a checkout of deepseek-ai/Janus (1daa72f), SHAREGPT one of FreedomIntelligence/ShareGPT-4o-Image (19ac7d7);
PYTHON an interpreter with what the first wants (transformers 4.48, timm, attrdict, einops, torchvision). It saves a
model of the official classes in FOLDER as `train_janus.py` saves one, loads that by the README's lines and runs the
README's own function, at a temperature near 0, so that nothing is left to chance. The language model is tiny, the two
picture networks have the released sizes, which the official code holds fast. All in float32 on the CPU.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

PROMPTS = ("a red apple", "a photo of two dogs and one blue chair to the left of a cup", "")
VOCABULARY = 1200


def official(janus: Path, sharegpt: Path, folder: Path) -> None:
    """Save a model as the authors' training does and draw by their README's function."""
    import collections
    import collections.abc

    for name in ("Mapping", "MutableMapping", "Sequence"):  # attrdict is older than Python 3.10
        setattr(collections, name, getattr(collections.abc, name))
    sys.path.insert(0, str(janus))
    import torch
    import transformers
    from janus.models import MultiModalityCausalLM, VLChatProcessor
    from janus.models.image_processing_vlm import VLMImageProcessor
    from transformers import AutoModelForCausalLM, LlamaTokenizerFast

    print(f"official: transformers {transformers.__version__}, torch {torch.__version__}")
    torch.manual_seed(0)
    where = folder / "model"
    weights(MultiModalityCausalLM).save_pretrained(where)
    names = json.loads((where / "special_tokens_map.json").read_text(encoding="utf-8"))
    tokenizer = LlamaTokenizerFast(tokenizer_file=str(where / "tokenizer.json"), legacy=False, **names)
    pixels = VLMImageProcessor(image_size=384, image_mean=(0.5,) * 3, image_std=(0.5,) * 3)
    VLChatProcessor(pixels, tokenizer, sft_format="deepseek").save_pretrained(where)

    processor = VLChatProcessor.from_pretrained(where)
    model = AutoModelForCausalLM.from_pretrained(where, torch_dtype=torch.float32).eval()
    torch.Tensor.cuda = lambda self: self  # there is none here
    (block,) = [
        each
        for each in re.findall(r"```Python\n(.*?)```", (sharegpt / "README.md").read_text(encoding="utf-8"), re.DOTALL)
        if "def text_to_image_generate" in each
    ]
    code = block[block.index("def text_to_image_generate") : block.index("# Run")]
    import os

    import PIL.Image

    space: dict[str, Any] = {"torch": torch, "np": np, "PIL": PIL, "os": os}
    exec(code, space)
    for number, prompt in enumerate(PROMPTS):
        out = folder / "official" / str(number)
        space["text_to_image_generate"](prompt, str(out), processor, model, temperature=1e-8, parallel_size=2)


def weights(model: Any) -> Any:
    """Return the official class with random weights and a language model of two layers."""
    import torch

    def part(kind: str, **params: Any) -> dict[str, Any]:
        return {"cls": kind, "params": params}

    width, codes = 64, 16384
    projector = {"depth": 2, "n_embed": width, "projector_type": "mlp_gelu"}
    config = model.config_class(
        vision_config=part(
            "CLIPVisionTower",
            image_size=384,
            model_name="siglip_large_patch16_384",
            select_feature="same",
            select_layer=-1,
        ),
        aligner_config=part("MlpProjector", input_dim=1024, **projector),
        gen_vision_config=part("VQ-16", image_token_size=codes, n_embed=8),
        gen_aligner_config=part("MlpProjector", input_dim=8, **projector),
        gen_head_config=part("vision_head", image_token_embed=width, image_token_size=codes, n_embed=width),
        language_config={
            "hidden_size": width,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 2048,
        },
    )
    made = model(config).eval()
    with torch.no_grad():
        for each in made.parameters():
            flat = each.dim() == 1 or each.shape[:-1].numel() == 1
            each.add_(torch.randn_like(each) * 0.05) if flat else each.normal_(std=each[0].numel() ** -0.5)
        made.language_model.get_input_embeddings().weight.normal_()
    return made


def compare(folder: Path) -> int:
    """Draw the same through the adapter; return how many pictures are not the README's."""
    import torch
    import transformers
    from janus_eval.evals import registry
    from janus_eval.evals.types import Job, Sample
    from PIL import Image

    print(f"ours: transformers {transformers.__version__}, torch {torch.__version__}")
    model = registry.create("models", "janus-4o-7b", path=str(folder / "model"), temperature="0", device="cpu")
    print(f"card: {dict(model.card)}")
    jobs = [Job(Sample(str(n), prompt), "image", 0, n) for n, prompt in enumerate(PROMPTS)]
    made = [np.asarray(each()).astype(int) for each in model.predict(jobs)]
    wrong = 0
    for number, mine in enumerate(made):
        theirs = np.asarray(Image.open(folder / "official" / f"{number}_0.png")).astype(int)
        apart = np.abs(mine - theirs)
        wrong += int(apart.max() > 1)
        print(f"{PROMPTS[number]!r}: of {apart.size} values differ {np.count_nonzero(apart)}, by {apart.max()}")
    print(f"pictures of different prompts differ: {len({each.tobytes() for each in made}) == len(made)}")
    return wrong


def main(janus: Path, sharegpt: Path, python: str, folder: Path) -> int:
    """Lay the tokenizer, let the official code run, compare."""
    from janus_eval.models.janus.toy import build

    build(folder / "toy")
    (folder / "model").mkdir(exist_ok=True)
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (folder / "model" / name).write_bytes((folder / "toy" / name).read_bytes())
    subprocess.run([python, __file__, "--official", str(janus), str(sharegpt), str(folder)], check=True)
    return compare(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--official"]:
        official(*map(Path, sys.argv[2:5]))
        sys.exit()
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        where = Path(sys.argv[4] if len(sys.argv) == 5 else temporary)
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], where))
