"""switch: the first case whose condition holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.expressions import expression
from extproc.graph.checks.wording import not_empty

if TYPE_CHECKING:
    from extproc.graph.document import Switch
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(switch: Switch, path: Path, report: Report) -> None:
    """Cases, each with a condition."""
    not_empty(report, (*path, "cases"), switch.cases)
    for index, case in enumerate(switch.cases):
        expression(report, (*path, "cases", index, "when"), case.when, ("request",))
