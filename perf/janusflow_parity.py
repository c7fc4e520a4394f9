"""Print how far this JanusFlow is from the official code, on tiny random weights in the official file format.

    python perf/janusflow_parity.py CHECKOUT PYTHON [FOLDER]

CHECKOUT is deepseek-ai/Janus at 1daa72f; PYTHON an interpreter with what it wants (transformers 4.48, diffusers 0.31,
timm, attrdict, einops, torchvision), which makes the weights and the official numbers in FOLDER (else a temporary
one). Widths are the released ones, which the official code holds fast; layers are two. All in float32 on the CPU.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

PROMPTS = ("a red apple", "a photo of two dogs and one blue chair to the left of a cup", "")
QUESTIONS = ("what is it?", "is there a cat in it? answer with yes or no.")
GUIDANCE, STEPS, EACH, WORDS, VOCABULARY = 2.0, 3, 2, 8, 1200
WRONG: list[str] = []


def official(checkout: Path, folder: Path) -> None:
    """Make the weights and run the official modules as the official README does."""
    import collections
    import collections.abc

    for name in ("Mapping", "MutableMapping", "Sequence"):  # attrdict is older than Python 3.10
        setattr(collections, name, getattr(collections.abc, name))
    sys.path.insert(0, str(checkout))
    import torch
    import transformers
    from diffusers.models import AutoencoderKL
    from janus.janusflow.models import MultiModalityCausalLM, VLChatProcessor
    from janus.janusflow.models.image_processing_vlm import VLMImageProcessor
    from PIL import Image
    from transformers import LlamaTokenizerFast

    print(f"official: transformers {transformers.__version__}, torch {torch.__version__}")
    torch.manual_seed(0)
    model, vae = weights(MultiModalityCausalLM, AutoencoderKL)
    model.save_pretrained(folder / "model")
    vae.save_pretrained(folder / "vae")
    names = json.loads((folder / "model" / "special_tokens_map.json").read_text(encoding="utf-8"))
    tokenizer = LlamaTokenizerFast(tokenizer_file=str(folder / "model" / "tokenizer.json"), legacy=False, **names)
    pixels = VLMImageProcessor(image_size=384, image_mean=(0.5,) * 3, image_std=(0.5,) * 3)
    processor = VLChatProcessor(pixels, tokenizer, sft_format="deepseek")
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for number, prompt in enumerate(PROMPTS):
            found |= {f"draw.{number}.{key}": each for key, each in drawn(model, vae, processor, prompt).items()}
        for number, question in enumerate(QUESTIONS):
            picture = Image.open(folder / f"{number}.png")
            asked = [
                {"role": "User", "content": f"<image_placeholder>\n{question}"},
                {"role": "Assistant", "content": ""},
            ]
            made = processor(conversations=asked, images=[picture], force_batchify=True).to("cpu", torch.float32)
            found[f"ask.{number}.pixels"] = made.pixel_values
            found[f"ask.{number}.ids"] = made.input_ids.clone()
            x = model.prepare_inputs_embeds(**made)
            found[f"ask.{number}.embeddings"] = x
            said = model.language_model.generate(
                inputs_embeds=x,
                attention_mask=made.attention_mask,
                pad_token_id=tokenizer.eos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                max_new_tokens=WORDS,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
            )
            found[f"ask.{number}.said"] = said.sequences
            found[f"ask.{number}.logits"] = torch.stack(said.logits, 1)
    np.savez(folder / "official.npz", **{key: np.asarray(each) for key, each in found.items()})


def weights(model: Any, vae: Any) -> tuple[Any, Any]:
    """Return the official classes with random weights of two layers."""
    import torch

    def part(kind: str, **params: Any) -> dict[str, Any]:
        return {"cls": kind, "params": params}

    flow = {"block_out_channels": [768], "hidden_size": 2048, "layers_in_middle": 2, "norm_eps": 1e-6}
    config = model.config_class(
        vision_und_enc_config=part("CLIPVisionTower", image_size=384, select_layer=-23),
        vision_gen_enc_config=part("ShallowUViTEncoder", input_channels=4, stride=2, kernel_size=2, padding=0, **flow),
        vision_gen_dec_config=part("ShallowUViTDecoder", in_channels=768, out_channels=4, upsamples=1, **flow),
        language_config={
            "hidden_size": 2048,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 16,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 2048,
        },
    )
    made = model(config).eval()
    decoder = vae(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        scaling_factor=0.13025,
    ).eval()
    with torch.no_grad():
        for each in (*made.parameters(), *decoder.parameters()):
            flat = each.dim() == 1 or each.shape[:-1].numel() == 1
            each.add_(torch.randn_like(each) * 0.05) if flat else each.normal_(std=each[0].numel() ** -0.5)
    return made, decoder


def drawn(model: Any, vae: Any, processor: Any, prompt: str) -> dict[str, Any]:
    """Draw EACH pictures of a prompt; its ids, noise, velocities, latents and pixels."""
    import torch

    asked = [{"role": "User", "content": prompt}, {"role": "Assistant", "content": ""}]
    text = processor.apply_sft_template_for_multi_turn_prompts(asked, sft_format=processor.sft_format)
    ids = torch.tensor(processor.tokenizer.encode(text + processor.image_gen_tag))
    rows = ids.repeat(2 * EACH, 1)
    rows[EACH:, 1:] = processor.pad_id
    before = model.language_model.get_input_embeddings()(rows)[:, :-1]
    mask = torch.ones((2 * EACH, before.shape[1] + 577), dtype=torch.int64)
    mask[EACH:, 1 : before.shape[1]] = 0
    noise = z = torch.randn(EACH, 4, 48, 48)
    velocities = []
    for step in range(STEPS):
        times = torch.full((2 * EACH,), step / STEPS * 1000.0)
        maps, time, beside = model.vision_gen_enc_model(torch.cat((z, z)), times)
        places = model.vision_gen_enc_aligner(maps.flatten(2).permute(0, 2, 1))
        x = torch.cat((before, time[:, None], places), 1)
        hidden = model.language_model.model(inputs_embeds=x, attention_mask=mask, use_cache=False).last_hidden_state
        out = model.vision_gen_dec_aligner(model.vision_gen_dec_aligner_norm(hidden[:, -576:]))
        out = out.reshape(2 * EACH, 24, 24, 768).permute(0, 3, 1, 2)
        velocities.append(model.vision_gen_dec_model(out, beside, time))
        conditional, unconditional = velocities[-1].chunk(2)
        z = z + (GUIDANCE * conditional - (GUIDANCE - 1.0) * unconditional) * (torch.zeros_like(z) + 1.0 / STEPS)
    pixels = vae.decode(z / vae.config.scaling_factor).sample
    cut = ((pixels.clip(-1, 1) + 1) / 2.0 * 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)
    told = {"ids": ids, "noise": noise, "velocities": torch.stack(velocities), "latents": z}
    return told | {"pixels": pixels, "cut": cut}


def compare(folder: Path) -> int:
    """Compare everything; exit code 1 where a line is out of bounds."""
    import torch
    import transformers
    from janus_eval.models.janus.prompts import Tokens
    from janus_eval.models.janusflow.checkpoint import Checkpoint, Vae
    from janus_eval.models.janusflow.network import FlowNetwork

    print(f"ours: transformers {transformers.__version__}, torch {torch.__version__}")
    cpu: Any = {"device": torch.device("cpu"), "dtype": torch.float32}
    tokens, stored = Tokens(folder / "model"), dict(np.load(folder / "official.npz"))
    network = FlowNetwork(Checkpoint(folder / "model").network(**cpu), Vae(folder / "vae").network(**cpu))
    drawing(network, tokens, stored)
    for number, question in enumerate(QUESTIONS):
        told = {key: stored[f"ask.{number}.{key}"] for key in ("pixels", "ids", "embeddings", "said", "logits")}
        asking(network, tokens, folder / f"{number}.png", question, told)
    print("all within bounds" if not WRONG else f"OUT OF BOUNDS: {', '.join(WRONG)}")
    return 1 if WRONG else 0


def drawing(network: Any, tokens: Any, stored: dict[str, np.ndarray]) -> None:
    """Compare velocities, latents and 8-bit pictures, all in one batch and one by one."""
    import torch
    from janus_eval.models.janus.pixels import to_bytes
    from janus_eval.models.janus.prompts import PLAIN_ROLES, Turn, draw_prompt
    from janus_eval.models.janusflow.network import draw

    wanted = {key: [stored[f"draw.{n}.{key}"] for n in range(len(PROMPTS))] for key in ("velocities", "latents", "cut")}
    prompts = [draw_prompt(tokens, Turn(PLAIN_ROLES), prompt).conditional[:-1] for prompt in PROMPTS]
    equal = sum(list(mine) == stored[f"draw.{n}.ids"][:-1].tolist() for n, mine in enumerate(prompts))
    count("drawing prompts, ids", equal, len(prompts))
    asked = [prompt for prompt in prompts for _ in range(EACH)]
    noise = torch.cat([torch.from_numpy(stored[f"draw.{n}.noise"]) for n in range(len(PROMPTS))])
    # (step, half, picture, ...), as `watch` sees them
    theirs = np.concatenate([each.reshape(STEPS, 2, EACH, *each.shape[2:]) for each in wanted["velocities"]], 2)
    every: dict[str, torch.Tensor] = {}
    for name, batches in (("one batch", [[*range(len(asked))]]), ("one by one", [[row] for row in range(len(asked))])):
        latents, seen = [], []
        for rows in batches:
            steps: list[torch.Tensor] = []

            def watch(_: int, one: torch.Tensor, two: Any, steps: list[torch.Tensor] = steps) -> None:
                steps.append(torch.stack((one, two)))

            some = [asked[row] for row in rows]
            latents.append(draw(network, some, noise[rows], guidance=GUIDANCE, steps=STEPS, watch=watch))
            seen.append(torch.stack(steps))
        every[name] = made = torch.cat(latents)
        say(f"velocities of {STEPS} steps, {name}", gap(torch.cat(seen, 2), theirs), 1e-4)
        say(f"latents, {name}", gap(made, np.concatenate(wanted["latents"])), 1e-4)
        with torch.inference_mode():
            pixels = torch.cat([network.decode(each[None]) for each in made])
        cut = to_bytes(pixels).numpy().astype(int) - np.concatenate(wanted["cut"])
        say(f"8-bit levels, {name}", float(np.abs(cut).max()), 1)
        print(f"{'  of them differ':56} {np.count_nonzero(cut)} of {cut.size}")
    count(
        "pictures whose latents are the same bits in both", int((made == every["one batch"]).flatten(1).all(1).sum()), 6
    )


def asking(network: Any, tokens: Any, picture: Path, question: str, told: dict[str, np.ndarray]) -> None:
    """Compare a question's pixels, ids, embeddings, greedy answer and the logits of every step."""
    import torch
    from janus_eval.models.janus.engine import answer
    from janus_eval.models.janus.pixels import PixelRule, pixel_values
    from janus_eval.models.janus.prompts import OFFICIAL_SYSTEM, PLAIN_ROLES, Turn, read_prompt
    from janus_eval.models.janus.reading import Question
    from PIL import Image

    print(f"question {question!r}")
    values = pixel_values(Image.open(picture), PixelRule(384))
    say("  pixel values", gap(values, told["pixels"][0, 0]), 1e-6)
    given: Any = {"images": 1, "image_tokens": 577, "system": OFFICIAL_SYSTEM, "begun": False}
    ids = read_prompt(tokens, Turn(PLAIN_ROLES), f"\n{question}", **given)
    first = ids.index(tokens.image)
    mine = [*ids[:first], tokens.begin_image, *ids[first + 1 :]]
    count("  ids", int(mine == told["ids"][0].tolist()), 1)
    with torch.inference_mode():
        seen = network.see(torch.from_numpy(values)[None])
    say("  the picture's places", gap(seen[0], told["embeddings"][0, first : first + 577]), 2e-5)
    logits: list[torch.Tensor] = []
    asked = [Question(ids, seen)]
    (said,) = answer(network, asked, image=tokens.image, eos=tokens.eos, limit=WORDS, watch=logits.append)
    count("  greedy ids", sum(a == b for a, b in zip(said, told["said"][0].tolist(), strict=False)), len(said))
    say("  logits of every step", gap(torch.stack(logits, 1), told["logits"][:, : len(logits)]), 1e-4)


