"""One way to walk a graph: its nodes by name, inline ones too, and the branches of each.

A branch's name is its ``name``, else the name in ``to``, else ``routes[i]``, ``cases[i]``... A switch's default is
called ``default``, a challenge's champion ``champion``, what a failed step goes to ``STEP.onError``. An inline node is
named by its path: the node it stands in, a dot, its branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, assert_never

import msgspec

from extproc.graph.document import (
    KIND_NAMES,
    Cascade,
    Chain,
    Challenge,
    Ensemble,
    Fallback,
    Kind,
    Node,
    OnErrorTo,
    Respond,
    Spec,
    Split,
    Switch,
    Target,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extproc.graph.problems import Path

Role: TypeAlias = Literal["route", "case", "default", "step", "onError", "member", "champion", "challenger"]

DEFAULT = "default"
CHAMPION = "champion"


class Branch(msgspec.Struct, frozen=True):
    """A way out of a node.

    ``target`` is the name of a model or node (an inline node's own name), ``inline`` that node when it stands here,
    ``item`` the object of the document that holds ``to`` (None for a default and a champion), ``path`` where the target
    stands, from the node on.
    """

    name: str
    role: Role
    index: int
    target: str
    path: tuple[str | int, ...]
    item: Any = None
    inline: Node | None = None


class Place(msgspec.Struct, frozen=True):
    """A node, its name, and its path in the document."""

    name: str
    node: Node
    path: tuple[str | int, ...]


def kind_of(node: Node) -> tuple[str, Kind] | None:
    """The key and body of a node's kind; None in a document that the loader refused."""
    return next(((key, body) for key in KIND_NAMES if (body := getattr(node, key)) is not None), None)


def branch_name(name: str | None, to: Target, where: str, index: int) -> str:
    """What a branch is called; ``where`` is the list it stands in, like ``routes``."""
    return name or (to if isinstance(to, str) and to else f"{where}[{index}]")


def children(node_name: str, node: Node) -> tuple[Branch, ...]:
    """The branches of a node, in document order."""
    kind = kind_of(node)
    return tuple(_branches(node_name, *kind)) if kind else ()


def _branches(node: str, key: str, body: Kind) -> Iterator[Branch]:
    match body:
        case Split() | Fallback() | Cascade():
            yield from _listed(node, key, "routes", "route", body.routes)
        case Switch():
            yield from _listed(node, key, "cases", "case", body.cases)
            if body.default is not None:
                yield _branch(node, DEFAULT, "default", len(body.cases), body.default, (key, "default"))
        case Chain():
            yield from _steps(node, body)
        case Ensemble():
            yield from _listed(node, key, "members", "member", body.members)
        case Challenge():
            yield _branch(node, CHAMPION, "champion", 0, body.champion, (key, "champion"))
            yield from _listed(node, key, "challengers", "challenger", body.challengers)
        case Respond():
            return
        case _:
            assert_never(body)


def _listed(node: str, key: str, where: str, role: Role, items: Iterable[Any]) -> Iterator[Branch]:
    for index, item in enumerate(items):
        name = branch_name(getattr(item, "name", None), item.to, where, index)
        yield _branch(node, name, role, index, item.to, (key, where, index, "to"), item)


def _steps(node: str, chain: Chain) -> Iterator[Branch]:
    for branch in _listed(node, "chain", "steps", "step", chain.steps):
        yield branch
        step = chain.steps[branch.index]
        if isinstance(step.on_error, OnErrorTo):
            path = ("chain", "steps", branch.index, "onError", "to")
            yield _branch(node, f"{branch.name}.onError", "onError", branch.index, step.on_error.to, path, step)


def _branch(node: str, name: str, role: Role, index: int, to: Target, path: Path, item: Any = None) -> Branch:  # noqa: PLR0913, PLR0917 - one for each field
    if isinstance(to, str):
        return Branch(name, role, index, to, path, item)
    return Branch(name, role, index, f"{node}.{name}", path, item, to)


def places(spec: Spec) -> Iterator[Place]:
    """All nodes, each declared one followed by the inline ones in it; names may repeat in a broken document."""
    for name, node in spec.nodes.items():
        yield from _within(Place(name, node, ("spec", "nodes", name)))


def _within(place: Place) -> Iterator[Place]:
    yield place
    for branch in children(place.name, place.node):
        if branch.inline is not None:
            yield from _within(Place(branch.target, branch.inline, (*place.path, *branch.path)))


def flatten(spec: Spec) -> dict[str, Node]:
    """All nodes by name, inline ones included, in document order."""
    return {place.name: place.node for place in places(spec)}
