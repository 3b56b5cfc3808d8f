"""Compiles every expression and template, to say what is wrong with it where it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from extproc.expr import CompileError, compile_expression, compile_template
from extproc.graph.pointing import point
from extproc.graph.problems import did_you_mean, quote
from extproc.graph.tree import Mark, Scalar, locate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extproc.graph.problems import Path
    from extproc.graph.report import Report

Reads: TypeAlias = frozenset[tuple[str, ...]]
NONE: Reads = frozenset()
OF_REQUEST = frozenset({"headers", "method", "path", "query", "host", "id", "body"})
OF_RESPONSE = frozenset({"status", "headers", "body"})

HEADERS = re.compile(
    r"""\bheaders\s*\[\s*(?P<quote>["'])(?P<indexed>[^"'\\]+)(?P=quote)"""
    r"""|\bheaders\s*\.\s*(?P<field>[A-Za-z_]\w*)"""
    r"""|(?P<other>["'])(?P<member>[^"'\\]+)(?P=other)\s+in\s+[\w.\[\]"'-]+\.headers\b"""
)
"""The ways to name a header: indexed, as a field, and with ``in``."""


def expression(report: Report, path: Path, text: str | None, variables: tuple[str, ...]) -> Reads:
    """Compiles the expression at ``path``; what it reads, nothing when it is missing or wrong."""
    if text is None or not report.sound(path):
        return NONE
    return _compiled(report, path, text, variables, compile_expression)


def template(report: Report, path: Path, value: Any, variables: tuple[str, ...]) -> Reads:
    """Compiles the template at ``path``, each of its texts for itself, so that all errors are found at once."""
    if value is msgspec.UNSET:
        return NONE
    for where, text in _texts(value, path):
        if report.sound(where):
            _compiled(report, where, text, variables, compile_template)
    return _compiled(report, path, value, variables, compile_template) if report.sound(path) else NONE


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _compiled(report: Report, path: Path, text: Any, variables: tuple[str, ...], compile_text: Any) -> Reads:
    try:
        reads: Reads = compile_text(text, variables).reads
    except CompileError as error:
        report.error(path, error.message, _mark(report, path, error.line, error.column))
        return NONE
    if isinstance(text, str):
        _fields(report, path, text, reads)
        if any("headers" in read for read in reads):
            _headers(report, path, text)
    return reads


def _fields(report: Report, path: Path, text: str, reads: Reads) -> None:
    """Refuses fields that no request or response has: a typing error would only show as a missing key, one day."""
    for read in sorted(reads):
        known, at = _known_fields(read)
        if known and len(read) > at and read[at] not in known:
            where = text.find(read[at])
            mark = _mark(report, path, text.count("\n", 0, where) + 1, where - text.rfind("\n", 0, where))
            whose = ".".join(read[:at])
            report.error(path, f"{whose} has no field {quote(read[at])}{did_you_mean(read[at], known)}", mark)


def _known_fields(read: tuple[str, ...]) -> tuple[frozenset[str], int]:
    """The fields there are, and where in the path one of them stands."""
    match read[0]:
        case "request":
            return OF_REQUEST, 1
        case "response":
            return OF_RESPONSE, 1
        case "steps" | "members":
            return OF_RESPONSE, 2
        case _:
            return frozenset(), 0


def _headers(report: Report, path: Path, text: str) -> None:
    """Headers' names are in lower case when an expression sees them."""
    for found in HEADERS.finditer(text):
        group = next(name for name in ("indexed", "field", "member") if found[name])
        name = found[group]
        if name != name.lower():
            before = text[: found.start(group)]
            mark = _mark(report, path, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
            report.warn(path, f"never there: header names are in lower case; did you mean {quote(name.lower())}?", mark)


def _mark(report: Report, path: Path, line: int, column: int) -> Mark:
    scalar = locate(report.root, path)
    return point(report.text, scalar, line, column) if isinstance(scalar, Scalar) else scalar.mark
