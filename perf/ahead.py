"""What it saves that a vision-language model's next pictures are read while the present ones are answered.

    OMP_NUM_THREADS=1 python perf/ahead.py [--batches 6] [--batch-size 8] [--edge 2000] [--tokens 96]

A LLaVA with random weights and JPEG photographs of EDGE pixels; one thread computes, another one reads. Both ways in
turns in one process, after one of each. Prints the least wall seconds of each, their ratio, and the ratio that full
overlap would give: the longer of reading and answering over their sum. The answers must be equal.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from janus_eval.evals import registry
from janus_eval.evals.types import Job, Picture, Sample
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support.tiny_models import save_vision_language_model


def photograph(edge: int, number: int) -> Picture:
    noise = Image.effect_noise((edge, edge * 3 // 4), 60).rotate(number)
    held = io.BytesIO()
    Image.merge("RGB", (noise, noise.transpose(Image.Transpose.ROTATE_180), noise)).save(held, "JPEG", quality=90)
    data = held.getvalue()
    return Picture(f"{number}.jpg", lambda: data)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--edge", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    count = given.batches * given.batch_size
    samples = [Sample(f"{n}", "what is this ?", images=(photograph(given.edge, n),)) for n in range(count)]
    jobs = [Job(each, "text", 0, 1) for each in samples]
    batches = [jobs[at : at + given.batch_size] for at in range(0, count, given.batch_size)]
    with tempfile.TemporaryDirectory() as folder:
        save_vision_language_model(Path(folder) / "model")
        model: Any = registry.create(
            "models", f"hf:{folder}/model", device="cpu", dtype="float32", max_new_tokens=given.tokens
        )

        def asked(*, ahead: bool) -> list[Any]:
            found: list[Any] = []
            for batch, then in zip(batches, [*batches[1:], []], strict=True):
                if ahead and then:
                    model.ahead(then)
                found += model.predict(batch)
            return found

        answers = [asked(ahead=False), asked(ahead=True)]
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(given.repeat):
            for ahead in (False, True):
                seconds, found = timed(lambda ahead=ahead: asked(ahead=ahead))
                times[ahead].append(seconds)
                answers.append(found)
        reading = min(timed(lambda: [model._read(batch) for batch in batches])[0] for _ in range(given.repeat))
    if any(each != answers[0] for each in answers):
        raise SystemExit("the answers differ")
    alone, together = (min(times[ahead]) for ahead in (False, True))
    told = {"in_turn_s": alone, "ahead_s": together, "reading_s": reading, "ratio": alone / together}
    told["at_best"] = alone / max(reading, alone - reading)
    print(json.dumps({key: round(value, 3) for key, value in told.items()}))


if __name__ == "__main__":
    main()
