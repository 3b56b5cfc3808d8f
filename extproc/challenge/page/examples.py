"""Pairs whose legs disagree, the worst of those that are kept."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from extproc.challenge.page.markup import Markup, joined, tag
from extproc.challenge.page.section import empty, section, time
from extproc.challenge.shown import differing, worst
from extproc.challenge.wording import UNKNOWN, count, milliseconds, share, value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.document import Example

SHOWN: Final = 12  # examples: the report as JSON holds all that are kept
PLACES: Final = 3  # of a batch, at which the legs differ
LONGEST: Final = 240  # characters of a value
LONGEST_ID: Final = 120


def examples(found: Sequence[Example]) -> Markup:
    """Return the section."""
    title = "Worst disagreements"
    if not found:
        return section(title, empty("No pair that disagrees is kept."))
    shown = worst(found, SHOWN)
    more = len(found) - len(shown)
    return section(
        title,
        tag("ol", *(_example(one) for one in shown), class_="examples"),
        tag("p", f"{count(more)} more are in the report as JSON.", class_="note") if more else None,
        note="Of the newest that are kept, those that agree least.",
    )


def _example(one: Example) -> Markup:
    places = differing(one)
    more = len(places) - PLACES
    return tag(
        "li",
        tag("p", tag("code", value(one.request_id, LONGEST_ID)), " ", tag("span", _about(one), class_="about")),
        *(_place(*place) for place in islice(places, PLACES)),
        tag("p", f"They differ at {count(more)} more places.", class_="note") if more > 0 else None,
        tag("details", tag("summary", "Request body"), tag("pre", one.body)) if one.body else None,
    )


def _about(one: Example) -> Markup:
    segment = f"segment {value(one.segment, LONGEST_ID)} · " if one.segment else ""
    agree = f" · {share(one.agreement)} agree" if one.agreement is not None else ""
    return joined(segment, time(one.at), agree, _latencies(one))


def _latencies(one: Example) -> str:
    both = (one.champion_latency, one.challenger_latency)
    known = " and ".join(milliseconds(latency) for latency in both)
    return "" if None in both else f" · {known}"


def _place(where: str, champion: Any, challenger: Any) -> Markup:
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", f"{leg} {where}".strip()),
                tag("dd", tag("code", UNKNOWN if said is None else value(said, LONGEST))),
                class_=leg,
            )
            for leg, said in (("champion", champion), ("challenger", challenger))
        ),
        class_="both",
    )
