"""What is to be drawn, whatever it is drawn with: boxes and arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

import msgspec

from extproc.graph.document import (
    Cascade,
    Chain,
    Challenge,
    Ensemble,
    Fallback,
    Kind,
    Match,
    Model,
    Node,
    Respond,
    Split,
    Switch,
)
from extproc.graph.walk import Branch, children, flatten, kind_of

if TYPE_CHECKING:
    from extproc.graph.graph import Graph

Look: TypeAlias = Literal[
    "entry", "split", "switch", "chain", "ensemble", "fallback", "cascade", "challenge", "respond", "model"
]

ENTRY = ""
"""No node or model has the empty name."""


class Box(msgspec.Struct, frozen=True):
    """A node, a model, or the entry; ``detail`` is the smaller line under its title."""

    name: str
    look: Look
    title: str
    detail: str = ""


class Arrow(msgspec.Struct, frozen=True):
    """A way from one box to another; ``aside`` when it is not the usual one: an error's, a challenger's."""

    source: str
    target: str
    label: str = ""
    aside: bool = False


class Picture(msgspec.Struct, frozen=True):
    """Boxes by name, in document order, and the arrows between them."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def picture(graph: Graph) -> Picture:
    """The picture of a graph: what the root leads to, models as one box each."""
    spec = graph.document.spec
    nodes = flatten(spec)
    boxes = {ENTRY: Box(ENTRY, "entry", graph.name, _entry(spec.match))}
    arrows = [Arrow(ENTRY, "root")]
    left = ["root"]
    while left:
        name = left.pop(0)
        if name in boxes:
            continue
        if name not in nodes:
            boxes[name] = Box(name, "model", name, _address(spec.models[name]))
            continue
        boxes[name] = _box(name, nodes[name])
        branches = children(name, nodes[name])
        arrows += [Arrow(name, branch.target, _label(branch, branches), _aside(branch)) for branch in branches]
        left += [branch.target for branch in branches]
    return Picture(graph.id, tuple(boxes.values()), tuple(arrows))


def _entry(matches: tuple[Match, ...]) -> str:
    first = matches[0]
    text = (first.host or "") + (first.path or (first.prefix or "").rstrip("/") + "/*")
    return text if len(matches) == 1 else f"{text} and {len(matches) - 1} more"


def _address(model: Model) -> str:
    if model.cluster:
        return f"cluster {model.cluster}"
    urls = (model.url,) if model.url else model.urls
    first = urls[0].partition("://")[2]
    return first if len(urls) == 1 else f"{first} and {len(urls) - 1} more"


def _box(name: str, node: Node) -> Box:
    kind = kind_of(node)
    if kind is None:
        raise ValueError("a node without a kind: the loader refuses it")
    return Box(name, kind[0], name, _detail(*kind))  # type: ignore[arg-type]


def _detail(key: str, body: Kind) -> str:
    match body:
        case Split():
            return f"split by {_line(body.by)}" if body.by else "split at random"
        case Ensemble():
            how = "output" if body.output is not msgspec.UNSET else body.combine or "collect"
            return f"ensemble · {how}, {body.require or 'all'} of {len(body.members)}"
        case Fallback():
            return f"fallback on {', '.join(body.on)}"
        case Challenge():
            return f"challenge · confidence {_percent(body.confidence)}"
        case Respond():
            return f"respond {body.status}"
        case Chain():
            return "chain" if body.output is msgspec.UNSET else "chain · own output"
        case Switch() | Cascade():
            return key
        case _:
            assert_never(body)


def _label(branch: Branch, all_of: tuple[Branch, ...]) -> str:
    item = branch.item
    match branch.role:
        case "route":
            return _route(branch, all_of)
        case "case":
            return f"{branch.index + 1} · {_line(item.when)}"
        case "step":
            return f"{branch.index + 1} · {branch.name}" + (f" when {_line(item.when)}" if item.when else "")
        case "onError":
            return f"{branch.index + 1} · on error"
        case "member":
            return branch.name if item.weight == 1 else f"{branch.name}, weight {item.weight:g}"
        case "challenger":
            return f"{branch.name} {_percent(item.sample)}"
        case "champion" | "default":
            return branch.name
        case _:
            assert_never(branch.role)


def _route(branch: Branch, all_of: tuple[Branch, ...]) -> str:
    weight = getattr(branch.item, "weight", None)
    if weight is not None:
        share = _percent(weight / sum(one.item.weight for one in all_of))
        return f"{branch.name} {share}" if branch.item.name else share
    accept = getattr(branch.item, "accept", None)
    return f"{branch.index + 1}" + (f" · until {_line(accept)}" if accept else "")


def _aside(branch: Branch) -> bool:
    return branch.role in {"onError", "challenger"}


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _line(text: str) -> str:
    return " ".join(text.split())
