"""Which requests enter a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from extproc.graph.checks.wording import not_empty

if TYPE_CHECKING:
    from extproc.graph.document import Match, Spec
    from extproc.graph.report import Report

MatchKey: TypeAlias = tuple[str | None, str | None, str | None, frozenset[tuple[str, str]]]


def check(spec: Spec, report: Report) -> None:
    """At least one entry, each with a path or a prefix at most, none twice."""
    not_empty(report, ("spec", "match"), spec.match)
    seen: dict[MatchKey, int] = {}
    for index, match in enumerate(spec.match):
        path = ("spec", "match", index)
        if len(report.given(path, ("path", "prefix"))) > 1:
            report.error(path, "a match has a path or a prefix, not both")
        elif report.sound(path) and seen.setdefault(match_key(match), index) != index:
            report.error(path, f"the same match as spec.match[{seen[match_key(match)]}]")


def match_key(match: Match) -> MatchKey:
    """What two matches have in common when they match the same requests; a prefix ``/`` is no prefix at all."""
    prefix = (match.prefix or "").rstrip("/") or None
    return match.host, match.path, prefix, frozenset(match.headers.items())
