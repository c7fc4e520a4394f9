"""Time three ways of drawing with Janus on the same random weights, in one process.

    python perf/janus.py                         hidden 512, 8 layers, on the CPU (some minutes)
    python perf/janus.py --shape 1b 7b --device cuda      the released shapes, under 8 minutes

The ways, all of them drawing the same codes from the same prompts where the numbers are float32:

official   the loop of deepseek-ai/Janus's generation_inference.py: one prompt's four pictures,
           conditional and unconditional rows interleaved, transformers' DynamicCache growing by
           concatenation, torch.multinomial;
generate   transformers' own `generate(generation_mode="image")`, four pictures a prompt, static
           cache, top_k=0;
engine     this package, `--batch` pictures over all prompts.

Repetitions alternate between the ways, so that a machine's moods hit all of them; the best of each
counts. Seconds of the processor are told too: on a shared machine, with one thread, they are the
steadier measure. All 576 tokens are drawn; what GenEval's 2,212 pictures would take is the time of a picture
times their number, and said to be so. The floor is what the device must at least read (weights once
a step, the cache once a step and row) and compute, at the bandwidth and speed measured first.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from janus_eval.models.janus.engine import Sampler, draw
from janus_eval.models.janus.network import Network
from janus_eval.models.janus.noise import noise_for
from janus_eval.models.janus.prompts import DrawPrompt
from torch import Tensor
from transformers import JanusConfig, JanusForConditionalGeneration
from transformers.cache_utils import DynamicCache


@dataclass(frozen=True)
class Shape:
    """The sizes of a Janus that drawing depends on; the vision tower is small but for those in `tower`."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    tower: tuple[tuple[str, int], ...] = ()


SHAPES = {
    "tiny": Shape(64, 2, 4, 176, 512),
    "cpu": Shape(512, 8, 8, 1376, 2048),
    "1b": Shape(2048, 24, 16, 5632, 102_400),
    "7b": Shape(4096, 30, 32, 11_008, 102_400),
}
BOS, PAD, BOI = 0, 2, 3
CODES, PICTURES, WEIGHT = 16_384, 4, 5.0


def build(shape: Shape, tokens: int, device: torch.device, dtype: torch.dtype) -> JanusForConditionalGeneration:
    """Return a model of this shape with seeded random weights, logits of a believable spread."""
    side = int(tokens**0.5)
    if side * side != tokens:
        raise SystemExit(f"--tokens {tokens} is no square")
    config = JanusConfig(
        tie_word_embeddings=False,
        text_config={
            "model_type": "llama",
            "hidden_size": shape.hidden,
            "intermediate_size": shape.inner,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "vocab_size": shape.vocabulary,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": False,
            "bos_token_id": BOS,
            "eos_token_id": 1,
            "pad_token_id": PAD,
        },
        vision_config={
            "hidden_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": side * 16,
            "patch_size": 16,
            "num_image_tokens": tokens,
            "projection_dim": shape.hidden,
            **dict(shape.tower),
        },
        vq_config={
            "num_embeddings": CODES,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1, 1],
            "num_res_blocks": 1,
            "latent_channels": 32,
            "projection_dim": shape.hidden,
            "image_token_embed_dim": shape.hidden,
        },
    )
    with torch.device(device):
        was = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            torch.manual_seed(0)
            model = JanusForConditionalGeneration(config).to(dtype)
        finally:
            torch.set_default_dtype(was)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1:
                value.normal_(0, value[0].numel() ** -0.5)
                if "generation_head.vision_head" in name:
                    value.mul_(3)
    return model.eval().requires_grad_(False)


def prompts(count: int, shape: Shape) -> list[DrawPrompt]:
    """Return prompts of GenEval's lengths: 12 to 30 tokens, three in four between 15 and 24."""
    generator = torch.Generator().manual_seed(1)
    made: list[DrawPrompt] = []
    for _ in range(count):
        length = 12 + int(torch.randint(0, 10, (2,), generator=generator).sum())
        text = torch.randint(10, min(shape.vocabulary, 1000), (length,), generator=generator).tolist()
        made.append(DrawPrompt((BOS, *text, BOI), (BOS, *[PAD] * length, BOI)))
    return made


@torch.inference_mode()
def official(model: Any, prompt: DrawPrompt, seed: int, steps: int) -> Tensor:
    """Draw one prompt's four pictures as the official script does: (4, steps)."""
    device = model.device
    torch.manual_seed(seed)
    ids = torch.tensor(prompt.conditional, device=device)
    tokens = ids.repeat(PICTURES * 2, 1)
    tokens[1::2, 1:-1] = PAD
    core = model.model
    x = core.language_model.embed_tokens(tokens)
    cache = DynamicCache()
    drawn = torch.zeros((PICTURES, steps), dtype=torch.int64, device=device)
    for step in range(steps):
        hidden = core.language_model(inputs_embeds=x, use_cache=True, past_key_values=cache).last_hidden_state
        logits = core.generation_head(hidden[:, -1, :])
        cond, uncond = logits[0::2], logits[1::2]
        chances = torch.softmax(uncond + WEIGHT * (cond - uncond), dim=-1)
        code = torch.multinomial(chances, num_samples=1)
        drawn[:, step] = code.squeeze(-1)
        both = torch.cat([code, code], dim=1).view(-1)
        x = model.prepare_embeddings_for_image_generation(both).unsqueeze(1)
    return drawn


