"""No name means two things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.problems import quote, show_path
from extproc.graph.walk import Branch, Place, children, places

if TYPE_CHECKING:
    from extproc.graph.document import Spec
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(spec: Spec, report: Report) -> None:
    """Models and nodes, nodes declared and inline, branches of a node."""
    for name in spec.nodes:
        if name in spec.models:
            path = ("spec", "nodes", name)
            report.error(path, f"{quote(name)} is a model and a node: to: {name} could mean either", report.key(path))
    seen: dict[str, Path] = {}
    for place in places(spec):
        if seen.setdefault(place.name, place.path) != place.path:
            first = show_path(seen[place.name])
            report.error(place.path, f"this inline node is called {quote(place.name)}, as is {first}")
        _branches(place, report)


def _branches(place: Place, report: Report) -> None:
    seen: dict[str, Branch] = {}
    for branch in children(place.name, place.node):
        path = _where(place, branch, report)
        if report.sound(path) and seen.setdefault(branch.name, branch) is not branch:
            other = show_path(seen[branch.name].path[1:]).removesuffix(".to")
            advice = "; give one of them a name" if branch.role in {"route", "case"} and _nameable(branch) else ""
            report.error(path, f"the branch name {quote(branch.name)} is taken by {other}{advice}")


def _nameable(branch: Branch) -> bool:
    return hasattr(branch.item, "name")


def _where(place: Place, branch: Branch, report: Report) -> Path:
    """The branch's ``name``, else its ``to``."""
    item = (*place.path, *branch.path[:-1])
    named = branch.role not in {"default", "champion", "onError"} and report.given(item, ("name",))
    return (*item, "name") if named else (*place.path, *branch.path)
