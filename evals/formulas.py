"""Formulas behind intervals and tests: Wilson's score interval, Student's t; standard library only."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statistics import NormalDist


def _normal() -> NormalDist:
    from statistics import NormalDist  # brings exact fractions and decimals

    return NormalDist()


def proportion_interval(value: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share `value` (0 to 1) among `n` independent trials."""
    quantile = _normal().inv_cdf(0.5 + confidence / 2)
    return score_interval(value, value * (1 - value) / n, n, quantile, 0.0, 1.0)


def score_interval(
    value: float, variance: float, clusters: int, quantile: float, floor: float, ceiling: float
) -> tuple[float, float]:
    width = ceiling - floor
    share = (value - floor) / width
    spread = share * (1 - share)
    if variance <= 0:
        if 1e-12 < share < 1 - 1e-12:
            return value, value  # every cluster alike, and not for want of room
        size = float(clusters)  # at the wall: as if the members of a cluster were one draw
    elif spread <= 0:
        return value, value
    else:
        size = spread * width * width / variance
    shrink = 1 + quantile * quantile / size
    centre = (share + quantile * quantile / (2 * size)) / shrink
    half = quantile / shrink * math.sqrt(max(0.0, spread) / size + quantile * quantile / (4 * size * size))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return floor + width * min(low, share), floor + width * max(high, share)


@lru_cache(maxsize=4096)
def student_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t; of the normal distribution where `degrees` is infinite."""
    if math.isinf(degrees):
        return _normal().inv_cdf(probability)
    if probability < 0.5:
        return -student_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while student_cdf(high, degrees) < probability:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if student_cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def student_cdf(t: float, degrees: float) -> float:
    """Return the distribution function of Student's t through the incomplete beta function."""
    if math.isinf(degrees) or math.isinf(t):
        return _normal().cdf(t) if math.isinf(degrees) else float(t > 0)
    tail = 0.5 * _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)
    return 1 - tail if t > 0 else tail


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function (continued fraction, DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    fraction = d
    for m in range(1, 500):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction / a
