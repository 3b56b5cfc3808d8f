"""What a scalar means where anything may stand: YAML 1.2's core schema (§10.3), which JSON is a part of."""

from __future__ import annotations

import math
import re
from typing import Any

from extproc.graph.problems import quote
from extproc.graph.tree import Broken, Mapping, Scalar, Sequence, Tree

MAX_DIGITS = 4300
"""Digits of an integer: Python's own limit (sys.int_info.default_max_str_digits), beyond which parsing is quadratic."""

NULLS = {"", "~", "null", "Null", "NULL"}
BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
INTEGER = re.compile(r"[-+]?[0-9]+")
OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Wrong(ValueError):  # noqa: N818 - a verdict on a scalar, turned into a Problem by the walker
    """A scalar that cannot be what is expected; the message says what is and what was found."""


def meaning(scalar: Scalar) -> Any:
    """The builtin that a scalar stands for; raises ``Wrong`` for numbers that JSON cannot carry."""
    text = scalar.text
    if not scalar.plain:
        return text
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    number = as_number(text)
    return text if number is None else number


def as_number(text: str) -> int | float | None:
    """The number that a plain text is, if it is one."""
    if INTEGER.fullmatch(text):
        return _integer(text)
    if OTHER_BASE.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise Wrong(f"the number {quote(text)} has more than {MAX_DIGITS} digits (MAX_DIGITS)")
        return int(text, 0)
    if not FLOAT.fullmatch(text) and not SPECIAL.fullmatch(text):
        return None
    number = float(text.replace(".", "", 1)) if SPECIAL.fullmatch(text) else float(text)
    if not math.isfinite(number):
        raise Wrong(f"{quote(text)} is no finite number")
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Wrong(f"the number {quote(text)} has more than {MAX_DIGITS} digits (MAX_DIGITS)")
    return int(text)


def found(tree: Tree) -> str:
    """What stands there, for "expected x, found y"."""
    if isinstance(tree, Mapping):
        return "a mapping"
    if isinstance(tree, Sequence):
        return "a list"
    if isinstance(tree, Broken):
        return "something broken"
    if tree.plain and tree.text in NULLS:
        return "nothing"
    try:
        value = meaning(tree)
    except Wrong:
        return f"the number {quote(tree.text)}"
    kind = {bool: "", int: "the number ", float: "the number "}.get(type(value))
    return f"the text {quote(tree.text)}" if kind is None else f"{kind}{tree.text[:40]}"
