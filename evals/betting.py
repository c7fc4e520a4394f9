"""Bets on a bounded mean: evidence that may be looked at after every sample, for runs that stop as soon as they can.

For values in [0, 1] whose mean, given the past, is at least m, the wealth of a gambler who bets against it,

    K = mean over f of prod (1 + f / (1 - m) * (m - x)),    0 < f < 1,

exceeds 1 / alpha at any time, however often one looks, with a chance of at most alpha (Ville's inequality). The mixture
over fixed bets f stands for a choice of the best one (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random
variables by betting", JRSS B 86:1, section 5: hedged and diversified bets). It does not depend on the order within what
was seen. Standard library only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

_BETS: Final = tuple(0.95 * 0.62**power for power in range(12))


def wealth(values: Sequence[float], mean: float) -> float:
    """Return the logarithm of what a bet that the mean of `values`, each in [0, 1], is below `mean` has become.

    Raises ValueError for a value outside, or a `mean` that is not in [0, 1].
    """
    if not 0 <= mean <= 1 or not all(0 <= each <= 1 for each in values):
        raise ValueError("a bet is on values and a mean from 0 to 1")
    if mean == 1:  # any value below 1 refutes it; no value is above
        return math.inf if any(each < 1 for each in values) else 0.0
    counts = Counter(values)
    logs = [
        math.fsum(count * math.log1p(bet / (1 - mean) * (mean - value)) for value, count in counts.items())
        for bet in _BETS
    ]
    most = max(logs)
    return most + math.log(math.fsum(math.exp(each - most) for each in logs) / len(_BETS))


def certain_below(values: Sequence[float], mean: float, alpha: float) -> bool:
    """Return whether it is certain at level `alpha`, at whatever time one looks, that the mean is below `mean`."""
    return wealth(values, mean) >= math.log(1 / alpha)


def certain_above(values: Sequence[float], mean: float, alpha: float) -> bool:
    """Return whether it is certain at level `alpha`, at whatever time one looks, that the mean is above `mean`."""
    return certain_below([1 - each for each in values], 1 - mean, alpha)


def interval(values: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the confidence sequence as it stands: all times together it misses the mean with a chance of `alpha`."""
    turned = [1 - each for each in values]
    return 1 - _highest(turned, alpha / 2), _highest(values, alpha / 2)


def _highest(values: Sequence[float], alpha: float) -> float:
    """Return the highest mean that is not refuted, from above to 1e-6: the wealth grows with the mean bet against."""
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if certain_below(values, middle, alpha) else (middle, high)
    return high
