"""What a literal's text means: numbers and strings with CEL's escapes."""

from __future__ import annotations

import math
import re
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.|\Z))",
    re.DOTALL,
)
_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SURROGATES: Final = range(0xD800, 0xE000)
_LAST_CODE_POINT: Final = 0x10FFFF


class LiteralError(ValueError):
    """What is wrong with a literal, and how many characters into its text."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def integer(text: str) -> int:
    """``12``, ``0x1F``, and both with ``u``: an unsigned integer is an integer here, as JSON has only one kind."""
    digits = text.rstrip("uU")
    return int(digits, 16) if digits[:2] in {"0x", "0X"} else int(digits)


def double(text: str) -> float:
    """``1.5``, ``.5``, ``1e3``."""
    value = float(text)
    if math.isinf(value):
        raise LiteralError("this number is too large for a double")
    return value


def string(text: str) -> str:
    """A string with its quotes and prefix."""
    raw = text[0] in "rR"
    opening = 1 if raw else 0
    quotes = 3 if text[opening : opening + 3] in {'"""', "'''"} else 1
    start = opening + quotes
    body = text[start:-quotes]
    if raw or "\\" not in body:
        return body
    return _ESCAPE.sub(lambda match: _unescape(match, start), body)


def _unescape(match: re.Match[str], start: int) -> str:
    simple, byte, short, long, octal, _ = match.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    code = _code_point(byte or short or long, octal)
    if code is None or code > _LAST_CODE_POINT or code in _SURROGATES:
        raise LiteralError("this escape is none that CEL knows", start + match.start())
    return chr(code)


def _code_point(hexadecimal: str | None, octal: str | None) -> int | None:
    if hexadecimal is not None:
        return int(hexadecimal, 16)
    return None if octal is None else int(octal, 8)
