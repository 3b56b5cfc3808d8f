"""What every chart has: its size, a picture with a title for those who cannot see it, axes with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from extproc.challenge.page.markup import Markup, joined, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.page.markup import Content
    from extproc.challenge.page.scale import Scale

# In the picture's own units: a card on a desk is about as many pixels wide, one on a phone three quarters of it.
WIDTH: Final = 480.0
HEIGHT: Final = 210.0
LEFT: Final = 58.0  # room for a label like 97.25%
RIGHT: Final = WIDTH - 18
TOP: Final = 12.0
BOTTOM: Final = HEIGHT - 30

Tick: TypeAlias = tuple[float, str]
Place: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Described:
    """What a chart says in words, and a name that no other chart on the page has."""

    name: str
    title: str
    description: str


def picture(described: Described, *contents: Content, height: float = HEIGHT) -> Markup:
    """Return a picture as wide as there is room."""
    title, description = f"{described.name}-title", f"{described.name}-desc"
    return tag(
        "svg",
        tag("title", described.title, id=title),
        tag("desc", described.description, id=description),
        *contents,
        class_="chart",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{title} {description}",
    )


def axes(x: Scale, y: Scale, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick], bottom: float = BOTTOM) -> Markup:
    """Return lines across at the values of ``y_ticks``, marks below at those of ``x_ticks``, and their labels."""
    across = [
        joined(
            tag("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y(value), y2=y(value)),
            tag("text", label, class_="tick end", x=LEFT - 8, y=y(value) + 4),
        )
        for value, label in y_ticks
    ]
    below = [
        joined(
            tag("line", class_="axis", x1=x(value), x2=x(value), y1=bottom, y2=bottom + 5),
            tag("text", label, class_="tick middle", x=x(value), y=bottom + 20),
        )
        for value, label in x_ticks
    ]
    floor = tag("line", class_="axis", x1=LEFT, x2=RIGHT, y1=bottom, y2=bottom)
    return joined(*across, floor, *below)


def clipped(*contents: Content, bottom: float = BOTTOM) -> Markup:
    """Return contents of which only what lies between the axes is seen."""
    width, height = RIGHT - LEFT, bottom - TOP
    box = f"{LEFT:g} {TOP:g} {width:g} {height:g}"
    return tag("svg", *contents, x=LEFT, y=TOP, width=width, height=height, viewBox=box)


def line(places: Sequence[Place], class_: str) -> Markup:
    """Return a line through places."""
    return tag("path", class_=class_, d=_path(places))


def area(upper: Sequence[Place], lower: Sequence[Place], class_: str) -> Markup:
    """Return what lies between two lines."""
    return tag("path", class_=class_, d=f"{_path([*upper, *reversed(lower)])}Z")


def _path(places: Sequence[Place]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
