"""split: one route, by weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.expressions import expression
from extproc.graph.checks.wording import not_empty

if TYPE_CHECKING:
    from extproc.graph.document import Split
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(split: Split, path: Path, report: Report) -> None:
    """Routes, one of them with a weight above 0."""
    routes = (*path, "routes")
    not_empty(report, routes, split.routes)
    weighed = all(report.sound((*routes, index, "weight")) for index in range(len(split.routes)))
    if split.routes and weighed and not any(route.weight > 0 for route in split.routes):
        report.error(routes, "at least one weight must be above 0")
    expression(report, (*path, "by"), split.by, ("request",))
