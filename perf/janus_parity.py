"""Print how far this engine is from the official Janus code, from a folder of its stored outputs.

    python perf/janus_parity.py FOLDER

FOLDER holds `checkpoint/` (a tiny model in the original format), `prompts.json`, `images/` and the
official code's numbers as .npz files. Every line: quantity, largest difference or count of equals.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from janus_eval.models.janus.checkpoint import Checkpoint
from janus_eval.models.janus.engine import Sampler, answer, draw, guided
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.pixels import pixel_values, read_rule, resized_size, squared, to_bytes
from janus_eval.models.janus.prompts import OFFICIAL_SYSTEM, DrawPrompt, Tokens, Turn, draw_prompt, read_prompt
from janus_eval.models.janus.reading import Question
from PIL import Image

WRONG: list[str] = []


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


def main(root: Path) -> int:
    """Compare everything; exit code 1 where a line is out of bounds."""
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    checkpoint = Checkpoint(root / "checkpoint")
    tokens = Tokens(checkpoint.folder)
    network = Network(checkpoint.network(tokens.image, device=torch.device("cpu"), dtype=torch.float32))
    table = json.loads((root / "prompts.json").read_text(encoding="utf-8"))
    layouts = {style: Turn(tuple(roles)) for style, roles in table["roles"].items()}
    with torch.inference_mode():
        prompts(table, tokens, layouts, network)
        pictures(root, checkpoint, network)
        reading(root, table, network, tokens)
        drawing(root, table, network, tokens, layouts)
        decoding(root, network)
    print("all within bounds" if not WRONG else f"OUT OF BOUNDS: {', '.join(WRONG)}")
    return 1 if WRONG else 0


def prompts(table: dict[str, Any], tokens: Tokens, layouts: dict[str, Turn], network: Network) -> None:
    """Compare the ids of both kinds of prompt."""
    drawn = [draw_prompt(tokens, layouts[row["style"]], row["prompt"]) for row in table["generation"]]
    wanted = [DrawPrompt(tuple(row["cond_ids"]), tuple(row["uncond_ids"])) for row in table["generation"]]
    count("drawing prompts, ids", sum(map(DrawPrompt.__eq__, drawn, wanted)), len(wanted))
    equal = 0
    for row in table["understanding"]:
        ids = read_prompt(
            tokens,
            layouts[row["style"]],
            "\n" + row["question"],
            images=1,
            image_tokens=network.image_tokens,
            system=table["system_prompt"],
        )
        equal += list(ids) == row["ids"]
    count("question prompts, ids", equal, len(table["understanding"]))
    count("the official system prompt", int(table["system_prompt"] == OFFICIAL_SYSTEM), 1)


def pictures(root: Path, checkpoint: Checkpoint, network: Network) -> None:
    """Compare sizes, resized pictures, pixel values, features and code embeddings."""
    rows = json.loads((root / "sizes.json").read_text(encoding="utf-8"))["rows"]
    equal = sum(resized_size(width, height, side) == (w, h) for width, height, side, w, h in rows)
    count("sizes after the resize", equal, len(rows))
    stored, known = np.load(root / "pixels.npz"), np.load(root / "understanding.npz")
    rule = read_rule(checkpoint.folder, network.image_size)
    opened = [Image.open(root / "images" / str(name)) for name in stored["names"]]
    plain = dataclasses.replace(rule, normalize=False)
    large = dataclasses.replace(rule, size=384)
    say("pixel values", gap([pixel_values(each, rule) for each in opened], stored["pixel_values"]), 1e-6)
    mine = [pixel_values(each, plain) for each in opened]
    say("pixel values, do_normalize false", gap(mine, stored["pixel_values_do_normalize_false"]), 1e-6)
    say(
        "8-bit resize at 384",
        gap([np.asarray(squared(each, large)) for each in opened], stored["resized_uint8_384"]),
        0,
    )
    values = torch.from_numpy(stored["pixel_values"])
    features = network.model.model.vision_model(values).last_hidden_state
    say("vision features", gap(features, known["vision_features"]), 2e-5)
    say("aligner output", gap(network.see(values), known["aligner_output"]), 2e-5)
    codes = network.embed_codes(torch.arange(network.codes))
    say("embeddings of every code", gap(codes, np.load(root / "stages.npz")["gen_image_embeds"]), 1e-4)


def reading(root: Path, table: dict[str, Any], network: Network, tokens: Tokens) -> None:
    """Compare greedy answers, alone and in left-padded batches, and the logits of every step."""
    stored, pixels = np.load(root / "understanding.npz"), np.load(root / "pixels.npz")
    texts = json.loads((root / "understanding.json").read_text(encoding="utf-8"))
    seen = network.see(torch.from_numpy(pixels["pixel_values"]))
    features = dict(zip(map(str, pixels["names"]), seen, strict=True))
    questions = {
        f"{row['style']}.{row['name']}": Question(tuple(row["ids"]), features[row["image"]][None])
        for row in table["understanding"]
    }
    equal, same, worst = 0, 0, 0.0
    for name, question in questions.items():
        (ids,), steps = ask(network, tokens, [question])
        equal += with_end(ids, stored[f"{name}.generated"], tokens.eos)
        same += tokens.text(ids) == texts[name]["text"]
        wanted = stored[f"{name}.step_logits"]
        worst = max(worst, gap(steps[0, : len(wanted)], wanted))
    count("greedy answers, ids", equal, len(questions))
    count("greedy answers, texts", same, len(questions))
    say("logits of every step", worst, 5e-5)
    batches = sorted({key.rpartition(".")[0] for key in stored.files if ".batch." in key})
    equal, worst = 0, 0.0
    for name in batches:
        style, _, pair = name.partition(".batch.")
        ids, steps = ask(network, tokens, [questions[f"{style}.{each}"] for each in pair.split("+")])
        wanted = stored[f"{name}.generated"]
        equal += all(with_end(mine, row, tokens.eos) for mine, row in zip(ids, wanted, strict=True))
        for row, mine in enumerate(ids):
            worst = max(worst, gap(steps[row, : len(mine)], stored[f"{name}.step_logits"][row, : len(mine)]))
    count("greedy answers in left-padded batches", equal, len(batches))
    say("their logits", worst, 5e-5)


def ask(network: Network, tokens: Tokens, questions: list[Question]) -> tuple[list[list[int]], np.ndarray]:
    """Return the answers and the logits of every step (row, step, word)."""
    steps: list[torch.Tensor] = []
    ids = answer(
        network, questions, image=tokens.image, eos=tokens.eos, limit=24, watch=lambda x: steps.append(x.clone())
    )
    return ids, torch.stack(steps, 1).numpy()


def with_end(mine: list[int], wanted: np.ndarray, eos: int) -> bool:
    """Return whether an answer equals a stored row, which ends in end tokens."""
    row = wanted.tolist()
    return mine == (row[: row.index(eos)] if eos in row else row)


class Stored:
    """The noise of a file: (step, image, code)."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = torch.from_numpy(values)

    def __call__(self, step: int) -> torch.Tensor:
        return self._values[step].clone()


