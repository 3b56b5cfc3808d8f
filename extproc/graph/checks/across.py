"""Rules between the graphs that are loaded together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.match import MatchKey, match_key
from extproc.graph.problems import quote
from extproc.graph.tree import locate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.graph.document import InferenceGraph
    from extproc.graph.problems import Path
    from extproc.graph.report import Report

NAME = ("metadata", "name")


def check_across(documents: Iterable[tuple[Report, InferenceGraph]]) -> None:
    """No two graphs with one name, or with one match."""
    names: dict[str, str] = {}
    matches: dict[MatchKey, tuple[Report, str]] = {}
    for report, document in documents:
        name = document.metadata.name
        if report.sound(NAME):
            place = names.setdefault(name, _place(report, NAME))
            if place != _place(report, NAME):
                report.error(NAME, f"the graph name {quote(name)} is taken by {place}")
        _matches(report, document, matches)


def _matches(report: Report, document: InferenceGraph, seen: dict[MatchKey, tuple[Report, str]]) -> None:
    for index, match in enumerate(document.spec.match):
        path = ("spec", "match", index)
        if not report.sound(path):
            continue
        owner, place = seen.setdefault(match_key(match), (report, _place(report, path)))
        if owner is not report:
            report.error(path, f"the same match as another graph's at {place}")


def _place(report: Report, path: Path) -> str:
    mark = locate(report.root, path).mark
    return f"{report.file}:{mark.line}:{mark.column}"
