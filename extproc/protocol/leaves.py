"""The numbers in a nested value, in order, and the structure around them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from extproc.protocol.errors import NotPredictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NUMBERS: Final = frozenset({int, float})
MAX_DEPTH: Final = 64  # levels of lists and objects within one prediction: twice what a numpy array can have


def leaves(value: Any) -> tuple[list[float], list[object]]:
    """The numbers of a value in order, objects by sorted key, and its structure; equal structures compare equal.

    Raises:
        NotPredictions: Something in it is no number, no double can hold one, or it is too deep.
    """
    found: list[float] = []
    structure: list[object] = []
    _walk(value, found, structure, MAX_DEPTH)
    return found, structure


def rebuild(value: Any, numbers: Iterator[float]) -> Any:
    """The value with its numbers replaced, in the order of ``leaves``; ``leaves`` must have accepted it."""
    if type(value) is list and NUMBERS.issuperset(map(type, value)):
        return list(islice(numbers, len(value)))
    if type(value) is list:
        return [rebuild(item, numbers) for item in value]
    if type(value) is dict:
        new = {key: rebuild(value[key], numbers) for key in sorted(value)}
        return {key: new[key] for key in value}
    return next(numbers)


def check_depth(left: int) -> None:
    """Refuse to go deeper than the limit."""
    if left <= 0:
        raise NotPredictions(f"a prediction has more than {MAX_DEPTH} levels")


# The structure is a token per value: None for a number, the sorted keys of an object, a list's length, and
# -1 - length for a list of numbers alone, whose items need no tokens.
def _walk(value: Any, found: list[float], structure: list[object], left: int) -> None:
    if type(value) is list:
        check_depth(left)
        _walk_list(value, found, structure, left)
    elif type(value) is dict:
        check_depth(left)
        keys = sorted(value)
        structure.append(tuple(keys))
        for key in keys:
            _walk(value[key], found, structure, left - 1)
    else:
        if type(value) not in NUMBERS:
            raise NotPredictions("a prediction is no number")
        structure.append(None)
        _take((value,), found)


def _walk_list(items: list[Any], found: list[float], structure: list[object], left: int) -> None:
    if NUMBERS.issuperset(map(type, items)):
        structure.append(-1 - len(items))
        _take(items, found)
        return
    structure.append(len(items))
    for item in items:
        _walk(item, found, structure, left - 1)


def _take(values: Iterable[Any], found: list[float]) -> None:
    try:
        found.extend(map(float, values))
    except OverflowError:
        raise NotPredictions("a prediction is a number that no double can hold") from None
