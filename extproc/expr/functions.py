"""The functions: ``size``, conversions, and what strings can do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extproc.expr import patterns
from extproc.expr.arithmetic import bounded, to_double
from extproc.expr.errors import EvaluationError
from extproc.expr.limits import MAX_NUMBER_TEXT
from extproc.expr.text import double_text, integer_text
from extproc.expr.values import kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from extproc.expr.frame import Frame

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DOUBLE: Final = re.compile(
    r"[+-]?(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
_SIZED: Final = frozenset({str, list, dict})


@dataclass(frozen=True, slots=True)
class Function:
    """A function: ``arity`` counts the target of a method; ``run`` gets the frame and all arguments."""

    arity: int
    run: Callable[..., object]
    plain: bool = True
    method: bool = False


def size(_frame: Frame, value: Any) -> int:
    """Code points of a string, elements of a list, entries of a map."""
    if type(value) not in _SIZED:
        raise EvaluationError(f"size({kind(value)}) has no meaning")
    return len(value)


def to_int(frame: Frame, value: Any) -> int:
    """An integer as it is, a double truncated toward zero, a decimal text read."""
    if type(value) is int:
        return value
    if type(value) is str:
        return _read_int(frame, value)
    if type(value) is not float:
        raise EvaluationError(f"int({kind(value)}) has no meaning")
    try:
        return int(value)
    except (OverflowError, ValueError):
        raise EvaluationError("int() got a double that is not finite") from None


def to_double_value(frame: Frame, value: Any) -> float:
    """A double as it is, an integer rounded, a decimal text read."""
    if type(value) is float:
        return value
    if type(value) is int:
        return to_double(value)
    if type(value) is not str:
        raise EvaluationError(f"double({kind(value)}) has no meaning")
    if len(value) > MAX_NUMBER_TEXT or not _DOUBLE.fullmatch(value):
        raise EvaluationError("double() got text that is not a number")
    frame.charge_bulk(len(value))
    return float(value)


def to_string(frame: Frame, value: Any) -> str:
    """A string as it is; bools and numbers as CEL writes them."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float:
        return double_text(value)
    if type(value) is not int:
        raise EvaluationError(f"string({kind(value)}) has no meaning")
    frame.charge_bits(value.bit_length())
    return integer_text(value)


def starts_with(frame: Frame, text: Any, prefix: Any) -> bool:
    """``text.startsWith(prefix)``."""
    _strings("startsWith", text, prefix)
    frame.charge_bulk(len(prefix))
    return bool(text.startswith(prefix))


def ends_with(frame: Frame, text: Any, suffix: Any) -> bool:
    """``text.endsWith(suffix)``."""
    _strings("endsWith", text, suffix)
    frame.charge_bulk(len(suffix))
    return bool(text.endswith(suffix))


def contains(frame: Frame, text: Any, part: Any) -> bool:
    """``text.contains(part)``."""
    _strings("contains", text, part)
    frame.charge_bulk(len(text))
    return part in text


def matches(frame: Frame, text: Any, pattern: Any) -> bool:
    """``text.matches(pattern)``: some part of the text matches."""
    _strings("matches", text, pattern)
    # Compiling a pattern costs far more a character than searching does.
    frame.charge(len(pattern))
    return matches_constant(frame, text, patterns.searcher(pattern))


def matches_constant(frame: Frame, text: Any, search: patterns.Search) -> bool:
    """``matches`` with a pattern known when the expression was compiled."""
    if type(text) is not str:
        raise EvaluationError(f"{kind(text)}.matches(string) has no meaning")
    # RE2 falls back to a slower automaton when a pattern's states outgrow its memory.
    frame.charge(len(text) // 4 + 1)
    return search(text)


def _strings(name: str, target: object, argument: object) -> None:
    if type(target) is not str or type(argument) is not str:
        raise EvaluationError(f"{kind(target)}.{name}({kind(argument)}) has no meaning")


def _read_int(frame: Frame, text: str) -> int:
    if len(text) > MAX_NUMBER_TEXT or not _INTEGER.fullmatch(text):
        raise EvaluationError("int() got text that is not a decimal integer")
    # A decimal digit is a little over three bits.
    frame.charge_bits(4 * len(text))
    try:
        return bounded(int(text))
    except ValueError:
        raise EvaluationError("int() got more digits than this process reads") from None


FUNCTIONS: Final = {
    "size": Function(1, size, method=True),
    "int": Function(1, to_int),
    "double": Function(1, to_double_value),
    "string": Function(1, to_string),
    "startsWith": Function(2, starts_with, plain=False, method=True),
    "endsWith": Function(2, ends_with, plain=False, method=True),
    "contains": Function(2, contains, plain=False, method=True),
    "matches": Function(2, matches, method=True),
}
