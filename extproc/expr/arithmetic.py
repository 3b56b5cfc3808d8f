"""``+ - * / %``: integers of any size, doubles as IEEE has them, a mix of both in doubles."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from extproc.expr.errors import EvaluationError
from extproc.expr.frame import Frame
from extproc.expr.limits import COPIED, MAX_INT_BITS
from extproc.expr.values import NUMBERS, kind

Operation = Callable[[Frame, Any, Any], object]

# Below this an integer operation costs no more than any other step.
_SMALL_BITS: Final = 512


def bounded(value: int) -> int:
    """The value, if it is not too large to be written.

    Raises:
        EvaluationError: more than MAX_INT_BITS.
    """
    if value.bit_length() > MAX_INT_BITS:
        raise EvaluationError(f"the integer has more than {MAX_INT_BITS} bits")
    return value


def add(frame: Frame, left: Any, right: Any) -> object:
    """Sum of numbers; strings and lists in a row."""
    ours, theirs = type(left), type(right)
    if ours is int and theirs is int:
        return bounded(left + right)
    if ours is theirs and (ours is str or ours is list):
        frame.charge((len(left) + len(right)) // COPIED + 1)
        return left + right
    return _numeric("+", operator.add, operator.add, left, right)


def subtract(_frame: Frame, left: Any, right: Any) -> object:
    """Difference of numbers."""
    return _numeric("-", operator.sub, operator.sub, left, right)


def multiply(frame: Frame, left: Any, right: Any) -> object:
    """Product of numbers."""
    _charge_integers(frame, left, right)
    return _numeric("*", operator.mul, operator.mul, left, right)


def divide(frame: Frame, left: Any, right: Any) -> object:
    """Quotient: of integers truncated toward zero, of doubles IEEE's."""
    _charge_integers(frame, left, right)
    return _numeric("/", _quotient, _ratio, left, right)


def remainder(frame: Frame, left: Any, right: Any) -> object:
    """Remainder of integers, with the sign of the dividend."""
    if type(left) is not int or type(right) is not int:
        raise EvaluationError(f"{kind(left)} % {kind(right)} has no meaning")
    _charge_integers(frame, left, right)
    if right == 0:
        raise EvaluationError("modulus by zero")
    rest = left % right
    return rest - right if rest and (left < 0) is not (right < 0) else rest


def negate(_frame: Frame, value: Any) -> object:
    """Unary minus."""
    if type(value) not in NUMBERS:
        raise EvaluationError(f"-{kind(value)} has no meaning")
    return -value


def to_double(value: int) -> float:
    """An integer as the nearest double.

    Raises:
        EvaluationError: beyond the largest double.
    """
    try:
        return float(value)
    except OverflowError:
        raise EvaluationError("the integer is too large for a double") from None


def _numeric(
    symbol: str, integers: Callable[[int, int], int], doubles: Callable[[float, float], float], left: Any, right: Any
) -> object:
    ours, theirs = type(left), type(right)
    if ours is int and theirs is int:
        return bounded(integers(left, right))
    if ours is float and theirs is float:
        return doubles(left, right)
    if ours not in NUMBERS or theirs not in NUMBERS:
        raise EvaluationError(f"{kind(left)} {symbol} {kind(right)} has no meaning")
    return doubles(to_double(left), to_double(right))


def _quotient(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationError("division by zero")
    floor = left // right
    return floor + 1 if floor < 0 and floor * right != left else floor


def _ratio(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _charge_integers(frame: Frame, left: object, right: object) -> None:
    if type(left) is int and type(right) is int:
        bits = left.bit_length() + right.bit_length()
        if bits > _SMALL_BITS:
            bounded(left)
            bounded(right)
            frame.charge_bits(bits)
