"""Numbers: how far the challenger's are from the champion's, and in which direction."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from extproc.challenge.evidence import units
from extproc.challenge.histogram import bucket, count
from extproc.protocol import NotPredictions
from extproc.protocol.leaves import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Evidence

# Champion, challenger, tolerance and the difference are each off from the decimals that people mean by at most half a
# unit in the last place, 2**-53 of their size; the difference is no larger than both numbers together.
ROUNDING: Final = 2.0**-52


@dataclass(frozen=True, slots=True)
class NumberPairs:
    """Pairs of numbers; a difference is None where no finite double is near it."""

    agreeing: int
    differences: tuple[float | None, ...]

    def add_to(self, evidence: Evidence) -> None:
        """Add the differences, challenger minus champion."""
        for difference in self.differences:
            if difference is None:
                evidence.boundless += 1
            else:
                _add(difference, evidence)


def read(elements: list[Any]) -> Sequence[float]:
    """Return the elements, which are integers of any size, and doubles.

    Raises:
        NotPredictions: One is no number: true and false are labels.
    """
    if not NUMBERS.issuperset(map(type, elements)):
        raise NotPredictions("a prediction is no number")
    return elements


def compare(champion: Sequence[float], challenger: Sequence[float], tolerance: float) -> NumberPairs:
    """Return the differences, and how many are within the tolerance."""
    pairs = list(zip(champion, challenger, strict=True))
    differences = tuple(difference(*pair) for pair in pairs)
    agreeing = sum(_within(found, *pair, tolerance) for found, pair in zip(differences, pairs, strict=True))
    return NumberPairs(agreeing, differences)


def difference(champion: float, challenger: float) -> float | None:
    """Return challenger minus champion: exact between integers, else the nearest double; None without a finite one."""
    try:
        if type(champion) is not type(challenger):
            champion, challenger = _whole(champion), _whole(challenger)
        found = challenger - champion
        return found if isfinite(found) else None
    except OverflowError:
        return None


def agree(champion: float, challenger: float, tolerance: float) -> bool:
    """Tell whether two numbers are within a tolerance of each other; with none, whether they are equal.

    Numbers that are so as decimals are so here, though no double is 1.05 or 0.05 exactly. Integers stay exact.
    """
    return _within(difference(champion, challenger), champion, challenger, tolerance)


def _within(found: float | None, champion: float, challenger: float, tolerance: float) -> bool:
    return found is not None and abs(found) <= tolerance + _slack(champion, challenger, tolerance)


def _slack(champion: float, challenger: float, tolerance: float) -> float:
    """Return how much larger a difference may be for no other reason than that doubles are binary."""
    if not tolerance or type(champion) is type(challenger) is int:
        return tolerance * ROUNDING
    return abs(champion) * ROUNDING + abs(challenger) * ROUNDING + tolerance * ROUNDING


def _whole(number: float) -> float:
    """Return a number that is a whole one as an integer. Raises OverflowError for an integer beyond all doubles."""
    return int(number) if float(number).is_integer() else number


def _add(difference: float, evidence: Evidence) -> None:
    evidence.differences += 1
    evidence.difference_sum += units(difference)
    if not difference:
        evidence.equal += 1
    elif difference > 0:
        count(evidence.above, bucket(difference))
    else:
        count(evidence.below, bucket(-difference))
