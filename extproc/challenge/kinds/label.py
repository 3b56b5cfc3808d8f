"""Labels: any JSON values, which are the same or are not."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec

from extproc.challenge.confusion import book, cell
from extproc.protocol import NotPredictions
from extproc.protocol.leaves import MAX_DEPTH, check_depth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Evidence

_NO_JSON: Final = "a prediction cannot be written as JSON"
_AS_IT_IS: Final = frozenset({str, int, bool, type(None)})
_sorted: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class LabelPairs:
    """Pairs of labels, by the cell of the confusion matrix that each belongs to."""

    agreeing: int
    cells: tuple[str, ...]

    def add_to(self, evidence: Evidence) -> None:
        """Count each pair in its cell."""
        for name in self.cells:
            book(evidence.confusion, name)


def read(elements: list[Any]) -> Sequence[str]:
    """Return the labels' texts, as ``text_of_label`` makes them.

    Raises:
        NotPredictions: One is no JSON value, or nested too deeply.
    """
    return [text_of_label(element) for element in elements]


def compare(champion: Sequence[str], challenger: Sequence[str], _tolerance: float) -> LabelPairs:
    """Return how many are the same, and the cells of all."""
    pairs = list(zip(champion, challenger, strict=True))
    return LabelPairs(sum(ours == theirs for ours, theirs in pairs), tuple(cell(*pair) for pair in pairs))


def text_of_label(value: Any) -> str:
    """Return a label's JSON text, which is the same for equal labels and for no others.

    Equal is what is so for expressions and votes: numbers by value (1.0 is 1), true is no 1, lists item by item, objects
    whatever the order of their fields.

    Raises:
        NotPredictions: It is no JSON value, or nested too deeply.
    """
    try:
        return _sorted.encode(_normal(value, MAX_DEPTH)).decode()
    except ValueError:  # half of a surrogate pair, or an integer of more digits than Python writes
        raise NotPredictions(_NO_JSON) from None


def _normal(value: Any, left: int) -> Any:
    if type(value) in _AS_IT_IS:
        return value
    if type(value) is float and isfinite(value):
        return int(value) if value.is_integer() else value
    check_depth(left)
    if type(value) is list:
        return [_normal(item, left - 1) for item in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: _normal(item, left - 1) for key, item in value.items()}
    raise NotPredictions(_NO_JSON)
