"""Closures of calls: constants, applied functions, and quick forms of comparisons with a constant."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final

from extproc.expr.errors import EvaluationError
from extproc.expr.values import NUMBERS, kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from extproc.expr.frame import Evaluate, Frame, Variables
    from extproc.expr.syntax import Position


class Constant:
    """A closure whose value is known."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __call__(self, _variables: Variables, _frame: Frame) -> object:
        """The value."""
        return self.value

    def __repr__(self) -> str:
        return f"<Constant {self.value!r}>"


def apply(function: Callable[..., object], args: tuple[Evaluate, ...], at: Position) -> Evaluate:
    """``function(frame, *args)``, with errors located at ``at`` unless they come from an argument."""
    return _apply_one(function, args[0], at) if len(args) == 1 else _apply_two(function, args[0], args[1], at)


def _apply_one(function: Callable[..., object], arg: Evaluate, at: Position) -> Evaluate:
    def evaluate(variables: Variables, frame: Frame) -> object:
        value = arg(variables, frame)
        try:
            return function(frame, value)
        except EvaluationError as error:
            raise error.located(at)  # noqa: B904 - it is the same error

    return evaluate


def _apply_two(function: Callable[..., object], left: Evaluate, right: Evaluate, at: Position) -> Evaluate:
    def evaluate(variables: Variables, frame: Frame) -> object:
        ours, theirs = left(variables, frame), right(variables, frame)
        try:
            return function(frame, ours, theirs)
        except EvaluationError as error:
            raise error.located(at)  # noqa: B904 - it is the same error

    return evaluate


def compared(symbol: str, left: Evaluate, right: Evaluate, at: Position) -> Evaluate | None:
    """A quick form of a comparison whose right side is a constant scalar; None when there is none."""
    if not isinstance(right, Constant):
        return None
    constant = right.value
    if symbol in _EQUALITY:
        return _equality(left, constant, negated=symbol == "!=")
    if symbol in _ORDER and type(constant) in NUMBERS:
        return _order(symbol, left, constant, at)
    if symbol == "in" and isinstance(constant, list) and all(type(item) is str for item in constant):
        return _among(left, frozenset(constant))
    return None


_EQUALITY: Final = frozenset({"==", "!="})
_ORDER: Final[dict[str, Callable[..., bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _equality(left: Evaluate, constant: object, *, negated: bool) -> Evaluate | None:
    if type(constant) is str:
        return _text_equality(left, constant, negated=negated)
    if constant is None or type(constant) is bool:
        return _identity(left, constant, negated=negated)
    return _number_equality(left, constant, negated=negated) if type(constant) in NUMBERS else None


def _text_equality(left: Evaluate, constant: str, *, negated: bool) -> Evaluate:
    # Python's equality of a string with anything is CEL's, and its cost is bounded by the constant's length.
    def equal(variables: Variables, frame: Frame) -> object:
        return left(variables, frame) == constant

    def different(variables: Variables, frame: Frame) -> object:
        return left(variables, frame) != constant

    return different if negated else equal


def _identity(left: Evaluate, constant: object, *, negated: bool) -> Evaluate:
    def equal(variables: Variables, frame: Frame) -> object:
        return (left(variables, frame) is constant) is not negated

    return equal


def _number_equality(left: Evaluate, constant: object, *, negated: bool) -> Evaluate:
    def equal(variables: Variables, frame: Frame) -> object:
        value = left(variables, frame)
        return (type(value) in NUMBERS and value == constant) is not negated

    return equal


def _order(symbol: str, left: Evaluate, constant: object, at: Position) -> Evaluate:
    compare = _ORDER[symbol]

    def ordered(variables: Variables, frame: Frame) -> object:
        value = left(variables, frame)
        if type(value) in NUMBERS:
            return compare(value, constant)
        raise EvaluationError(f"{kind(value)} {symbol} {kind(constant)} has no meaning", at.column, at.line)

    return ordered


def _among(left: Evaluate, constants: frozenset[object]) -> Evaluate:
    def among(variables: Variables, frame: Frame) -> object:
        value = left(variables, frame)
        return type(value) is str and value in constants

    return among
