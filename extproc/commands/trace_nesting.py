"""Spans as a tree: who is below whom, in order of time, and whose parents are missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from extproc.telemetry.span import Span

MAX_DEPTH = 64  # levels; deeper spans stand beside each other. A chain in an ensemble in a challenge has some twelve


@dataclass(slots=True)
class Node:
    """A span and those below it."""

    span: Span
    depth: int = 0
    below: list[Node] = field(default_factory=list)

    def all(self) -> Iterator[Node]:
        """Yield this and all below it, each before those below it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.below)

    def data(self, start: int) -> dict[str, Any]:
        """Return it as JSON has it, times in milliseconds since ``start``."""
        span = self.span
        return {
            "spanId": span.span_id,
            "name": span.name,
            "service": span.service,
            "startMs": (span.start - start) / 1e6,
            "durationMs": span.duration / 1e6,
            "error": span.failed,
            "below": [node.data(start) for node in self.below],
        }


@dataclass(frozen=True, slots=True)
class Nesting:
    """A trace's outermost spans, and the spans whose parents are missing, each with those below it."""

    roots: Sequence[Node]
    orphans: Sequence[Node]
    start: int
    end: int

    def all(self) -> Iterator[Node]:
        """Yield every node."""
        for top in (*self.roots, *self.orphans):
            yield from top.all()

    def data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "roots": [node.data(self.start) for node in self.roots],
            "orphans": [node.data(self.start) for node in self.orphans],
        }


def nested(spans: Iterable[Span], client: str | None = None) -> Nesting:
    """Return the tree. ``client`` is the span of the request's sender, which is not among them.

    Where nobody knows it and no span is without a parent, it is the parent of the earliest span if that is a server's.
    """
    ordered = sorted(spans, key=lambda span: (span.start, span.end, span.span_id))
    below: dict[str, list[Span]] = {}
    for span in ordered:
        below.setdefault(span.parent_id, []).append(span)
    there = {span.span_id: span for span in ordered}
    tops = [span for span in ordered if span.parent_id not in there]
    outside = {"", client or _sender(tops)}
    placed: set[str] = set()
    roots = [_grown(span, below, placed) for span in tops if span.parent_id in outside]
    orphans = [_grown(span, below, placed) for span in tops if span.parent_id not in outside]
    # What is in no tree yet is in a circle, or below one; only a broken sender makes them.
    orphans += [_grown(_circled(span, there), below, placed) for span in ordered if span.span_id not in placed]
    start = min((span.start for span in ordered), default=0)
    return Nesting(roots, orphans, start, max((span.end for span in ordered), default=0))


def _sender(tops: Sequence[Span]) -> str:
    rootless = not tops or any(not span.parent_id for span in tops) or tops[0].kind != "server"
    return "" if rootless else tops[0].parent_id


def _circled(span: Span, there: Mapping[str, Span]) -> Span:
    """Return the first span above one that is above itself."""
    passed: set[str] = set()
    while span.span_id not in passed:
        passed.add(span.span_id)
        span = there[span.parent_id]
    return span


def _grown(top: Span, below: dict[str, list[Span]], placed: set[str]) -> Node:
    """Return a span with all below it; ``placed`` takes their ids, and what is in it already is left out."""
    placed.add(top.span_id)
    root = Node(top)
    growing = [(root, root)]  # each with the node that those below it are hung on
    while growing:
        node, holder = growing.pop()
        for span in below.get(node.span.span_id, ()):
            if span.span_id in placed:
                continue
            placed.add(span.span_id)
            child = Node(span, holder.depth + 1)
            holder.below.append(child)
            growing.append((child, holder if child.depth >= MAX_DEPTH else child))
    for node in root.all():
        node.below.sort(key=lambda one: (one.span.start, one.span.end, one.span.span_id))
    return root
