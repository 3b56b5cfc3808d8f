"""From values to places on a picture, and the round values to write beside an axis."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Scale(Protocol):
    """An axis."""

    def __call__(self, value: float) -> float:
        """Return a value's place."""
        ...


@dataclass(frozen=True, slots=True)
class Linear:
    """Equal steps: ``low`` is at ``start``, ``high`` at ``end``. What is beyond is beyond; all of one value is at start."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return a value's place."""
        return self.start + (value - self.low) / ((self.high - self.low) or 1.0) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """Equal factors, of values above zero."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return a value's place."""
        return Linear(log10(self.low), log10(self.high), self.start, self.end)(log10(max(value, self.low)))


STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Steps of a clock that people read easily; days beyond them are stepped like numbers."""

FEW_DECADES = 2.5  # eight labels still stand apart on a phone
TINY = 1e-300  # a step below has no powers of ten that a double can hold
NARROW = 1e-9  # relative width of a domain below which its ends are one value, as far as floats go


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return the multiples of a round step within a domain, ``about`` so many of them; of one value, that value."""
    if (high - low) / about < TINY:
        return [low]
    return _multiples(low, high, _round_step((high - low) / about))


def clock_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round times within a domain of seconds."""
    least = (high - low) / about
    step = next((float(one) for one in SECONDS if one >= least), 86_400 * ceil(least / 86_400))
    return _multiples(low, high, step)


def decade_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten within a domain; powers alone when these are too many."""
    powers = [10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1)]
    factors = (1, 2, 5) if log10(high / low) <= FEW_DECADES else (1,)
    return [power * factor for power in powers for factor in factors if low <= power * factor <= high]


def widened(values: Sequence[float], margin: float = 0.08) -> tuple[float, float]:
    """Return a domain around values, a little wider than they are, and never empty."""
    low, high = min(values), max(values)
    width = high - low
    if width <= NARROW * max(abs(low), abs(high), 1.0):
        width = max(abs(low), 1.0) * 0.1
    return low - margin * width, high + margin * width


def _round_step(least: float) -> float:
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in STEPS if step * power >= least * (1 - NARROW))


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = ceil(low / step - NARROW), floor(high / step + NARROW)
    return [index * step for index in range(first, last + 1)]