class Stream:
    """The noise that torch.multinomial would draw from this seed on the CPU."""

    def __init__(self, seed: int, images: int, codes: int) -> None:
        self._generator, self._shape = torch.Generator().manual_seed(seed), (images, codes)

    def __call__(self, step: int) -> torch.Tensor:
        return torch.empty(self._shape).exponential_(1, generator=self._generator)


def drawing(root: Path, table: dict[str, Any], network: Network, tokens: Tokens, layouts: dict[str, Turn]) -> None:
    """Compare logits along forced codes, and drawn codes under the stored and under torch's noise."""
    stored, noise = np.load(root / "generation.npz"), np.load(root / "noise.npz")
    rows = {f"{row['style']}.{row['name']}": row for row in table["generation"]}
    asked = {name: [draw_prompt(tokens, layouts[row["style"]], row["prompt"])] * 3 for name, row in rows.items()}
    worst = {"cond": 0.0, "uncond": 0.0, "cfg": 0.0}
    equal = streams = 0
    for name, row in rows.items():
        seen = forced(network, asked[name], stored[f"{name}.forced_tokens"])
        for part in worst:
            worst[part] = max(worst[part], gap(seen[part][:, :8], stored[f"{name}.{part}_logits"]))
        wanted = stored[f"{name}.sampled_tokens"]
        from_file = Sampler(5, 1, Stored(noise[name]))
        from_torch = Sampler(5, 1, Stream(row["seed"], len(wanted), network.codes))
        equal += np.array_equal(draw(network, asked[name], from_file, guided=True, steps=16), wanted)
        streams += np.array_equal(draw(network, asked[name], from_torch, guided=True, steps=16), wanted)
    for part, bound in (("cond", 2e-5), ("uncond", 2e-5), ("cfg", 1e-4)):
        say(f"{part} logits along forced codes", worst[part], bound)
    count("drawn codes, stored noise", equal, len(rows))
    count("drawn codes, torch's own stream", streams, len(rows))
    every = [prompt for three in asked.values() for prompt in three]
    seen = forced(network, every, np.concatenate([stored[f"{name}.forced_tokens"] for name in rows]))
    wanted = np.concatenate([stored[f"{name}.cfg_logits"] for name in rows])
    say("cfg logits, all pictures in one left-padded batch", gap(seen["cfg"][:, :8], wanted), 1e-4)
    sampler = Sampler(5, 1, Stored(np.concatenate([noise[name] for name in rows], axis=1)))
    mine = draw(network, every, sampler, guided=True, steps=16).numpy()
    wanted = np.concatenate([stored[f"{name}.sampled_tokens"] for name in rows])
    count("drawn codes, all pictures in one left-padded batch", int((mine == wanted).all(1).sum()), len(wanted))


