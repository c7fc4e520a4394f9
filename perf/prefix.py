"""Time questions about one picture: its prefix once for all of them, against each asked whole.

    python perf/prefix.py                        Janus-Pro-1B's shape, random weights (about 10 minutes, 10 GB)
    python perf/prefix.py --layers 2             the same widths, 2 of 24 layers in both networks (a minute, 3 GB)
    python perf/prefix.py --device cuda --dtype bfloat16

Both ways are this package's engine over the same weights, in one process and in turns; the best repetition of each
counts. `whole` is how a batch of questions about different pictures is read, which is how they were sorted before:
every prompt from its first position, every picture through the vision tower. `kept` is a batch of one picture's
questions. The vision tower has SigLIP-L's shape (24 layers, 1,024 wide, 384 pixels). Questions and answers have
the lengths of the suites. `same_bits`: answers and the logits of every step are equal, bit for bit (float32, CPU).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from janus import SHAPES, build
from janus_eval.models.janus.engine import answer
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.reading import Kept, Question
from torch import Tensor

SUITES = {"MME": (2, 36), "POPE": (18, 24), "GQA": (31, 28)}
"""Questions about one picture, and ids of a question with the answer's opening (docs/speed.md)."""
IMAGE, EOS, STEPS = 4, 1, 2
TOWER = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}


@dataclass(frozen=True)
class Bench:
    """The network, a picture, and how many rows a batch has."""

    network: Network
    pixels: Tensor
    batch: int

    def prompts(self, count: int, words: int) -> list[tuple[int, ...]]:
        """Return `count` questions about one picture, as ids."""
        generator = torch.Generator().manual_seed(count)
        head = (0, 10, 11, 3, *[IMAGE] * self.network.image_tokens, 5)
        rows = torch.randint(100, self.network.vocabulary, (count, words), generator=generator)
        return [(*head, *row) for row in rows.tolist()]

    def ask(self, asked: Sequence[tuple[int, ...]], *, shared: bool) -> list[Tensor]:
        """Return the logits of every step and what was said."""
        kept = Kept() if shared else None
        found: list[Tensor] = []
        with torch.inference_mode():
            seen = self.network.see(self.pixels)
            for start in range(0, len(asked), self.batch):
                here = asked[start : start + self.batch]
                eyes = [seen if shared else self.network.see(self.pixels) for _ in here]
                questions = [Question(ids, eye, b"1" * shared) for ids, eye in zip(here, eyes, strict=True)]
                said = answer(self.network, questions, image=IMAGE, eos=EOS, limit=STEPS, kept=kept, watch=found.append)
                found.append(torch.tensor([word for row in said for word in row]))
        return found

    def compare(self, count: int, words: int, repeat: int) -> dict[str, object]:
        """Return seconds a question of both ways, in turns, and whether they gave the same bits."""
        asked = self.prompts(count, words)
        ways: dict[str, Callable[[], list[Tensor]]] = {
            "whole": partial(self.ask, asked, shared=False),
            "kept": partial(self.ask, asked, shared=True),
        }
        best = dict.fromkeys(ways, float("inf"))
        found: dict[str, list[Tensor]] = {}
        for _ in range(repeat):
            for name, way in ways.items():
                begun = time.perf_counter()
                found[name] = [each.cpu() for each in way()]
                best[name] = min(best[name], time.perf_counter() - begun)
        same = all(map(torch.equal, found["whole"], found["kept"]))
        each = {f"{name}_s": round(seconds / count, 3) for name, seconds in best.items()}
        return {"questions": count, **each, "ratio": round(best["whole"] / best["kept"], 2), "same_bits": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=[*SHAPES], default="1b")
    parser.add_argument("--layers", type=int, help="of the language model and the tower; their widths stay")
    parser.add_argument("--suite", choices=[*SUITES], nargs="*", default=[*SUITES])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    shape, device = SHAPES[args.shape], torch.device(args.device)
    tower = TOWER | ({"num_hidden_layers": args.layers} if args.layers else {})
    shape = replace(shape, layers=args.layers or shape.layers, tower=tuple(tower.items()))
    network = Network(build(shape, 576, device, getattr(torch, args.dtype)))
    pixels = torch.rand((1, 3, network.image_size, network.image_size), generator=torch.Generator().manual_seed(0))
    bench = Bench(network, pixels * 2 - 1, args.batch)
    bench.compare(2, 8, 1)  # the weights are laid out
    for suite in args.suite:
        print(json.dumps({"suite": suite, **bench.compare(*SUITES[suite], args.repeat)}), flush=True)


if __name__ == "__main__":
    main()
