"""How many samples a decision still needs, if what comes is like what came."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 100_000_000  # samples in all; more would take a day at a thousand requests a second: no estimate is worth that
PRECISION = 1.01  # of the factor that is searched: the evidence itself says it less exactly


def needed(samples: int, decided: Callable[[float], bool]) -> int | None:
    """Return how many further samples decide; 0 when it is decided, None when MOST samples would not be enough.

    ``decided`` says whether there is a decision had every sample been seen so many times as often. The logarithm of a
    bet's wealth, or of a likelihood ratio, is linear in the counts: once decided it stays so.
    """
    if not samples:
        return None
    if decided(1.0):
        return 0
    least, most = 1.0, MOST / samples
    if most <= least or not decided(most):
        return None
    while most / least > PRECISION:
        middle = sqrt(least * most)
        least, most = (least, middle) if decided(middle) else (middle, most)
    return max(ceil((most - 1) * samples), 1)
