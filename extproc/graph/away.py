"""Where requests go when the processor is away: a model that can take everything, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.document import Challenge, Fallback, Kind, Respond, Split, Switch
from extproc.graph.walk import children, flatten, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.graph.document import Node, Spec

ROOT = "root"


def away_model(spec: Spec) -> str | None:
    """Return the model that takes every request while no processor answers, None where the graph closes.

    ``whenAway`` has the last word; without it a graph that holds a ``respond`` closes, since that may be what denies.
    """
    if spec.when_away == "closed":
        return None
    nodes = flatten(spec)
    if spec.when_away is None and _responds(nodes):
        return None
    return led_to(spec, nodes)


def led_to(spec: Spec, nodes: Mapping[str, Node]) -> str | None:
    """Follow from the root what needs no decision; return the model at the end, None where there is no such way."""
    name = ROOT
    seen: set[str] = set()
    while name in nodes and name not in seen:
        seen.add(name)
        kind = kind_of(nodes[name])
        name = _next(name, nodes[name], kind[1]) if kind else ""
    return name if name in spec.models else None


def _next(name: str, node: Node, kind: Kind) -> str:
    """Return the name of what a node leads to without a decision; nothing where there is no such way."""
    branches = children(name, node)
    match kind:
        case Split():
            heaviest = max(range(len(kind.routes)), key=lambda index: kind.routes[index].weight, default=None)
            return "" if heaviest is None else branches[heaviest].target
        case Switch():
            return next((branch.target for branch in branches if branch.role == "default"), "")
        case Challenge() | Fallback():
            return branches[0].target if branches else ""
        case _:
            return ""


def _responds(nodes: Mapping[str, Node]) -> bool:
    """Tell whether a respond can be reached from the root."""
    waiting, seen = [ROOT], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        kind = kind_of(nodes[name])
        if kind is not None and isinstance(kind[1], Respond):
            return True
        waiting += [branch.target for branch in children(name, nodes[name])]
    return False
