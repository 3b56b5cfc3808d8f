"""respond: an answer without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.expressions import template

if TYPE_CHECKING:
    from extproc.graph.document import Respond
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(respond: Respond, path: Path, report: Report) -> None:
    """The body is a template."""
    template(report, (*path, "body"), respond.body, ("request",))
