"""Boxes in layers: each right of all that lead to it, ordered so that few arrows cross.

Sugiyama, Tagawa, Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981): longest-path
layers, stops in between for arrows that pass a layer, and sweeps that order each layer by its neighbours' means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from extproc.graph.drawing.picture import Arrow, Picture

SWEEPS = 8
"""Orders settle within four or five in graphs of a few dozen boxes."""

Slot: TypeAlias = tuple[str, int]
"""A box (its name, -1) or a stop of an arrow in a layer that it passes (the arrow's number as text, the layer)."""


@dataclass
class Layers:
    """Slots in each layer from left to right, and each arrow's way through them."""

    rows: list[list[Slot]] = field(default_factory=list)
    ways: list[list[Slot]] = field(default_factory=list)


def layers(picture: Picture) -> Layers:
    """The boxes and stops of a picture in layers, in order."""
    depth = _depths(picture)
    made = Layers([[] for _ in range(max(depth.values()) + 1)])
    for box in picture.boxes:
        made.rows[depth[box.name]].append((box.name, -1))
    for number, arrow in enumerate(picture.arrows):
        stops = [(str(number), layer) for layer in range(depth[arrow.source] + 1, depth[arrow.target])]
        for stop in stops:
            made.rows[stop[1]].append(stop)
        made.ways.append([(arrow.source, -1), *stops, (arrow.target, -1)])
    _order(made)
    return made


def _depths(picture: Picture) -> dict[str, int]:
    """The length of the longest way to each box; a picture has no cycles."""
    out: dict[str, list[Arrow]] = {box.name: [] for box in picture.boxes}
    waiting = dict.fromkeys(out, 0)
    for arrow in picture.arrows:
        out[arrow.source].append(arrow)
        waiting[arrow.target] += 1
    depth = dict.fromkeys(out, 0)
    ready = [name for name, count in waiting.items() if not count]
    for name in ready:
        for arrow in out[name]:
            depth[arrow.target] = max(depth[arrow.target], depth[name] + 1)
            waiting[arrow.target] -= 1
            if not waiting[arrow.target]:
                ready.append(arrow.target)
    return depth


def _order(made: Layers) -> None:
    before: dict[Slot, list[Slot]] = {}
    after: dict[Slot, list[Slot]] = {}
    for way in made.ways:
        for left, right in pairwise(way):
            after.setdefault(left, []).append(right)
            before.setdefault(right, []).append(left)
    best, least = [list(row) for row in made.rows], crossings(made)
    for sweep in range(SWEEPS):
        neighbours = before if sweep % 2 == 0 else after
        for row in made.rows if sweep % 2 == 0 else reversed(made.rows):
            _sort(row, neighbours, _positions(made))
        if (now := crossings(made)) < least:
            best, least = [list(row) for row in made.rows], now
    made.rows = best


def _sort(row: list[Slot], neighbours: dict[Slot, list[Slot]], position: dict[Slot, float]) -> None:
    def mean(slot: Slot) -> float:
        near = neighbours.get(slot)
        return sum(position[one] for one in near) / len(near) if near else position[slot]

    row.sort(key=mean)


def _positions(made: Layers) -> dict[Slot, float]:
    """Places from 0 to 1 in each layer."""
    return {slot: (index + 0.5) / len(row) for row in made.rows for index, slot in enumerate(row)}


def crossings(made: Layers) -> int:
    """How many pairs of arrows cross between neighbouring layers."""
    place = {slot: index for row in made.rows for index, slot in enumerate(row)}
    layer = {slot: index for index, row in enumerate(made.rows) for slot in row}
    parts: dict[int, list[tuple[int, int]]] = {}
    for way in made.ways:
        for left, right in pairwise(way):
            parts.setdefault(layer[left], []).append((place[left], place[right]))
    return sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for gap in parts.values() for n, a in enumerate(gap) for b in gap[:n])
