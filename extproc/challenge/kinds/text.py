"""Texts: the same but for white space around them, and how similar where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any, Final

from rapidfuzz.distance import Indel

from extproc.challenge.histogram import count, grain
from extproc.protocol import NotPredictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Evidence

# Characters of a text that its similarity is told from. The time grows with the square, and is longest for alphabets of
# thousands of letters: 0.8 ms for two texts of so many.
MAX_MEASURED: Final = 2048


@dataclass(frozen=True, slots=True)
class TextPairs:
    """Pairs of texts, with the normalised similarity of each: 1 for the same, 0 for no character in common."""

    agreeing: int
    similarities: tuple[float, ...]

    def add_to(self, evidence: Evidence) -> None:
        """Count the similarities."""
        for one in self.similarities:
            count(evidence.similarity, grain(one))


def read(elements: list[Any]) -> Sequence[str]:
    """Return the texts without white space around them.

    Raises:
        NotPredictions: One is no text.
    """
    if any(type(element) is not str for element in elements):
        raise NotPredictions("a prediction is no text")
    return [element.strip() for element in elements]


def compare(champion: Sequence[str], challenger: Sequence[str], _tolerance: float) -> TextPairs:
    """Return how many are the same, and how similar all are."""
    pairs = list(zip(champion, challenger, strict=True))
    longest = measured(len(pairs))
    return TextPairs(
        sum(ours == theirs for ours, theirs in pairs),
        tuple(similarity(ours, theirs, longest) for ours, theirs in pairs),
    )


def measured(texts: int) -> int:
    """Return how many characters are measured of each text in a batch, which is given the time of one pair."""
    return max(isqrt(MAX_MEASURED**2 // max(texts, 1)), 1)


def similarity(champion: str, challenger: str, longest: int = MAX_MEASURED) -> float:
    """Return 1 - d / (length of both), d being the least number of characters to insert and delete.

    Only the first ``longest`` characters count; what differs behind them alone is all the same to this.
    """
    return Indel.normalized_similarity(champion[:longest], challenger[:longest])
