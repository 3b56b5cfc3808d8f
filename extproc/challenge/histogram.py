"""Histograms whose counts are integers: in whatever order they are added or merged, the result is the same.

Shares (from 0 to 1) are kept in grains of one ten-thousandth, which 0, 1/2 and 1 are exactly. Sizes (latencies,
differences) are kept in buckets one per cent wide, so that a quantile read from them is at most that far off.
"""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Histogram: TypeAlias = dict[int, int]
"""Counts by grain or by bucket."""

GRAINS = 10_000  # a share's rounding is at most half of this: far below any guardrail's own digits
RESOLUTION = 1.01  # a bucket's upper bound over its lower one: latencies vary by more from one minute to the next
SMALLEST, LARGEST = 1e-12, 1e12  # a size beyond them is kept as the nearer of both
_LOG = log(RESOLUTION)


def grain(share: float) -> int:
    """Return the grain of a share; what rounding made smaller than 0 or larger than 1 is taken as these."""
    return round(min(max(share, 0.0), 1.0) * GRAINS)


def share_of(grain_: int) -> float:
    """Return the share that a grain stands for."""
    return grain_ / GRAINS


def bucket(size: float) -> int:
    """Return the bucket of a size above zero: the least ``b`` with ``size <= RESOLUTION ** b``, but for rounding."""
    return ceil(log(min(max(size, SMALLEST), LARGEST)) / _LOG - 1e-9)


def upper(bucket_: int) -> float:
    """Return a bucket's upper bound."""
    return float(RESOLUTION**bucket_)


def count(histogram: Histogram, key: int, times: int = 1) -> None:
    """Count one more at a grain or in a bucket."""
    histogram[key] = histogram.get(key, 0) + times


def merge(into: Histogram, other: Mapping[int, int]) -> None:
    """Add another histogram's counts."""
    for key, times in other.items():
        into[key] = into.get(key, 0) + times


def total(histogram: Mapping[int, int]) -> int:
    """Return how many were counted."""
    return sum(histogram.values())
