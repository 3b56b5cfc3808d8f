"""fallback: the next route when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.wording import not_empty

if TYPE_CHECKING:
    from extproc.graph.document import Fallback
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(fallback: Fallback, path: Path, report: Report) -> None:
    """Routes, and ways to fail."""
    not_empty(report, (*path, "routes"), fallback.routes)
    not_empty(report, (*path, "on"), fallback.on)