@torch.inference_mode()
def generate(model: Any, prompt: DrawPrompt, seed: int) -> Tensor:
    """Draw one prompt's four pictures through transformers: (4, tokens)."""
    torch.manual_seed(seed)
    ids = torch.tensor([prompt.conditional], device=model.device)
    config = model.generation_config
    config.bos_token_id, config.pad_token_id = BOS, PAD
    config.generation_kwargs = {"boi_token_id": BOI}
    return model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        generation_mode="image",
        do_sample=True,
        top_k=0,
        guidance_scale=WEIGHT,
        num_return_sequences=PICTURES,
        max_length=ids.shape[1] + model.config.vision_config.num_image_tokens,
    )


class Stream:
    """The noise that torch.multinomial draws for four pictures of one prompt after `manual_seed`."""

    def __init__(self, seed: int, device: torch.device, dtype: torch.dtype) -> None:
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._device, self._dtype = device, dtype

    def __call__(self, step: int) -> Tensor:
        empty = torch.empty((PICTURES, CODES), device=self._device, dtype=self._dtype)
        return empty.exponential_(1, generator=self._generator).float()


def engine(network: Network, asked: list[DrawPrompt], seed: int, steps: int) -> Tensor:
    """Draw all prompts' pictures in one batch: (B, steps)."""
    noise = noise_for([seed * 1000 + row for row in range(len(asked))], network.codes, network.device)
    return draw(network, asked, Sampler(WEIGHT, 1.0, noise), guided=True, steps=steps)


class Meter:
    """Seconds (the best) and memory beyond what was held before (the most) of one way."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds = self.cpu_seconds = float("inf")
        self.more_gb = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure a block."""
        gc.collect()
        held = self._start()
        started, used = time.perf_counter(), time.process_time()
        yield
        wait(self._device)
        self.seconds = min(self.seconds, time.perf_counter() - started)
        self.cpu_seconds = min(self.cpu_seconds, time.process_time() - used)
        self.more_gb = max(self.more_gb, (self._peak() - held) / 1e9)

    def _start(self) -> int:
        wait(self._device)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated()
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of resident memory
        return self._peak()

    def _peak(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) << 10