def forced(network: Network, asked: list[DrawPrompt], codes: np.ndarray) -> dict[str, np.ndarray]:
    """Return conditional, unconditional and guided logits (image, step, code) along given codes."""
    seen: dict[str, list[torch.Tensor]] = {"cond": [], "uncond": [], "cfg": []}

    def choose(step: int, conditional: torch.Tensor, unconditional: torch.Tensor | None) -> torch.Tensor:
        assert unconditional is not None
        seen["cond"].append(conditional.clone())
        seen["uncond"].append(unconditional.clone())
        seen["cfg"].append(guided(conditional, unconditional, 5))
        return torch.from_numpy(codes[:, step])

    draw(network, asked, choose, guided=True, steps=codes.shape[1])
    return {part: torch.stack(values, 1).numpy() for part, values in seen.items()}


def decoding(root: Path, network: Network) -> None:
    """Compare decoded pixels and the cut to 8 bits."""
    stored = np.load(root / "decode.npz")
    together = network.decode(torch.from_numpy(stored["codes"]))
    alone = torch.cat([network.decode(torch.from_numpy(row[None])) for row in stored["codes"]])
    say("decoded pixels", gap(together, stored["pixels"]), 1e-4)
    say("decoded pixels, one picture at a time", gap(alone, stored["pixels"]), 1e-4)
    cut = to_bytes(torch.from_numpy(stored["pixels"])).numpy()
    count("8-bit values from stored pixels", int((cut == stored["uint8"]).sum()), cut.size)
    own = to_bytes(alone).numpy().astype(int) - stored["uint8"]
    say("8-bit levels from own pixels", float(np.abs(own).max()), 1)
    say("how many of them differ", float(np.count_nonzero(own)), 50)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
