"""The kinds as values: how each reads the elements of a leg, and compares those of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from extproc.challenge.kinds import label, number, text, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extproc.challenge.evidence import Evidence
    from extproc.protocol import Kind


class Compared(Protocol):
    """The elements of two legs, compared one by one."""

    @property
    def agreeing(self) -> int:
        """How many agree."""
        ...

    def add_to(self, evidence: Evidence) -> None:
        """Add what this kind has of its own to the evidence."""
        ...


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind. Both functions raise NotPredictions; what ``compare`` raises is the challenger's fault.

    ``compare`` takes what ``read`` made of the champion's elements and of as many of the challenger's, and a tolerance.
    """

    read: Callable[[list[Any]], Sequence[Any]]
    compare: Callable[[Sequence[Any], Sequence[Any], float], Compared]


KINDS: Final[Mapping[Kind, Measure]] = {
    "number": Measure(number.read, number.compare),
    "label": Measure(label.read, label.compare),
    "vector": Measure(vector.read, vector.compare),
    "text": Measure(text.read, text.compare),
}
