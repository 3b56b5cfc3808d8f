"""From a place in a scalar's text back to the place in the file where it was written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from extproc.graph.read import mark_at

if TYPE_CHECKING:
    from extproc.graph.tree import Mark, Scalar

PREFIX = re.compile(r"(?:[&!]\S*\s+)*")
"""An anchor or tag before the value: YAML's marks begin there."""

HEADER = re.compile(r"[|>][^\n]*\n?")
"""The first line of a block scalar."""

ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n[ \t]*|.)", re.DOTALL)
BLANKS = " \t\n\r"


def point(source: str, scalar: Scalar, line: int, column: int) -> Mark:
    """The position of ``line``:``column`` (from 1) of the scalar's text, in the file."""
    lines = scalar.text.split("\n")
    wanted = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
    return mark_at(source, _index(source, scalar, min(wanted, len(scalar.text))))


def _index(source: str, scalar: Scalar, wanted: int) -> int:
    """Walks text and source side by side: folding and indentation change blanks only, so the other characters agree."""
    at = _start(source, scalar)
    for char in scalar.text[:wanted]:
        if char in BLANKS and at < len(source) and source[at] == char != "\n":
            at += 1
        elif char not in BLANKS:
            at = _past(source, _seen(source, at, scalar), scalar)
    rest = scalar.text[wanted : wanted + 1]
    return _seen(source, at, scalar) if rest and rest not in BLANKS else at


def _start(source: str, scalar: Scalar) -> int:
    prefix = PREFIX.match(source, scalar.mark.index)
    at = prefix.end() if prefix else scalar.mark.index
    if scalar.style in {"'", '"'}:
        return at + 1
    header = HEADER.match(source, at) if scalar.style in {"|", ">"} else None
    return header.end() if header else at


def _seen(source: str, at: int, scalar: Scalar) -> int:
    """The next character that is no blank, passing over a line's end that is escaped in double quotes."""
    while at < len(source):
        if source[at] in BLANKS:
            at += 1
        elif scalar.style == '"' and source.startswith(("\\\n", "\\\r\n"), at):
            at = source.index("\n", at) + 1
        else:
            break
    return at


def _past(source: str, at: int, scalar: Scalar) -> int:
    """The index after the character at ``at``, which may be written as an escape."""
    if scalar.style == "'" and source.startswith("''", at):
        return at + 2
    escape = ESCAPE.match(source, at) if scalar.style == '"' else None
    return escape.end() if escape else at + 1
