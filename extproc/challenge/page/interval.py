"""A figure and its confidence sequence as a small bar, to stand in a table's cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.challenge.page.markup import Markup, tag
from extproc.challenge.page.scale import Linear

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.challenge.document import Estimate

WIDTH: Final = 140.0
HEIGHT: Final = 16.0
MIDDLE: Final = HEIGHT / 2
INSET: Final = 5.0  # half a dot


def domain(estimates: Iterable[Estimate | None]) -> tuple[float, float]:
    """Return from where to 1 shares are drawn, so that several can be compared."""
    lows = [one.low for one in estimates if one is not None and one.low is not None]
    least = min(lows, default=0.0)
    return max(0.0, least - 0.1 * (1 - least) - 0.001), 1.0


def interval(one: Estimate, low: float, high: float) -> Markup:
    """Return the bar; the numbers stand beside it, so that it says nothing to those who cannot see it."""
    if one.value is None or one.low is None or one.high is None:
        return Markup()
    x = Linear(low, high, INSET, WIDTH - INSET)
    return tag(
        "svg",
        tag("line", class_="track", x1=INSET, x2=WIDTH - INSET, y1=MIDDLE, y2=MIDDLE),
        tag("line", class_="range", x1=x(one.low), x2=max(x(one.high), x(one.low) + 1), y1=MIDDLE, y2=MIDDLE),
        tag("circle", class_="dot", cx=x(one.value), cy=MIDDLE, r=4.5),
        class_="interval",
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        aria_hidden="true",
    )
