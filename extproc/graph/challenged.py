"""A graph's challenge: where it stands, what it is known by, and the graph with champion and challenger exchanged."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.errors import GraphError
from extproc.graph.graph import Graph, written
from extproc.graph.walk import CHAMPION, children, flatten, places

if TYPE_CHECKING:
    from extproc.graph.document import Challenge, Spec, Target
    from extproc.graph.problems import Path

DIGITS = 16
"""Hex digits of a challenge's hash: 64 bits, told apart among all challenges that one store ever sees."""
LONGEST = 63  # characters of a name: see ``document.NAME_PATTERN``


class Challenged(msgspec.Struct, frozen=True):
    """A challenge with the name of its node, and where it stands in the document."""

    node: str
    challenge: Challenge
    path: Path


def challenged(spec: Spec) -> Challenged | None:
    """Return the challenge of a graph; it has at most one."""
    for place in places(spec):
        if place.node.challenge is not None:
            return Challenged(place.name, place.node.challenge, (*place.path, "challenge"))
    return None


def challenge_key(graph: Graph) -> str:
    """Return what evidence belongs to: a hash of the graph's name, its challenge, and the nodes and models it leads to.

    Whatever else is edited keeps the evidence. Raises GraphError for a graph without a challenge.
    """
    found = _of(graph)
    spec = graph.document.spec
    nodes = flatten(spec)
    reached: set[str] = set()
    waiting = [found.node]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in nodes:
            waiting += [branch.target for branch in children(name, nodes[name])]
    parts = {
        "graph": graph.name,
        "node": found.node,
        "nodes": {name: written(nodes[name]) for name in sorted(reached & nodes.keys())},
        "models": {name: written(spec.models[name]) for name in sorted(reached & spec.models.keys())},
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:DIGITS]


def exchanged(graph: Graph, challenger: str) -> Graph:
    """Return the graph with a challenger as its champion, and the champion in its place.

    Who was champion is called by its own name from then on (``champion-was`` where it is an inline node, or the name is
    taken). Raises GraphError where there is no such challenger.
    """
    found = _of(graph)
    raw = copy.deepcopy(graph.raw)
    node: Any = raw
    for key in found.path:
        node = node[key]
    index = next((at for at, one in enumerate(node["challengers"]) if one["name"] == challenger), None)
    if index is None:
        names = ", ".join(one["name"] for one in node["challengers"])
        raise GraphError(f"{graph.name} has no challenger {challenger}; it has {names}")
    winner = node["challengers"][index]
    taken = {one["name"] for one in node["challengers"]} | {CHAMPION}
    within = f"{found.node}."  # where it is inline, its name there must be no other node's
    taken |= {name.removeprefix(within) for name in flatten(graph.document.spec) if name.startswith(within)}
    winner["name"] = _called(found.challenge.champion, taken - {winner["name"]})
    node["champion"], winner["to"] = winner["to"], node["champion"]
    return Graph.from_raw(raw, graph.source)


def _called(was: Target, taken: set[str]) -> str:
    wanted = was if isinstance(was, str) else "champion-was"
    name, number = wanted, 2
    while name in taken:
        suffix = f"-{number}"
        name, number = wanted[: LONGEST - len(suffix)] + suffix, number + 1
    return name


def target_name(node: str, branch: str, to: Target) -> str:
    """Return what a champion or challenger leads to, as people name it: a model, a node, or an inline node's path."""
    return to if isinstance(to, str) else f"{node}.{branch}"


def _of(graph: Graph) -> Challenged:
    found = challenged(graph.document.spec)
    if found is None:
        raise GraphError(f"{graph.name} holds no challenge")
    return found
