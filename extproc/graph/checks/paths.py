"""The ways through a graph: without cycles, not too long, and past every node and model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.references import ROOT
from extproc.graph.problems import quote
from extproc.graph.walk import Branch, Place, children, places

if TYPE_CHECKING:
    from extproc.graph.document import Spec
    from extproc.graph.problems import Path
    from extproc.graph.report import Report

MAX_NESTING = 20
"""Nodes on one way through a graph. Real ones have two to five; the engine's stack grows with each."""

MAX_SPELLED = 12
"""Nodes of a cycle that a message spells out."""


def check(spec: Spec, report: Report) -> None:
    """Cycles are errors, as are ways that are too long; what no way leads to is a warning."""
    ways = _Ways(spec, report)
    for name in ways.nodes:
        if name not in ways.height:
            ways.follow(name)
    if not ways.cyclic and ways.height.get(ROOT, 0) > MAX_NESTING:
        message = f"{ways.height[ROOT]} nodes follow one another from here; at most {MAX_NESTING} may (MAX_NESTING)"
        report.error(("spec", "nodes", ROOT), message)
    _unused(spec, report, ways)


class _Ways:
    """A depth-first walk with its own stack: a thousand nodes in a row are an error, not a crash."""

    def __init__(self, spec: Spec, report: Report) -> None:
        self.nodes: dict[str, Place] = {}
        for place in places(spec):
            self.nodes.setdefault(place.name, place)
        self.branches = {name: children(name, place.node) for name, place in self.nodes.items()}
        self.report = report
        self.height: dict[str, int] = {}
        self.cyclic = False

    def follow(self, start: str) -> None:
        """Visits all that can be reached from ``start`` and was not visited before."""
        way = {start: iter(self.branches[start])}
        while way:
            name = next(reversed(way))
            branch = next(way[name], None)
            if branch is None:
                self.height[name] = 1 + max((self.height.get(one.target, 0) for one in self.branches[name]), default=0)
                del way[name]
            elif branch.target in way:
                self.closed(name, branch, list(way))
            elif branch.target in self.nodes and branch.target not in self.height:
                way[branch.target] = iter(self.branches[branch.target])

    def closed(self, name: str, branch: Branch, way: list[str]) -> None:
        """Reports a cycle where it closes."""
        self.cyclic = True
        cycle = [*way[way.index(branch.target) :], branch.target]
        if len(cycle) > MAX_SPELLED:
            cycle[MAX_SPELLED // 2 : -MAX_SPELLED // 2] = ["…"]
        path: Path = (*self.nodes[name].path, *branch.path)
        self.report.error(path, f"nodes form a cycle: {' -> '.join(cycle)}")

    def reached(self) -> set[str]:
        """Nodes and models that a way from the root leads to."""
        seen, left = {ROOT}, [ROOT]
        while left:
            for branch in self.branches.get(left.pop(), ()):
                if branch.target not in seen:
                    seen.add(branch.target)
                    left.append(branch.target)
        return seen


def _unused(spec: Spec, report: Report, ways: _Ways) -> None:
    if not _complete(report, ways):
        return
    reached = ways.reached()
    targets = {branch.target for branches in ways.branches.values() for branch in branches}
    for name in spec.nodes:
        if name not in reached:
            path: Path = ("spec", "nodes", name)
            report.warn(path, f"no way leads from {ROOT} to the node {quote(name)}", report.key(path))
    for name in spec.models:
        if name not in targets:
            path = ("spec", "models", name)
            report.warn(path, f"the model {quote(name)} is not used", report.key(path))


def _complete(report: Report, ways: _Ways) -> bool:
    """Whether every way is known: a broken ``to`` could have led anywhere."""
    if ROOT not in ways.nodes or not report.sound(("spec", "nodes")):
        return False
    return all(branch.target for branches in ways.branches.values() for branch in branches)