def say(what: str, found: float, bound: float) -> None:
    """Print a largest difference beside what a right implementation keeps to."""
    WRONG.extend([what] if not found <= bound else [])
    print(f"{what:56} {found:10.2e}   (bound {bound:g})")


def count(what: str, equal: int, total: int) -> None:
    """Print how many of a kind are equal."""
    WRONG.extend([what] if equal != total else [])
    print(f"{what:56} {equal} of {total}")


def gap(mine: Any, theirs: np.ndarray) -> float:
    """Return the largest difference of two arrays."""
    return float(np.abs(np.asarray(mine, dtype=np.float64) - theirs.astype(np.float64)).max())


def main(checkout: Path, python: str, folder: Path) -> int:
    """Lay the tokenizer and the pictures, let the official code run, compare."""
    from janus_eval.models.janus.toy import build
    from PIL import Image

    build(folder / "toy")
    (folder / "model").mkdir(exist_ok=True)
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (folder / "model" / name).write_bytes((folder / "toy" / name).read_bytes())
    generator = np.random.default_rng(0)
    for number, (height, width) in enumerate([(90, 200), (300, 77)]):
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    subprocess.run([python, __file__, "--official", str(checkout), str(folder)], check=True)
    return compare(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--official"]:
        official(Path(sys.argv[2]), Path(sys.argv[3]))
        sys.exit()
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3] if len(sys.argv) == 4 else temporary)))
