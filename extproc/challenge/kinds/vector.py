"""Vectors: lists and objects of numbers, by direction and by the component in which they differ most."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, hypot, isfinite
from operator import mul, sub
from typing import TYPE_CHECKING, Any, TypeAlias

from extproc.challenge.histogram import bucket, count, grain
from extproc.challenge.kinds import number
from extproc.protocol import NotPredictions, leaves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Evidence

Vector: TypeAlias = tuple[list[float], list[object]]
"""The components in order, and the structure that they stand in."""


@dataclass(frozen=True, slots=True)
class VectorPairs:
    """Pairs of vectors: how far the furthest components are apart, and the cosine; None where there is none."""

    agreeing: int
    furthest: tuple[float | None, ...]
    cosines: tuple[float | None, ...]

    def add_to(self, evidence: Evidence) -> None:
        """Count the cosines and the largest differences."""
        for size in self.furthest:
            if size is None:
                evidence.boundless += 1
            elif size:
                count(evidence.furthest, bucket(size))
            else:
                evidence.same_vectors += 1
        for one in self.cosines:
            if one is not None:
                count(evidence.cosine, grain((one + 1) / 2))


def read(elements: list[Any]) -> Sequence[Vector]:
    """Return each element's numbers, objects by sorted key, and its structure.

    Raises:
        NotPredictions: Something in one is no number, no double can hold one, or it is too deep.
    """
    return [leaves(element) for element in elements]


def compare(champion: Sequence[Vector], challenger: Sequence[Vector], tolerance: float) -> VectorPairs:
    """Return how many have all components within the tolerance, and how near they are.

    Raises:
        NotPredictions: The challenger's have another structure: length, nesting or names.
    """
    if [structure for _, structure in champion] != [structure for _, structure in challenger]:
        raise NotPredictions("the challenger's vectors have another structure than the champion's")
    pairs = [(ours, theirs) for (ours, _), (theirs, _) in zip(champion, challenger, strict=True)]
    return VectorPairs(
        sum(agree(ours, theirs, tolerance) for ours, theirs in pairs),
        tuple(furthest(ours, theirs) for ours, theirs in pairs),
        tuple(cosine(ours, theirs) for ours, theirs in pairs),
    )


def agree(champion: Sequence[float], challenger: Sequence[float], tolerance: float) -> bool:
    """Tell whether every component is within the tolerance of the other's."""
    largest = furthest(champion, challenger)
    if largest is None or largest <= tolerance:
        return largest is not None
    return all(number.agree(ours, theirs, tolerance) for ours, theirs in zip(champion, challenger, strict=True))


def furthest(champion: Sequence[float], challenger: Sequence[float]) -> float | None:
    """Return the largest difference of two components, 0 without any; None where no finite double holds one."""
    differences = list(map(sub, challenger, champion))
    if not all(map(isfinite, differences)):
        return None
    return max(map(abs, differences), default=0.0)


def cosine(champion: Sequence[float], challenger: Sequence[float]) -> float | None:
    """Return the cosine of the angle between two vectors; None where one has no direction: zero, or not finite."""
    ours, theirs = _scaled(champion), _scaled(challenger)
    if ours is None or theirs is None:
        return None
    found = fsum(map(mul, ours, theirs)) / (hypot(*ours) * hypot(*theirs))
    return min(max(found, -1.0), 1.0)


def _scaled(components: Sequence[float]) -> list[float] | None:
    """Return a vector whose largest component is 1 or -1, so that no sum of squares overflows or vanishes."""
    largest = max(map(abs, components), default=0.0)
    if not largest or not all(map(isfinite, components)):
        return None
    return [component / largest for component in components]
