"""Confidence sequences for quantiles of sizes, and for the ratio of two, valid however often one looks.

Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification"
(Bernoulli 28, 2022): a sample is at most ``q`` with the probability F(q), like a coin that falls heads; so ``q`` is out
of the question when the count of such samples contradicts ``p``, by the mixture of ``rates``. Counts grow with ``q``:
the bounds are where contradiction ends, and one coin, the one at the true quantile, answers for all of them.

Bounds are bounds of buckets, outwards.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, inf, log, sqrt
from typing import TYPE_CHECKING

from extproc.challenge.histogram import RESOLUTION, upper
from extproc.challenge.rates import log_above, log_below

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROUNDING = 1e-9  # 0.95 * 60 is a little more than 57 in some number, and is 57
_MIDDLE = 1 / sqrt(RESOLUTION)  # of a bucket, from its upper bound: half a bucket's width away from either end


@dataclass(frozen=True, slots=True)
class Sizes:
    """Buckets in ascending order, and how many samples lie in each and those before it."""

    buckets: list[int]
    below: list[int]

    @classmethod
    def of(cls, histogram: Mapping[int, int]) -> Sizes:
        """Return the sizes of a histogram in buckets."""
        buckets = sorted(bucket for bucket, times in histogram.items() if times > 0)
        return cls(buckets, list(accumulate(histogram[bucket] for bucket in buckets)))

    @property
    def total(self) -> int:
        """How many samples there are."""
        return self.below[-1] if self.below else 0

    def quantile(self, p: float) -> float | None:
        """Return the middle of the bucket in which the sample of rank ``p`` lies; None without samples."""
        if not self.buckets:
            return None
        rank = max(ceil(p * self.total - _ROUNDING), 1)
        return upper(self.buckets[bisect_left(self.below, rank)]) * _MIDDLE

    def low(self, p: float, alpha: float, times: float = 1.0) -> float:
        """Return the lower bound, had every size been seen so many times as often; 0 where nothing is known.

        Above the quantile at any time with a probability of at most ``alpha``.
        """
        enough, trials = -log(alpha), self.total * times
        if log_below(0, trials, p) < enough:
            return 0.0
        first = bisect_left(self.below, x=True, key=lambda count: log_below(count * times, trials, p) < enough)
        return upper(self.buckets[first] - 1)

    def high(self, p: float, alpha: float, times: float = 1.0) -> float:
        """Return the upper bound, had every size been seen so many times as often; infinity where nothing is known.

        Below the quantile at any time with a probability of at most ``alpha``.
        """
        enough, trials = -log(alpha), self.total * times
        first = bisect_left(self.below, x=True, key=lambda count: log_above(count * times, trials, p) >= enough)
        return upper(self.buckets[first]) if first < len(self.buckets) else inf


@dataclass(frozen=True, slots=True)
class Ratio:
    """The challenger's quantile ``p`` over the champion's: each leg's bound may err half as often as the ratio's."""

    challenger: Sizes
    champion: Sizes
    p: float

    @property
    def value(self) -> float | None:
        """The ratio of what was seen; None before both legs have samples."""
        mine, theirs = self.challenger.quantile(self.p), self.champion.quantile(self.p)
        return None if mine is None or theirs is None else mine / theirs

    def low(self, alpha: float, times: float = 1.0) -> float:
        """Return the lower bound; 0 where nothing is known."""
        return self.challenger.low(self.p, alpha / 2, times) / self.champion.high(self.p, alpha / 2, times)

    def high(self, alpha: float, times: float = 1.0) -> float:
        """Return the upper bound; infinity where nothing is known."""
        below = self.champion.low(self.p, alpha / 2, times)
        return self.challenger.high(self.p, alpha / 2, times) / below if below > 0 else inf
