"""Rules that several checks share, so that they are said in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def not_empty(report: Report, path: Path, items: Sequence[Any]) -> None:
    """A list that must hold something."""
    if not items and report.sound(path):
        report.error(path, "the list is empty")


def one_of(report: Report, path: Path, what: str, keys: Sequence[str]) -> str | None:
    """Exactly one of some keys; returns the one that is there."""
    given = report.given(path, keys)
    if len(given) == 1:
        return given[0]
    if given:
        report.error(path, f"{what} has only one of {listed(keys)}, found {listed(given)}")
    elif report.sound(path):
        report.error(path, f"{what} needs one of {listed(keys)}")
    return None


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
