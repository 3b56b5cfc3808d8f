"""A guardrail's confidence sequence over time: the figure, the band around it, and what the guardrail asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Final

from extproc.challenge.page.markup import Markup, joined, tag
from extproc.challenge.page.plot import BOTTOM, LEFT, RIGHT, TOP, Described, area, axes, clipped, line, picture
from extproc.challenge.page.scale import Linear, clock_ticks, ticks, widened
from extproc.challenge.wording import bound, count, figure, limit, mark, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.document import Moment, Rail
    from extproc.challenge.page.plot import Place, Tick
    from extproc.challenge.page.scale import Scale

DRAWN: Final = 240  # moments: two pixels apart
SETTLED: Final = 0.2  # the share of moments at the start whose band may leave the picture: it begins as wide as can be
MINUTE, DAY = 60, 86_400


@dataclass(frozen=True, slots=True)
class Known:
    """A guardrail's figure at a time, of which everything is known."""

    at: float
    value: float
    low: float
    high: float
    samples: int


def known(name: str, history: Sequence[Moment]) -> list[Known]:
    """Return the moments at which a guardrail had a figure and a band, in the order of time."""
    found = []
    for one in sorted(history, key=lambda one: one.at):
        value, low, high = one.guardrails.get(name, (None, None, None))
        if value is not None and low is not None and high is not None:
            found.append(Known(one.at, value, low, high, one.samples))
    return found


def sequence(id_: str, name: str, rail: Rail, history: Sequence[Moment]) -> Markup:
    """Return the chart, or words where there is nothing yet to draw."""
    moments = known(name, history)
    if len(moments) < 2:  # noqa: PLR2004 - a line has two ends
        return tag("p", "Its course over time is drawn once it has been looked at twice.", class_="empty")
    moments = thinned(moments)
    x = Linear(moments[0].at, max(moments[-1].at, moments[0].at + 1), LEFT, RIGHT)
    y = Linear(*_domain(moments, limit(rail.bound)), BOTTOM, TOP)
    metric = rail.bound.metric
    return picture(
        _described(id_, name, rail, moments),
        _forbidden(rail, y),
        axes(x, y, _times(x), [(value, mark(name, value, metric)) for value in ticks(y.low, y.high)]),
        clipped(*_band(moments, x, y)),
        _limit(name, rail, y),
        tag("circle", class_="now", cx=x(moments[-1].at), cy=y(moments[-1].value), r=4),
    )


def thinned(moments: Sequence[Known]) -> list[Known]:
    """Return so many moments as can be told apart, the first and the last among them."""
    step = max(ceil((len(moments) - 1) / DRAWN), 1)
    kept = list(moments[::-1][::step][::-1])
    return kept if kept[0] is moments[0] else [moments[0], *kept]


def _domain(moments: Sequence[Known], asked: float | None) -> tuple[float, float]:
    later = moments[int(len(moments) * SETTLED) :]
    values = [one for moment_ in later for one in (moment_.low, moment_.value, moment_.high)]
    return widened([*values, *(() if asked is None else (asked,))])


def _band(moments: Sequence[Known], x: Scale, y: Scale) -> list[Markup]:
    upper: list[Place] = [(x(one.at), y(one.high)) for one in moments]
    lower: list[Place] = [(x(one.at), y(one.low)) for one in moments]
    middle: list[Place] = [(x(one.at), y(one.value)) for one in moments]
    return [
        area(upper, lower, "band"),
        line(upper, "band-edge"),
        line(lower, "band-edge"),
        line(middle, "figure-line"),
    ]


def _limit(name: str, rail: Rail, y: Scale) -> Markup:
    asked = limit(rail.bound)
    if asked is None:
        return Markup()
    height = y(asked)
    above = height - 6 if height > TOP + 20 else height + 16
    return joined(
        tag("line", class_="limit", x1=LEFT, x2=RIGHT, y1=height, y2=height),
        tag("text", bound(name, rail.bound), class_="limit-label end", x=RIGHT - 4, y=above),
    )


def _forbidden(rail: Rail, y: Scale) -> Markup:
    """Return a shade over the figures that would break the guardrail."""
    asked = limit(rail.bound)
    if asked is None:
        return Markup()
    at_least = rail.bound.min is not None or rail.bound.min_gain is not None
    start, end = (y(asked), BOTTOM) if at_least else (TOP, y(asked))
    return tag("rect", class_="forbidden", x=LEFT, y=start, width=RIGHT - LEFT, height=max(end - start, 0))


def _times(x: Linear) -> list[Tick]:
    times = clock_ticks(x.low, x.high)
    step = times[1] - times[0] if len(times) > 1 else MINUTE
    return [(at, _clock(at, step)) for at in times]


def _clock(at: float, step: float) -> str:
    when = datetime.fromtimestamp(at, UTC)
    if step >= DAY or (at % DAY == 0 and step >= MINUTE):
        return f"{when:%b} {when.day}"
    return f"{when:%H:%M:%S}" if step < MINUTE else f"{when:%H:%M}"


def _described(id_: str, name: str, rail: Rail, moments: Sequence[Known]) -> Described:
    first, last = moments[0], moments[-1]
    metric = rail.bound.metric
    low, value, high = (figure(name, one, metric) for one in (last.low, last.value, last.high))
    return Described(
        id_,
        f"{name.capitalize()} over time",
        f"From {moment(first.at)} to {moment(last.at)}. At the end, with {count(last.samples)} pairs, it is {value}, "
        f"between {low} and {high}. Asked: {bound(name, rail.bound)}.",
    )