def wait(device: torch.device) -> None:
    """Wait until the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def device_speed(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Return measured bytes per second of reading and operations per second of a square product."""
    count = (256 << 20) if device.type == "cpu" else (4 << 30)
    big = torch.ones(count // 4, device=device)
    side = 2048 if device.type == "cpu" else 8192
    a = torch.randn((side, side), device=device, dtype=dtype)

    def best(work: Callable[[], Any]) -> float:
        seconds: list[float] = []
        for _ in range(6):
            wait(device)
            started = time.perf_counter()
            work()
            wait(device)
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    return count / best(lambda: big.sum()), 2 * side**3 / best(lambda: a @ a)


def floor(
    shape: Shape, batch: int, tokens: int, prompt: float, size: int, speed: tuple[float, float]
) -> dict[str, float]:
    """Return the least seconds a picture takes: weights and cache read once a step, products computed."""
    per_layer = 4 * shape.hidden**2 + 3 * shape.hidden * shape.inner
    head = shape.hidden * shape.hidden + shape.hidden * CODES
    weights = (shape.layers * per_layer + head) * size
    context = prompt + tokens / 2
    cache = 2 * shape.layers * 2 * shape.hidden * size * context  # two rows a picture
    read = (weights / batch + cache) * tokens / speed[0]
    work = 2 * (2 * (shape.layers * per_layer + head) + 4 * shape.layers * shape.hidden * context) * tokens / speed[1]
    return {"read": read, "compute": work, "floor": max(read, work)}


def same_codes(model: Any, shape: Shape) -> bool:
    """Return whether the engine draws the official loop's codes under torch's noise (24 steps)."""
    prompt = prompts(1, shape)[0]
    wanted = official(model, prompt, 7, 24)
    network = Network(copy.deepcopy(model))
    sampler = Sampler(WEIGHT, 1, Stream(7, model.device, model.dtype))
    return torch.equal(wanted, draw(network, [prompt] * PICTURES, sampler, guided=True, steps=24))


def independent(network: Network, shape: Shape) -> bool:
    """Return whether pictures' logits are the same bits alone and in a batch (prompts of many lengths, 24 steps)."""
    texts = [torch.arange(10, 10 + length).tolist() for length in (3, 17, 40, 120, 300)]
    asked = [DrawPrompt((BOS, *text, BOI), (BOS, *[PAD] * len(text), BOI)) for text in texts]

    def logits(some: list[DrawPrompt]) -> Tensor:
        seen: list[Tensor] = []

        def choose(step: int, conditional: Tensor, unconditional: Tensor | None) -> Tensor:
            assert unconditional is not None
            seen.append(torch.cat((conditional, unconditional), 1))
            return torch.full((len(some),), step, device=network.device)

        draw(network, some, choose, guided=True, steps=24)
        return torch.stack(seen, 1)

    together = logits(asked)
    return all(torch.equal(logits([prompt])[0], together[row]) for row, prompt in enumerate(asked))


def compare(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Time one shape and return its row."""
    shape, device = SHAPES[name], torch.device(args.device)
    dtype = getattr(torch, args.dtype or ("bfloat16" if device.type == "cuda" else "float32"))
    speed = device_speed(device, dtype)
    model = build(shape, args.tokens, device, dtype)
    weights = sum(each.numel() * each.element_size() for each in model.parameters())
    checks: dict[str, bool] = {}
    if dtype == torch.float32:
        checks["engine draws the official codes"] = same_codes(model, shape)
    # On a GPU the engine's joined weights stay the model's; on a CPU it takes them away, so give it a copy.
    network = Network(model if device.type == "cuda" else copy.deepcopy(model))
    checks["logits alone and in a batch are the same bits"] = independent(network, shape)
    batch = args.batch or (32 if device.type == "cpu" else fitting(network, args.tokens))
    asked = [prompt for prompt in prompts(-(-batch // PICTURES), shape) for _ in range(PICTURES)][:batch]
    ways: dict[str, tuple[int, Callable[[int], Tensor]]] = {
        "official": (PICTURES, lambda seed: official(model, asked[0], seed, args.tokens)),
        "generate": (PICTURES, lambda seed: generate(model, asked[0], seed)),
        "engine": (batch, lambda seed: engine(network, asked, seed, args.tokens)),
        f"engine, {PICTURES} pictures": (PICTURES, lambda seed: engine(network, asked[:PICTURES], seed, args.tokens)),
    }
    if not args.generate:
        del ways["generate"]
    engine(network, asked[:PICTURES], 0, 4)
    official(model, asked[0], 0, 4)
    meters = {way: Meter(device) for way in ways}
    drawn: dict[str, Tensor] = {}
    for seed in range(args.repeat):
        for way, (_, work) in ways.items():
            with meters[way].running():
                codes = work(seed)
            drawn.setdefault(way, codes)
    if args.generate and dtype == torch.float32:
        checks["generate() draws the official codes"] = torch.equal(drawn["official"], drawn["generate"])
    longest = max(len(prompt.conditional) for prompt in asked)
    mean = sum(len(prompt.conditional) for prompt in asked) / batch
    least = floor(shape, batch, args.tokens, mean, dtype.itemsize, speed)
    return {
        "shape": {"name": name, **asdict(shape), "codes": CODES, "tokens": args.tokens, "batch": batch},
        "device": device_name(device),
        "dtype": str(dtype).removeprefix("torch."),
        "measured": {"read GB/s": round(speed[0] / 1e9, 1), "product GFLOP/s": round(speed[1] / 1e9, 1)},
        "weights GB": round(weights / 1e9, 3),
        **checks,
        "ways": {way: told(meter, ways[way][0], meters["official"]) for way, meter in meters.items()},
        "floor s/picture": {key: round(value, 4) for key, value in least.items()},
        "engine over floor": round(meters["engine"].seconds / batch / least["floor"], 2),
        "cache GB": round(batch * 2 * network.row_bytes(0, longest + args.tokens - 1) / 1e9, 3),
    }


def told(meter: Meter, pictures: int, base: Meter) -> dict[str, float]:
    """Return what is printed of one way."""
    each = meter.seconds / pictures
    return {
        "seconds": round(meter.seconds, 3),
        "pictures": pictures,
        "s/picture": round(each, 4),
        "pictures/s": round(1 / each, 3),
        "over official": round(base.seconds / PICTURES / each, 2),
        "over official, in CPU seconds": round(base.cpu_seconds / PICTURES * pictures / meter.cpu_seconds, 2),
        "GenEval's 2212, hours (by extrapolation)": round(each * 2212 / 3600, 3),
        "GB beyond the weights": round(meter.more_gb, 3),
    }


def fitting(network: Network, tokens: int) -> int:
    """Return the pictures that fit a GPU beside the weights, in steps of four, at most 256."""
    free, _ = torch.cuda.mem_get_info()
    need = 2 * (network.row_bytes(40, 40 + tokens) + 16 * CODES)
    return max(4, min(256, int(free * 0.85) // need // 4 * 4))


def device_name(device: torch.device) -> str:
    """Return the card's name, or the number of CPU threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def main() -> None:
    """Print one JSON object a shape."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shape", nargs="+", choices=sorted(SHAPES), default=["cpu"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--tokens", type=int, default=576)
    parser.add_argument("--batch", type=int, help="pictures the engine draws together; 32 on a CPU, what fits on a GPU")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--no-generate", dest="generate", action="store_false")
    args = parser.parse_args()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    for name in args.shape:
        print(json.dumps(compare(name, args), indent=1))


if __name__ == "__main__":
    main()
