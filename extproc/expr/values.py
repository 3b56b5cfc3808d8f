"""CEL's values as Python's: kinds, equality and order, without Python's ``True == 1``."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from extproc.expr.errors import EvaluationError

if TYPE_CHECKING:
    from extproc.expr.frame import Frame

Compare = Callable[[object, object], bool]

_KINDS: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    list: "list",
    dict: "map",
    type(None): "null",
}
NUMBERS: Final = frozenset({int, float})
_ORDERED: Final = frozenset({bool, str})
# Steps of comparing one pair within lists or maps: it takes about as long as four simple operations.
_PAIR: Final = 4
_MISSING: Final = object()


def kind(value: object) -> str:
    """CEL's name for the type of a value, for messages."""
    return _KINDS.get(type(value), "record")


def equal(frame: Frame, left: object, right: object) -> bool:
    """CEL's ``==``: numbers by value, everything else only within its kind, never an error."""
    if type(left) is not list and type(left) is not dict:
        return scalars_equal(frame, left, right)
    # A stack of pairs and no recursion: a body may be nested deeper than Python's stack allows.
    pairs: list[tuple[object, object]] = [(left, right)]
    while pairs:
        left, right = pairs.pop()
        if type(left) is list and type(right) is list:
            if len(left) != len(right):
                return False
            frame.charge(_PAIR * len(left) + 1)
            pairs.extend(zip(left, right, strict=True))
        elif type(left) is dict and type(right) is dict:
            if len(left) != len(right):
                return False
            frame.charge(_PAIR * len(left) + 1)
            for key, value in left.items():
                other = find(right, key, _MISSING)
                if other is _MISSING:
                    return False
                pairs.append((value, other))
        elif not scalars_equal(frame, left, right):
            return False
    return True


def scalars_equal(frame: Frame, left: object, right: object) -> bool:
    """Equality of two values of which at most one is a list or map."""
    if isinstance(left, str):
        if isinstance(right, str):
            frame.charge_bulk(len(left))
        return left == right
    ours, theirs = type(left), type(right)
    if ours in NUMBERS:
        return theirs in NUMBERS and left == right
    return ours is theirs and left == right


def find(mapping: dict[object, object], key: object, default: object) -> object:
    """The value of a scalar key; ``1`` finds ``1.0`` but neither finds ``true``."""
    if type(key) is str:
        return mapping.get(key, default)
    value = mapping.get(key, default)
    if value is default:
        return default
    # Keys that are no strings come from the expression's own text, so the search is short.
    found = next(other for other in mapping if other == key)
    return value if (type(found) is bool) is (type(key) is bool) else default


def not_equal(frame: Frame, left: object, right: object) -> bool:
    """CEL's ``!=``."""
    return not equal(frame, left, right)


def _ordering(symbol: str, compare: Callable[..., bool]) -> Callable[[Frame, object, object], bool]:
    def ordered(frame: Frame, left: object, right: object) -> bool:
        ours, theirs = type(left), type(right)
        if ours in NUMBERS and theirs in NUMBERS:
            return compare(left, right)
        if ours is not theirs or ours not in _ORDERED:
            raise EvaluationError(f"{kind(left)} {symbol} {kind(right)} has no meaning")
        if isinstance(left, str):
            frame.charge_bulk(len(left))
        return compare(left, right)

    return ordered


less = _ordering("<", operator.lt)
less_or_equal = _ordering("<=", operator.le)
greater = _ordering(">", operator.gt)
greater_or_equal = _ordering(">=", operator.ge)
