"""Every ``to`` leads to a model or a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.problems import did_you_mean, quote
from extproc.graph.walk import children, places

if TYPE_CHECKING:
    from extproc.graph.document import Spec
    from extproc.graph.report import Report

ROOT = "root"
NODES = ("spec", "nodes")
MODELS = ("spec", "models")


def check(spec: Spec, report: Report) -> None:
    """The entry node and all references."""
    if ROOT not in spec.nodes and (spec.nodes or report.sound(NODES)):
        guess = did_you_mean(ROOT, spec.nodes)
        report.error(NODES, f'there is no node "{ROOT}", where requests enter{guess}')
    if all(known or report.sound(path) for known, path in ((spec.nodes, NODES), (spec.models, MODELS))):
        _references(spec, report)


def _references(spec: Spec, report: Report) -> None:
    known = dict.fromkeys([*spec.models, *spec.nodes])
    for place in places(spec):
        for branch in children(place.name, place.node):
            path = (*place.path, *branch.path)
            if branch.inline is None and branch.target not in known and report.sound(path):
                guess = did_you_mean(branch.target, known)
                report.error(path, f"no model or node named {quote(branch.target)}{guess}")
