"""A histogram as bars: of differences, around zero, and of similarities."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from extproc.challenge.page.markup import Markup, tag
from extproc.challenge.page.plot import BOTTOM, LEFT, RIGHT, TOP, Described, axes, picture
from extproc.challenge.page.scale import Linear, ticks
from extproc.challenge.wording import count, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.document import Bar
    from extproc.challenge.page.plot import Tick
    from extproc.challenge.page.scale import Scale

WIDE: Final = 1.5  # times the usual width: a bar that holds all that is beyond is drawn as wide as the others


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar, and from where to where it is drawn."""

    bar: Bar
    low: float
    high: float

    @property
    def beyond(self) -> bool:
        """Whether it stands for more than its width."""
        return (self.low, self.high) != self.bar[:2]


def drawn(bars: Sequence[Bar]) -> list[Drawn]:
    """Return bars as they are drawn: the first and the last no wider than the others are."""
    usual = median(high - low for low, high, _ in bars)
    found = []
    for index, (low, high, times) in enumerate(bars):
        too_wide = high - low > WIDE * usual
        left = high - usual if too_wide and index == 0 else low
        right = low + usual if too_wide and index == len(bars) - 1 and index > 0 else high
        found.append(Drawn((low, high, times), left, right))
    return found


def histogram(described: Described, bars: Sequence[Bar], within: float | None = None) -> Markup:
    """Return the chart of bars, of which there is at least one.

    Of differences, ``within`` is how large they may be for values that agree: from there to zero is shaded.
    """
    shown = drawn(bars)
    x = Linear(shown[0].low, shown[-1].high, LEFT, RIGHT)
    tallest = max(1, *(times for _, _, times in bars))
    y = Linear(0, tallest * 1.06, BOTTOM, TOP)
    return picture(
        described,
        axes(x, y, _labels(x), [(value, _short(value)) for value in ticks(0, tallest, 4) if value == int(value)]),
        None if within is None else _allowed(within, x),
        *(_bar(one, x, y) for one in shown),
        None if within is None or not x.low < 0 < x.high else _zero(x),
    )


def _allowed(within: float, x: Linear) -> Markup:
    left, right = max(x(max(-within, x.low)), LEFT), min(x(min(within, x.high)), RIGHT)
    return tag("rect", class_="allowed", x=left, y=TOP, width=max(right - left, 0), height=BOTTOM - TOP)


def _zero(x: Scale) -> Markup:
    return tag("line", class_="zero", x1=x(0), x2=x(0), y1=TOP, y2=BOTTOM)


def _bar(one: Drawn, x: Scale, y: Scale) -> Markup:
    low, high, times = one.bar
    if not times:
        return Markup()
    left, top = x(one.low), min(y(times), BOTTOM - 1)  # one that is there at all is seen
    return tag(
        "rect",
        tag("title", f"{number(low)} to {number(high)}: {count(times)}"),
        class_="bar beyond" if one.beyond else "bar",
        x=left + 0.5,
        y=top,
        width=max(x(one.high) - left - 1, 1),
        height=BOTTOM - top,
    )


def _labels(x: Linear) -> list[Tick]:
    return [(value, number(value)) for value in ticks(x.low, x.high, 6)]


def _short(value: float) -> str:
    """Return a count as short as there is room for."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.0f}"
