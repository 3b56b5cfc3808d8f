"""Values as text: JSON for templates, CEL's ``string()``, and keys that do not depend on how a number was written."""

from __future__ import annotations

import json
import math
from typing import Final

from extproc.expr.access import Record
from extproc.expr.errors import EvaluationError

_NOT_JSON: Final = "the value cannot be written as JSON"
_RECORD: Final = f"{_NOT_JSON}: it is or holds a record; name a field of it"
_TOO_DEEP: Final = "the value is nested too deeply to be written as JSON"
# A double with an integral value below this is the same key as the integer.
_SAME_AS_INTEGER: Final = float(2**63)
# Go's and C++'s shortest form changes to an exponent from here on, Python's repr ten orders later.
_PLAIN_BELOW: Final = 1e6

_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SORTED: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True)


def text_of(value: object) -> str:
    """A value as a key: strings as they are, else JSON with sorted keys, 1.0 like 1.

    Raises:
        EvaluationError: a NaN, an infinity or a record in it, or nested too deeply.
    """
    if type(value) is str:
        return value
    return _encode(_SORTED, _normal(plain(value)))


def json_text(value: object) -> str:
    """A value as compact JSON.

    Raises:
        EvaluationError: a NaN, an infinity or a record in it, or nested too deeply.
    """
    return _encode(_COMPACT, value)


def plain(value: object) -> object:
    """A copy that any JSON encoder can write: every key a string, every double finite.

    Raises:
        EvaluationError: there is no such copy.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise EvaluationError(_TOO_DEEP) from None


def plain_part(value: object) -> object:
    """A part of the activation, which is JSON already unless it is a record or holds records directly.

    Raises:
        EvaluationError: it is, or does.
    """
    kinds = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
    if any(isinstance(item, Record) for item in kinds):
        raise EvaluationError(_RECORD)
    return plain(value) if isinstance(value, float | Record) else value


def double_text(value: float) -> str:
    """A double as CEL's ``string()`` writes it: the shortest digits, an exponent from 1e+06 on."""
    text = repr(value)
    if "e" in text or not math.isfinite(value):
        return text
    if abs(value) < _PLAIN_BELOW:
        return text.removesuffix(".0")
    mantissa, _, fraction = text.partition(".")
    digits = (mantissa.lstrip("-") + fraction).rstrip("0")
    exponent = len(mantissa.lstrip("-")) - 1
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e+{exponent:02}"


def integer_text(value: int) -> str:
    """An integer in decimal.

    Raises:
        EvaluationError: more digits than Python writes.
    """
    try:
        return str(value)
    except ValueError:
        raise EvaluationError("the integer is too large to be written") from None


def _encode(encoder: json.JSONEncoder, value: object) -> str:
    try:
        return encoder.encode(value)
    except RecursionError:
        raise EvaluationError(_TOO_DEEP) from None
    except (TypeError, ValueError):
        raise EvaluationError(_NOT_JSON) from None


def _plain(value: object) -> object:
    if isinstance(value, dict):
        copy = {_key_text(key): _plain(item) for key, item in value.items()}
        if len(copy) != len(value):
            raise EvaluationError("two keys of a map are the same text in JSON")
        return copy
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise EvaluationError(f"{_NOT_JSON}: a double is not finite")
    if isinstance(value, Record):
        raise EvaluationError(_RECORD)
    return value


def _key_text(key: object) -> str:
    if type(key) is bool:
        return "true" if key else "false"
    return integer_text(key) if isinstance(key, int) else str(key)


def _normal(value: object) -> object:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _SAME_AS_INTEGER else value
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    return value
