"""Both legs' latency: the share of requests that were answered within a time, over the time's logarithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.challenge.page.markup import Markup, joined, tag
from extproc.challenge.page.plot import BOTTOM, LEFT, RIGHT, TOP, Described, axes, clipped, line, picture
from extproc.challenge.page.scale import Linear, Logarithmic, decade_ticks
from extproc.challenge.wording import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.document import Latency, Point
    from extproc.challenge.page.plot import Place, Tick
    from extproc.challenge.page.scale import Scale

SHARES: Final = ((0.0, "0%"), (0.25, "25%"), (0.5, "50%"), (0.75, "75%"), (0.95, "95%"))
MARKED: Final = 0.95  # the quantile that a guardrail can be set on
LEAST: Final = 0.001  # milliseconds: what is faster is drawn there
SPAN: Final = 1.2  # the least factor between both ends of the axis


def curves(id_: str, latency: Latency) -> Markup | None:
    """Return the chart, None where no leg has a curve."""
    both = {"champion": latency.curves.champion, "challenger": latency.curves.challenger}
    times = [max(time, LEAST) for points in both.values() for time, _ in points]
    if not times:
        return None
    x = Logarithmic(min(times), max(*times, min(times) * SPAN), LEFT, RIGHT)
    y = Linear(0, 1.02, BOTTOM, TOP)
    marks = {"champion": latency.champion.p95, "challenger": latency.challenger.p95}
    return picture(
        _described(id_, marks),
        axes(x, y, _times(x), SHARES),
        clipped(*(line(_places(points, x, y), f"curve {leg}") for leg, points in both.items() if points)),
        joined(*(_mark(leg, time, x, y) for leg, time in marks.items() if time is not None)),
    )


def _places(points: Sequence[Point], x: Scale, y: Scale) -> list[Place]:
    """Return a curve's places, from the floor and to the picture's end."""
    ordered = sorted(points)
    inner = [(x(time), y(share)) for time, share in ordered]
    return [(inner[0][0], BOTTOM), *inner, (RIGHT, inner[-1][1])]


def _mark(leg: str, time: float, x: Scale, y: Scale) -> Markup:
    title = tag("title", f"p95 of the {leg}: {milliseconds(time)}")
    return tag("circle", title, class_=f"mark {leg}", cx=min(x(time), RIGHT), cy=y(MARKED), r=4.5)


def _times(x: Logarithmic) -> list[Tick]:
    return [(time, f"{time:,g}") for time in decade_ticks(x.low, x.high)]


def _described(id_: str, marks: dict[str, float | None]) -> Described:
    said = " ".join(f"95% of the {leg}'s answers took at most {milliseconds(time)}." for leg, time in marks.items())
    return Described(id_, "Latency of both legs", f"The share of requests answered within a time. {said}")
