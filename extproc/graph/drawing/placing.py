"""Coordinates for layers: columns wide enough for their boxes and labels, boxes level with what they are joined to."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from extproc.graph.drawing.layers import Layers, Slot, layers

if TYPE_CHECKING:
    from extproc.graph.drawing.picture import Arrow, Box, Picture

MARGIN = 24.0
BOX_HEIGHT = 52.0
PORT = 26.0
"""Between two arrows at one box: a line of text and some air."""

GAP = 22.0
"""Between two boxes in a column."""

BEND = 56.0
"""Right of the labels, where arrows find their height."""

STUB = 10.0
BOX_WIDTH = (132.0, 290.0)
MAX_LABEL = 34
TITLE, SMALL = 7.7, 6.3
"""Pixels of an average character of the fonts in svg.py, measured generously."""

ROUNDS = 12


@dataclass
class Placed:
    """A box with its corner and size."""

    box: Box
    x: float
    y: float
    width: float
    height: float


@dataclass
class Line:
    """An arrow: it starts level until ``knee`` in each gap; ``points`` are (x of its start, knee, end, y, next y)."""

    arrow: Arrow
    points: list[tuple[float, float, float, float, float]]


@dataclass
class Placing:
    """Everything with its coordinates."""

    width: float
    height: float
    boxes: list[Placed]
    lines: list[Line]


def text_width(text: str, average: float) -> float:
    """Pixels that a text takes; East Asian characters are twice as wide."""
    return sum(average * (2 if unicodedata.east_asian_width(char) in "WF" else 1) for char in text)


def shortened(text: str, limit: int = MAX_LABEL) -> str:
    """A text of at most ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def place(picture: Picture) -> Placing:
    """Lays a picture out, from left to right."""
    return _Table(picture, layers(picture)).placing()


class _Table:
    def __init__(self, picture: Picture, made: Layers) -> None:
        self.picture = picture
        self.rows, self.ways = made.rows, made.ways
        self.boxes = {(box.name, -1): box for box in picture.boxes}
        self.rank = {slot: index for row in self.rows for index, slot in enumerate(row)}
        self.ports: dict[Slot, tuple[list[int], list[int]]] = {slot: ([], []) for row in self.rows for slot in row}
        for number, way in enumerate(self.ways):
            for left, right in pairwise(way):
                self.ports[left][1].append(number)
                self.ports[right][0].append(number)
        self.height = {slot: self._height(slot) for slot in self.ports}
        self.middle: dict[Slot, float] = {}

    def _height(self, slot: Slot) -> float:
        if slot not in self.boxes:
            return PORT / 2
        return max(BOX_HEIGHT, PORT * max(len(side) for side in self.ports[slot]) + 8)

    def placing(self) -> Placing:
        self._order_ports()
        self._settle()
        columns = self._columns()
        boxes = [self._placed(slot, columns) for row in self.rows for slot in row if slot in self.boxes]
        lines = [self._line(number, columns) for number in range(len(self.ways))]
        top = min(box.y for box in boxes) - MARGIN
        for box in boxes:
            box.y -= top
        for line in lines:
            line.points = [(x, knee, end, y - top, to - top) for x, knee, end, y, to in line.points]
        bottom = max([box.y + box.height for box in boxes] + [point[3] for line in lines for point in line.points])
        right = columns[-1][0] + columns[-1][1]
        return Placing(right + MARGIN, bottom + MARGIN, boxes, lines)

    def _order_ports(self) -> None:
        for slot, (ins, outs) in self.ports.items():
            ins.sort(key=lambda number, slot=slot: self.rank[self._beside(number, slot, -1)])  # type: ignore[misc]
            outs.sort(key=lambda number, slot=slot: self.rank[self._beside(number, slot, 1)])  # type: ignore[misc]

    def _beside(self, number: int, slot: Slot, step: int) -> Slot:
        way = self.ways[number]
        return way[way.index(slot) + step]

    def _offset(self, slot: Slot, number: int, side: int) -> float:
        """Of an arrow's end from the middle of its slot; ``side`` 0 is left, 1 right."""
        ports = self.ports[slot][side]
        return (ports.index(number) - (len(ports) - 1) / 2) * PORT

    def _settle(self) -> None:
        """Moves every slot towards where its arrows would be level, without touching its neighbours."""
        for row in self.rows:
            self._stack(row, [0.0] * len(row))
        for turn in range(ROUNDS):
            for row in self.rows if turn % 2 else reversed(self.rows):
                self._stack(row, [self._wanted(slot) for slot in row])

    def _wanted(self, slot: Slot) -> float:
        wishes = []
        for side, step in ((0, -1), (1, 1)):
            for number in self.ports[slot][side]:
                other = self._beside(number, slot, step)
                level = self.middle[other] + self._offset(other, number, 1 - side)
                wishes.append(level - self._offset(slot, number, side))
        return sum(wishes) / len(wishes) if wishes else self.middle[slot]

    def _stack(self, row: list[Slot], wanted: list[float]) -> None:
        """The nearest places to the wanted ones that keep order and distance: pool-adjacent-violators (Ayer, 1955)."""
        room = [0.0]
        for above, below in pairwise(row):
            room.append(room[-1] + (self.height[above] + self.height[below]) / 2 + GAP)
        pools: list[list[float]] = []
        for wish, least in zip(wanted, room, strict=True):
            pools.append([wish - least, 1])
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                mean, count = pools.pop()
                pools[-1][0] = (pools[-1][0] * pools[-1][1] + mean * count) / (pools[-1][1] + count)
                pools[-1][1] += count
        places = [mean for mean, count in pools for _ in range(int(count))]
        for slot, base, least in zip(row, places, room, strict=True):
            self.middle[slot] = base + least

    def _columns(self) -> list[tuple[float, float, float]]:
        """For each layer: x, width of its boxes, and x where its labels end."""
        columns, x = [], MARGIN
        for row in self.rows:
            width = max(_box_width(self.boxes[slot]) if slot in self.boxes else 0.0 for slot in row)
            labels = [self.picture.arrows[n].label for slot in row if slot in self.boxes for n in self.ports[slot][1]]
            label = max((text_width(shortened(text), SMALL) for text in labels), default=0.0)
            knee = x + width + STUB + label + STUB
            columns.append((x, width, knee))
            x = knee + BEND
        return columns

    def _placed(self, slot: Slot, columns: list[tuple[float, float, float]]) -> Placed:
        x, width, _ = columns[self._layer(slot)]
        return Placed(self.boxes[slot], x, self.middle[slot] - self.height[slot] / 2, width, self.height[slot])

    def _layer(self, slot: Slot) -> int:
        return next(index for index, row in enumerate(self.rows) if slot in row)

    def _line(self, number: int, columns: list[tuple[float, float, float]]) -> Line:
        points = []
        way = self.ways[number]
        for left, right in pairwise(way):
            x, width, knee = columns[self._layer(left)]
            end = columns[self._layer(right)][0]
            start = x + width if left in self.boxes else x
            level = self.middle[left] + self._offset(left, number, 1)
            points.append((start, knee, end, level, self.middle[right] + self._offset(right, number, 0)))
        return Line(self.picture.arrows[number], points)


def _box_width(box: Box) -> float:
    wide = max(text_width(box.title, TITLE), text_width(box.detail, SMALL)) + 30
    return min(max(wide, BOX_WIDTH[0]), BOX_WIDTH[1])
