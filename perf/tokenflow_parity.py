"""Print how far `tokenflow-xl` is from the authors' own code, on tiny random weights, both in its environment.

    janus-eval env create tokenflow-xl && python perf/tokenflow_parity.py [FOLDER]

The environment's interpreter makes the weights in FOLDER (else a temporary one) and calls the authors' functions
as their scripts do, one picture and one question at a time; then the worker is asked for the same. The language
models are tiny; the picture tokenizers have the released widths, which the code holds fast. All in float32 on the
CPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROMPTS = (("a photo of a red apple", 3), ("two dogs and a blue chair", 2**62 + 5))
QUESTIONS = (("what is it?", (60, 40)), ("is there a cat in it? answer yes or no.", (30, 90)))
WORDS, GUIDANCE = 6, 7.5
NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    "low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry."
)


# -- in the environment -------------------------------------------------------------------------------


def teachers() -> None:
    """Let the two networks that the code downloads be made from their sizes: there may be no network."""
    from tokenflow.tokenizer.clip import clip, model
    from tokenizer.clip import clip as other
    from transformers import SiglipVisionConfig
    from transformers.models.siglip.modeling_siglip import SiglipVisionModel

    for each in (clip, other):
        each.load_clip_vision = lambda name, download_root=None: model.VisionTransformer(224, 16, 768, 12, 12, 512)
    sizes = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
    config = SiglipVisionConfig(**sizes, image_size=384, patch_size=14)
    SiglipVisionModel.from_pretrained = classmethod(lambda cls, name: cls(config))


def tokenizer_of(folder: Path, extra: list[str]) -> Any:
    """Save a slow Llama tokenizer whose pieces were learned from a few lines."""
    import sentencepiece
    from transformers import AddedToken, LlamaTokenizer

    folder.mkdir(parents=True)
    lines = folder / "lines.txt"
    lines.write_text("a photo of a red apple\ntwo dogs and a blue chair\nlowres, bad anatomy, blurry.\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines), model_prefix=str(folder / "tokenizer"), vocab_size=60, hard_vocab_limit=False
    )
    made = LlamaTokenizer(str(folder / "tokenizer.model"), legacy=True)
    made.add_tokens([AddedToken(each, normalized=False) for each in extra])  # special ones would take minutes
    made.save_pretrained(folder)
    return made


def language(words: int) -> dict[str, Any]:
    return {
        "vocab_size": words,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "initializer_range": 0.3,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    }


def saved(model: Any, folder: Path, kind: str) -> None:
    """Save a model whose code put what is no JSON into its configuration."""
    model.config.mm_vision_vq_type = kind
    model.save_pretrained(folder)


def draws(folder: Path) -> None:
    """Make the drawing half and call it as t2i/llava_t2i/eval/run_llava_samples.py does."""
    import numpy as np
    import torch
    from llava_t2i.dataset.process import crop_and_encode_text_and_img
    from llava_t2i.model import LlavaConfig, LlavaLlamaForCausalLM
    from tokenizer.vq_model import VQ_models
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    teacher = {"teacher": "clipb_224", "enhanced_decoder": True, "infer_interpolate": True}
    network = VQ_models["TokenFlow"](codebook_size=32768, codebook_embed_dim=8, **teacher)
    torch.save({"model": network.state_dict()}, folder / "draw.pt")
    del network
    words = tokenizer_of(folder / "draw", ["[PAD]", "<img>", "</img>", *(f"<vq_token_{n}>" for n in range(32768))])
    config = LlavaConfig(
        **language(len(words)),
        mm_vision_tower=str(folder / "draw.pt"),
        mm_vision_vq_type="TOKEN_FLOW",
        mm_projector_type="mlp2x_gelu",
        mm_patch_merge_type="flat",
        mm_vision_select_layer=-2,
        mm_use_vq_token=True,
        vq_codebook_size=32768,
        tokenizer_model_max_length=1024,
    )
    saved(LlavaLlamaForCausalLM(config), folder / "draw", "TOKEN_FLOW")
    model = LlavaLlamaForCausalLM.from_pretrained(
        folder / "draw", attn_implementation="eager", mm_vision_tower=str(folder / "draw.pt")
    ).eval()
    model.config.use_cache = False
    words = AutoTokenizer.from_pretrained(folder / "draw", model_max_length=1024, padding_side="right", use_fast=False)
    model.reinit_image_token_start_end(words)
    began = time.time()
    for loops, top_k, top_p in ((1, [600], [0.6]), (3, [1200, 100, 1], [0.8, 0.8, 0])):
        for number, (prompt, seed) in enumerate(PROMPTS[: 1 if loops > 1 else None]):
            codes = [crop_and_encode_text_and_img(words, each, None, 128)[0] for each in (prompt, NEGATIVE)]
            with torch.inference_mode():
                made = model.autoregressive_infer_cfg(
                    B=1, prefix_text_codes=codes, g_seed=seed, cfg=GUIDANCE, topk_list=top_k, topp_list=top_p
                )
            np.save(folder / f"draw-{loops}-{number}.npy", made[0].numpy())
    print(f"official: {time.time() - began:.0f} s for {len(PROMPTS) + 1} pictures", file=sys.stderr)


def chat_words() -> Any:
    """Return a small byte-level tokenizer with the marks of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    inner = Tokenizer(models.BPE(unk_token=None))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    inner.train_from_iterator(["what is it yes no cat"], trainer)
    return Qwen2TokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def answers(folder: Path) -> None:
    """Make the answering half and ask it as i2t's walk does."""
    import torch
    from llava.constants import IMAGE_TOKEN_INDEX
    from llava.conversation import conv_templates
    from llava.mm_utils import process_images, tokenizer_image_token
    from llava.model.language_model.llava_qwen import LlavaQwenConfig, LlavaQwenForCausalLM
    from PIL import Image
    from tokenflow.tokenizer.vq_model import VQ_models
    from transformers import AutoTokenizer

    torch.manual_seed(1)
    network = VQ_models["TokenFlow"](codebook_size=32768, teacher="siglip_384")
    torch.save({"model": network.state_dict()}, folder / "answer.pt")
    del network
    words = chat_words()
    where = folder / "tokenflow-llava-qwen"
    words.save_pretrained(where)
    config = LlavaQwenConfig(
        **language(len(words)),
        mm_vision_tower=str(folder / "answer.pt"),
        mm_vision_vq_type="TOKENFLOW",
        mm_projector_type="mlp2x_gelu",
        mm_patch_merge_type="flat",
        mm_vision_select_layer=-2,
        mm_use_im_start_end=False,
        mm_use_im_patch_token=False,
        image_aspect_ratio="pad",
        eos_token_id=words.eos_token_id,
        bos_token_id=None,
        pad_token_id=words.pad_token_id,
    )
    saved(LlavaQwenForCausalLM(config), where, "TOKENFLOW")
    # as load_pretrained_model of i2t/llava/model/builder.py, but for its float16, which a CPU is slow at
    words = AutoTokenizer.from_pretrained(where)
    model = LlavaQwenForCausalLM.from_pretrained(where, low_cpu_mem_usage=True).eval()
    model.resize_token_embeddings(len(words))
    reader = model.get_vision_tower().image_processor
    said = []
    for number, (question, size) in enumerate(QUESTIONS):
        picture = Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 60 + number).convert("RGB")
        picture.save(folder / f"{number}.png")
        pixels = process_images([picture], reader, model.config)
        talk = conv_templates["qwen_2_5"].copy()
        talk.append_message(talk.roles[0], f"<image>\n{question}")
        talk.append_message(talk.roles[1], None)
        ids = tokenizer_image_token(talk.get_prompt(), words, IMAGE_TOKEN_INDEX, return_tensors="pt")[None]
        with torch.inference_mode():
            made = model.generate(
                ids, images=pixels, image_sizes=[size], do_sample=False, max_new_tokens=WORDS, use_cache=True
            )
        said.append(words.decode(made[0], skip_special_tokens=True).strip())
    (folder / "said.json").write_text(json.dumps(said))


