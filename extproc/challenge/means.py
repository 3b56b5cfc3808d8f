"""Confidence sequences for the mean of shares: valid however often one looks, and whatever the shares' distribution.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (arXiv 2010.09686; JRSS B 86, 2024),
section 4: whoever doubts that the mean is at most ``m`` starts with a wealth of 1 and bets ``c / m`` on every sample
``x``, which multiplies the wealth by ``1 + c * (x / m - 1)``. While the doubt is unfounded the wealth is a non-negative
supermartingale, so it ever reaches ``1 / alpha`` with a probability of at most ``alpha`` (Ville). "At least ``m``" is
doubted by the same bets on ``1 - x``.

The bets are a fixed grid, and the wealth is their weighted mean: a product over samples for each bet, hence a function
of the histogram alone, whatever the order in which samples came. It falls as ``m`` grows, so a bound is found by
bisection.

What is assumed of the samples: given those before it, each has the mean in question (independent requests of
one population have).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import inf, log
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from extproc.challenge.histogram import GRAINS

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats: TypeAlias = NDArray[np.float64]

# From 0.99 down to 6e-5, each the last one over the square root of 2. The best bet is near
# 3 * m / (deviation * sqrt(n)): large for few samples and for means near 1, and 1e-4 for a mean of 0.001 after a
# million. A bet of 1 would be ruined by a single sample of 0. Between two bets little is lost: at 1.19 of the best,
# 4 % of the wealth's logarithm.
BETS: Floats = 0.99 * 2.0 ** (-np.arange(29) / 2)
# A weight of 1 / (k + 1), normed: guardrails near 1 live on the large bets, and are decided by hundreds of samples.
# Measured over shares with means from 0.03 to 1, from 10 to a million samples: a bound is at most 1.5 times as far from
# the mean as that of the best single bet known in hindsight, which is no sequence; with equal weights, 2.05 times.
_LOG_WEIGHTS: Floats = np.log(1 / np.arange(1, 30)) - np.log(np.sum(1 / np.arange(1, 30)))
KNOTS = 256  # distinct shares that are bet on: with all 10,001 a bound would take 40 times as long
STEPS = 2**20  # bounds are multiples of 1 / STEPS, rounded outwards: a fiftieth of what a grain rounds away


@dataclass(frozen=True, slots=True)
class Shares:
    """What is bet on: distinct shares in ascending order, and how often each was seen."""

    shares: Floats
    counts: Floats

    @classmethod
    def of(cls, histogram: Mapping[int, int]) -> Shares:
        """Return the shares of a histogram in grains."""
        keys = np.fromiter(histogram.keys(), np.float64, len(histogram))
        counts = np.fromiter(histogram.values(), np.float64, len(histogram))
        ascending = np.argsort(keys)
        return cls(*_thinned(keys[ascending] / GRAINS, counts[ascending]))

    @property
    def mirrored(self) -> Shares:
        """What the shares leave to 1."""
        return Shares(1 - self.shares[::-1], self.counts[::-1])

    def growth(self, mean: float) -> Floats:
        """Return the logarithm of each bet's wealth against "the mean is at most ``mean``"."""
        if mean <= 0:
            return np.full(len(BETS), inf if self._above_zero else 0.0)
        odds = self.shares / mean
        kept = (1 - BETS)[:, np.newaxis] + BETS[:, np.newaxis] * odds
        grown: Floats = (np.log(kept) * self.counts).sum(axis=1)
        return grown

    @property
    def _above_zero(self) -> bool:
        return bool(np.any(self.counts[self.shares > 0] > 0))


def _thinned(shares: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return at most KNOTS shares that bet no better than these.

    A share between two knots counts as a part of either, with the same mean: a bet's logarithm is concave, so the
    wealth can only get smaller, and a bound only wider.
    """
    if len(shares) <= KNOTS:
        return shares, counts
    chosen = np.linspace(0, len(shares) - 1, KNOTS).round().astype(np.intp)
    knots = shares[chosen]
    right = np.clip(np.searchsorted(knots, shares), 1, KNOTS - 1)
    part = (shares - knots[right - 1]) / (knots[right] - knots[right - 1])
    lower = np.bincount(right - 1, counts * (1 - part), KNOTS)
    upper = np.bincount(right, counts * part, KNOTS)
    return knots, np.asarray(lower + upper, dtype=np.float64)


def log_wealth(growth: Floats, times: float = 1.0) -> float:
    """Return the logarithm of the bets' mean wealth, had every share been seen so many times as often."""
    return float(np.logaddexp.reduce(_LOG_WEIGHTS + times * growth))


def low(shares: Shares, alpha: float) -> float:
    """Return the lower bound: above the mean at any time with a probability of at most ``alpha``. 0 without samples."""
    enough = -log(alpha)
    first = bisect_left(range(STEPS), x=True, key=lambda step: log_wealth(shares.growth(step / STEPS)) < enough)
    return max(first - 1, 0) / STEPS


def high(shares: Shares, alpha: float) -> float:
    """Return the upper bound: below the mean at any time with a probability of at most ``alpha``. 1 without samples."""
    return 1 - low(shares.mirrored, alpha)


def two_sided(shares: Shares, alpha: float) -> tuple[float, float]:
    """Return both bounds: the mean is outside them at any time with a probability of at most ``alpha``."""
    return low(shares, alpha / 2), high(shares, alpha / 2)
