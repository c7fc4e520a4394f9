"""How often a run that stops early is wrong, and what it saves: simulated paired runs, looked at after each tenth.

    python perf/sequential.py [RUNS]

A cluster (prompt) has four pictures, right or wrong; two runs share half of what makes a prompt hard. The true drop is
the difference of their expected means. `fell` and `held` are the verdicts before the end; asked is the mean share of
prompts asked. An error is `fell` where the drop is at most the tolerance, and `held` where it is larger.
"""

from __future__ import annotations

import math
import random
import sys
from statistics import NormalDist

from janus_eval.evals import betting

ALPHA = 0.02  # the looks' part of a gate of one run: 0.05 * 0.8 / 2
CLUSTERS = 553
LOOKS = 10


def steps(rng: random.Random, chance: float, drop: float, clusters: int) -> list[float]:
    """Return each prompt's difference, from 0 (four fewer right) over 0.5 to 1."""
    cuts = [NormalDist().inv_cdf(chance), NormalDist().inv_cdf(chance - drop)]
    found: list[float] = []
    for _ in range(clusters):
        common = rng.gauss(0, 1)
        shares: list[float] = []
        for cut in cuts:
            prompt = math.sqrt(0.5) * common + math.sqrt(0.5) * rng.gauss(0, 1)
            right = sum(math.sqrt(0.5) * prompt + math.sqrt(0.5) * rng.gauss(0, 1) < cut for _ in range(4))
            shares.append(right / 4)
        found.append((shares[1] - shares[0] + 1) / 2)
    return found


def walked(values: list[float], tolerance: float) -> tuple[str, float]:
    """Return the verdict of the first look that is certain, and the share asked until then."""
    at = (1 - tolerance) / 2
    for look in range(1, LOOKS):
        seen = values[: math.ceil(len(values) * look / LOOKS)]
        if betting.certain_below(seen, at, ALPHA):
            return "fell", len(seen) / len(values)
        if betting.certain_above(seen, at, ALPHA):
            return "held", len(seen) / len(values)
    return "open", 1.0


def simulated(runs: int, drop: float, tolerance: float, clusters: int = CLUSTERS, seed: int = 0) -> dict[str, float]:
    """Return the shares of verdicts and of prompts asked over many simulated runs."""
    rng = random.Random(seed)
    ends = [walked(steps(rng, 0.8, drop, clusters), tolerance) for _ in range(runs)]
    told = {name: sum(verdict == name for verdict, _ in ends) / runs for name in ("fell", "held", "open")}
    return told | {"asked": sum(share for _, share in ends) / runs}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{runs} runs each, {CLUSTERS} prompts of four pictures, level {ALPHA} at all looks together")
    print("true drop  tolerance   fell   held   open  asked")
    cases = ((0.0, 0.0), (0.05, 0.05), (0.0, 0.05), (0.0, 0.1), (0.05, 0.0), (0.1, 0.0), (0.2, 0.0), (0.3, 0.05))
    for drop, tolerance in cases:
        found = simulated(runs, drop, tolerance)
        print(f"{drop:9.2f}  {tolerance:9.2f}" + "".join(f"{found[key]:7.3f}" for key in found))


if __name__ == "__main__":
    main()
