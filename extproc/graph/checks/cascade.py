"""cascade: the first 2xx response that is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.expressions import expression
from extproc.graph.checks.wording import not_empty

if TYPE_CHECKING:
    from extproc.graph.document import Cascade
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(cascade: Cascade, path: Path, report: Report) -> None:
    """Routes, all but the last with a condition."""
    routes = (*path, "routes")
    not_empty(report, routes, cascade.routes)
    for index, route in enumerate(cascade.routes):
        expression(report, (*routes, index, "accept"), route.accept, ("request", "response"))
        if route.accept is None and index < len(cascade.routes) - 1 and report.sound((*routes, index, "accept")):
            report.error((*routes, index), "only the last route needs no accept: those after this one are never tried")
    last = len(cascade.routes) - 1
    if cascade.routes and cascade.routes[last].accept is not None:
        report.warn(
            (*routes, last, "accept"), "the last route's response is the answer whatever it is: accept is not asked"
        )
