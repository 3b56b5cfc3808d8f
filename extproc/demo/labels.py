"""Predictions as labels: a label is one already, of probabilities it is the likeliest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN: Final = 3  # numbers of a row that are shown


def label(value: Any) -> int | None:
    """The label that a prediction stands for; None when it is neither a label nor probabilities."""
    match value:
        case int():
            return value
        case [*numbers] if _probabilities(numbers):
            return numbers.index(max(numbers))
        case _:
            return None


def named(value: Any, names: Sequence[str]) -> str:
    """A prediction for people: ``benign``, ``6 (68.7%)`` for probabilities, its first numbers for any other row."""
    known = label(value)
    if known is not None:
        name = names[known] if 0 <= known < len(names) else str(known)
        return name if isinstance(value, int) else f"{name} ({max(value):.1%})"
    if isinstance(value, list) and len(value) > SHOWN and all(isinstance(number, float | int) for number in value):
        return "[" + ", ".join(f"{number:.2f}" for number in value[:SHOWN]) + f", … {len(value)} in all]"
    return str(value)


def _probabilities(numbers: Sequence[Any]) -> bool:
    return all(isinstance(one, float | int) and 0 <= one <= 1 for one in numbers) and math.isclose(sum(numbers), 1)
