"""What is known of each leg by itself: how fast it is, and how often it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.page.curves import curves
from extproc.challenge.page.markup import Markup, joined, tag
from extproc.challenge.page.section import empty, figured, legs, section, table
from extproc.challenge.wording import UNKNOWN, between, count, milliseconds, share, times

if TYPE_CHECKING:
    from extproc.challenge.document import Challenger, Ratio, Speed
    from extproc.challenge.page.markup import Content


def latency(id_: str, challenger: Challenger, champion: str) -> Markup:
    """Return the section on latency."""
    one = challenger.latency
    if one is None:
        return section("Latency", empty("No answer of both legs has been timed yet."))
    return section(
        "Latency",
        legs(champion, challenger.to),
        curves(f"{id_}-latency", one),
        tag("p", "Share of answers within so many milliseconds, on a logarithmic axis; dots: p95.", class_="axis-note"),
        table(
            "Latency of both legs",
            ("", "p50", "p90", "p95", "p99"),
            [_speed("champion", one.champion), _speed("challenger", one.challenger)],
        ),
        tag("p", _ratio(one.ratio), class_="note"),
        note="From a leg's start to its answer's headers, measured the same way on both sides.",
    )


def _speed(leg: str, one: Speed) -> tuple[Content, ...]:
    name = joined(leg, tag("small", f"{count(one.samples)} answers"))
    return name, *(milliseconds(value) for value in (one.p50, one.p90, one.p95, one.p99))


def _ratio(one: Ratio) -> Markup:
    if one.value is None:
        return joined("The p95 of both cannot be compared yet.")
    sure = "" if one.low is None or one.high is None else f", between {times(one.low)} and {times(one.high)}"
    return joined("The challenger's p95 is ", tag("b", times(one.value)), f" the champion's{sure}.")


def errors(challenger: Challenger) -> Markup:
    """Return the section on failures."""
    champion, other = challenger.errors.champion, challenger.errors.challenger
    return section(
        "Errors",
        table(
            "Errors of both legs",
            ("", "failed", "timeout", "unparsable", "rate"),
            [
                (
                    "champion",
                    count(champion.failed),
                    UNKNOWN,
                    count(challenger.unparsable_by.champion),
                    share(champion.rate),
                ),
                (
                    "challenger",
                    *(count(times) for times in (other.failed, other.timeout, other.unparsable)),
                    figured(share(other.rate), between("errors", other.low, other.high)),
                ),
            ],
        ),
        note="Among sampled requests whose end is known. Nothing of the challenger's reaches the client.",
    )
