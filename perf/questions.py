"""What it saves that a vision-language model reads a picture once for the questions about it, and their answers.

    OMP_NUM_THREADS=2 python perf/questions.py [--questions 16] [--layers 4] [--tokens 4]

LLaVA-1.5-7B's widths with random weights, a few of its layers in both networks (336 px, 576 places a picture), asked
through the registered adapter. Both ways in turns in one process; the best repetition of each counts. The answers must
be equal.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from janus_eval.evals import registry
from janus_eval.evals.types import Job, Picture, Sample
from janus_eval.models import hf
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support.tiny_models import save_vision_language_model

WIDTHS = {
    "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "image_size": 336},
    "text": {"hidden_size": 4096, "intermediate_size": 11_008, "num_attention_heads": 32, "initializer_range": 0.05},
}


def save(folder: Path, layers: int) -> None:
    """Save the tiny LLaVA of the tests, its networks as wide as the real one's."""
    from transformers import AutoConfig, AutoProcessor, LlavaForConditionalGeneration

    save_vision_language_model(folder)
    config = AutoConfig.from_pretrained(folder)
    for part, widths in WIDTHS.items():
        inner = getattr(config, f"{part}_config")
        inner.update({**widths, "num_hidden_layers": layers})
    config.text_config.num_key_value_heads = config.text_config.num_attention_heads
    config.text_config.head_dim = 128
    config.vision_config.patch_size = 14
    config.image_seq_length = 576
    torch.manual_seed(0)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor: Any = AutoProcessor.from_pretrained(folder)
    processor.patch_size = 14
    processor.image_processor.size = {"shortest_edge": 336}
    processor.image_processor.crop_size = {"height": 336, "width": 336}
    processor.save_pretrained(folder)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    data = io.BytesIO()
    Image.radial_gradient("L").resize((640, 480)).convert("RGB").save(data, "JPEG")
    picture = Picture("one.jpg", data.getvalue)
    words = ("red", "cat", "blue dog", "photo of the red cat", "two cat")
    asked = [f"is this a {words[n % len(words)]} {'? ' * (n // len(words) + 1)}" for n in range(given.questions)]
    jobs = [Job(Sample(f"{n}", text, images=(picture,)), "text", 0, 1) for n, text in enumerate(asked)]
    own, seconds, answers = hf.shares, {True: float("inf"), False: float("inf")}, []
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder), given.layers)
        options = {"device": given.device, "dtype": given.dtype, "max_new_tokens": given.tokens}
        model: Any = registry.create("models", f"hf:{folder}", **options)
        model.predict(jobs[:1])
        for _ in range(given.repeat):
            for shared in (False, True):
                hf.shares = own if shared else lambda model: False
                began = time.perf_counter()
                answers.append(model.predict(jobs))
                seconds[shared] = min(seconds[shared], time.perf_counter() - began)
    if any(each != answers[0] for each in answers):
        raise SystemExit("the answers differ")
    told = {
        "questions": given.questions,
        "layers": given.layers,
        "shared_s": round(seconds[True] / given.questions, 3),
        "whole_s": round(seconds[False] / given.questions, 3),
        "ratio": round(seconds[False] / seconds[True], 2),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
