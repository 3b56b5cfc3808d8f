"""From histograms to what charts and tables show: curves, bars, quantiles, means. All of it order-free, as they are."""

from __future__ import annotations

from itertools import accumulate
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Final

from extproc.challenge.histogram import GRAINS, RESOLUTION, share_of, total, upper
from extproc.challenge.quantiles import Sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extproc.challenge.document import Bar, Point

POINTS: Final = 120  # of a curve: three pixels apart in a card
BARS: Final = 16  # on either side of no difference
SIMILARITIES: Final = 20  # bars from 0 to 1: each five hundredths wide
MOST: Final = 0.98  # of differences that lie within the bars: the few that are furthest would flatten all others
FAR: Final = 4  # times as far as most differences: they are still four bars on either side
STEPS: Final = (1.0, 1.6, 2.0, 3.2, 4.0, 5.0, 8.0, 10.0)  # ends of bars: a 16th of them is a short number
MIDDLE: Final = RESOLUTION**-0.5  # of a bucket, from its upper bound


def curve(histogram: Mapping[int, int], unit: float) -> tuple[Point, ...]:
    """Return the share of sizes up to each of so many, ascending; sizes are multiplied by ``unit``. The last is 1."""
    sizes = Sizes.of(histogram)
    every = max(ceil(len(sizes.buckets) / POINTS), 1)
    points = list(zip(sizes.buckets, sizes.below, strict=True))[::-1][::every][::-1]
    return tuple((upper(bucket) * unit, below / sizes.total) for bucket, below in points)


def quantile(histogram: Mapping[int, int], zeros: int, p: float) -> float | None:
    """Return the size of rank ``p`` among those of a histogram and ``zeros`` of no size; None without any."""
    counted = total(histogram) + zeros
    if not counted:
        return None
    rank = max(ceil(p * counted - 1e-9), 1)  # 0.95 * 60 is a little more than 57 in some number, and is 57
    return 0.0 if rank <= zeros else Sizes.of(histogram).quantile((rank - zeros) / (counted - zeros))


def largest(histogram: Mapping[int, int], zeros: int) -> float | None:
    """Return the upper bound of the largest size, 0 where all are zeros; None without any."""
    if histogram:
        return upper(max(histogram))
    return 0.0 if zeros else None


def grain_quantile(histogram: Mapping[int, int], p: float) -> float | None:
    """Return the share of rank ``p`` of a histogram in grains; None without samples."""
    rank = max(ceil(p * total(histogram) - 1e-9), 1)
    grains = sorted(histogram)
    below = accumulate(histogram[grain] for grain in grains)
    return next((share_of(grain) for grain, seen in zip(grains, below, strict=True) if seen >= rank), None)


def mean(histogram: Mapping[int, int]) -> float | None:
    """Return the mean share of a histogram in grains; None without samples."""
    counted = total(histogram)
    return sum(grain * times for grain, times in histogram.items()) / (counted * GRAINS) if counted else None


def differences(above: Mapping[int, int], below: Mapping[int, int], tolerance: float) -> tuple[Bar, ...]:
    """Return bars of differences, from below zero to above it; none on a side where there is no difference.

    All bars are as wide as each other but for the first and the last, which hold all that is beyond. They go to twice the
    ``tolerance``, so that what disagrees is seen, unless that were far more than most differences.
    """
    both = dict(above)
    for bucket, times in below.items():
        both[bucket] = both.get(bucket, 0) + times
    inner = quantile(both, 0, MOST)
    if inner is None:
        return ()
    width = _end(max(inner, min(2 * tolerance, FAR * inner))) / BARS
    return (*((-high, -low, times) for low, high, times in reversed(_side(below, width))), *_side(above, width))


def similarities(histogram: Mapping[int, int]) -> tuple[Bar, ...]:
    """Return bars of shares in grains, from 0 to 1; none without samples."""
    if not histogram:
        return ()
    width = GRAINS // SIMILARITIES
    counts = _counted(
        ((min(grain // width, SIMILARITIES - 1), times) for grain, times in histogram.items()), SIMILARITIES
    )
    return tuple((share_of(index * width), share_of((index + 1) * width), times) for index, times in enumerate(counts))


def _end(least: float) -> float:
    """Return a round number that is no less, and less than twice as much."""
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in STEPS if step * power >= least * (1 - 1e-9))


def _side(sizes: Mapping[int, int], width: float) -> list[Bar]:
    """Return the bars of sizes above zero, and one for all that are beyond these."""
    if not sizes:
        return []
    places = ((min(int(upper(bucket) * MIDDLE / width), BARS), times) for bucket, times in sizes.items())
    *counts, beyond = _counted(places, BARS + 1)
    bars: list[Bar] = [(index * width, (index + 1) * width, times) for index, times in enumerate(counts)]
    end = bars[-1][1]
    return [*bars, (end, max(upper(max(sizes)), end + width), beyond)] if beyond else bars


def _counted(places: Iterable[tuple[int, int]], length: int) -> list[int]:
    counts = [0] * length
    for place, times in places:
        counts[place] += times
    return counts
