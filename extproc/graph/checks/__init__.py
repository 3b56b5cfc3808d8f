"""What types cannot say: rules within an object, between objects, and between graphs.

Every check takes a document that may hold stand-ins for what was wrong, and a report; it asks ``report.sound`` before
it complains about what would only follow from an earlier error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks import away, deadline, match, models, names, nodes, paths, references

if TYPE_CHECKING:
    from extproc.graph.document import InferenceGraph
    from extproc.graph.report import Report

CHECKS = (
    match.check,
    models.check,
    names.check,
    references.check,
    paths.check,
    nodes.check,
    away.check,
    deadline.check,
)


def check(document: InferenceGraph, report: Report) -> None:
    """All checks of one document."""
    for one in CHECKS:
        one(document.spec, report)