# -- here ---------------------------------------------------------------------------------------------


def compare(folder: Path) -> int:
    """Ask the worker for the same and print what differs; return how many outputs do."""
    return drawn(folder) + asked(folder)


def given(folder: Path) -> dict[str, str]:
    places = {"answering": folder / "tokenflow-llava-qwen", "answering_tokenizer": folder / "answer.pt"}
    places |= {"drawing": folder / "draw", "drawing_tokenizer": folder / "draw.pt"}
    return {name: str(each) for name, each in places.items()} | {"device": "cpu", "max_new_tokens": str(WORDS)}


def drawn(folder: Path) -> int:
    import numpy as np
    from janus_eval.evals import registry
    from janus_eval.evals.types import Job, Sample

    wrong = 0
    jobs = [Job(Sample(str(n), prompt), "image", 0, seed) for n, (prompt, seed) in enumerate(PROMPTS)]
    for loops, batch in ((1, 1), (1, 2), (3, 1)):
        model = registry.create("models", "tokenflow-xl", loops=str(loops), batch_size=str(batch), **given(folder))
        began = time.time()
        found = [np.asarray(each()).astype(int) for each in model.predict(jobs[: 1 if loops > 1 else None])]
        seconds = time.time() - began
        model.close()
        expected = [np.load(folder / f"draw-{loops}-{number}.npy").astype(int) for number in range(len(found))]
        pairs = list(zip(found, expected, strict=True))
        apart = [int((one != other).sum()) for one, other in pairs]
        most = max(int(abs(one - other).max()) for one, other in pairs)
        wrong += sum(map(bool, apart)) if batch == 1 else 0
        print(f"loops {loops}, batch {batch}: of {expected[0].size} values differ {apart}, by {most}; {seconds:.0f} s")
    return wrong


def asked(folder: Path) -> int:
    from janus_eval.evals import registry
    from janus_eval.evals.types import Job, Picture, Sample

    model = registry.create("models", "tokenflow-xl", **given(folder))
    jobs = [
        Job(Sample(str(n), question, (Picture(f"{n}.png", (folder / f"{n}.png").read_bytes),)), "text", 0, 1)
        for n, (question, _) in enumerate(QUESTIONS)
    ]
    said = [each.text for each in model.predict(jobs)]
    model.close()
    expected = json.loads((folder / "said.json").read_text())
    print(f"answers: {said}, expected {expected}")
    return int(said != expected)


def main() -> None:
    from janus_eval.models.workers.named import TOKENFLOW

    with tempfile.TemporaryDirectory() as made:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        source = TOKENFLOW.source_folder(elsewhere=False)
        for half in ("draws", "answers"):
            line = [str(TOKENFLOW.python()), __file__, f"--{half}", str(folder), str(source)]
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        sys.exit(1 if compare(folder) else 0)


if __name__ == "__main__":
    if sys.argv[1:2] in (["--draws"], ["--answers"]):
        sys.path[:0] = [f"{sys.argv[3]}/{each}" for each in ("t2i", "i2t", "", "tokenflow")]
        os.environ["HF_HUB_OFFLINE"] = "1"  # their conversations fetch Llama 3's tokenizer for a template of its own
        teachers()
        {"--draws": draws, "--answers": answers}[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
