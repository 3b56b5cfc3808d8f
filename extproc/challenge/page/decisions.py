"""What was decided, when, and by which figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.challenge.page.markup import Markup, tag
from extproc.challenge.page.section import empty, section, time
from extproc.challenge.shown import asked, judged
from extproc.challenge.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.document import Decision

SHOWN: Final = 20
FIGURES: Final = 24  # of one decision


def decisions(found: Sequence[Decision]) -> Markup:
    """Return the section, the newest decision first."""
    if not found:
        return section("Decisions", empty("Nothing has been decided yet."), level=2)
    newest = sorted(found, key=lambda one: -one.at)
    more = len(newest) - SHOWN
    return section(
        "Decisions",
        tag("ol", *(_decision(one) for one in newest[:SHOWN]), class_="decisions"),
        tag("p", f"{count(more)} older ones are in the report as JSON.", class_="note") if more > 0 else None,
        level=2,
    )


def _decision(one: Decision) -> Markup:
    rule = asked(one.rule)[:FIGURES]
    figures = judged(one.rule, one.figures)[:FIGURES]
    return tag(
        "li",
        tag(
            "p",
            tag("b", one.event or "decision"),
            f" {one.challenger}" if one.challenger else None,
            tag("span", "forced", class_="badge inconclusive") if one.forced else None,
        ),
        tag("p", time(one.at), _generation(one), _verdict(one), class_="about"),
        tag("p", f"Asked: {', '.join(rule)}.", class_="figures") if rule else None,
        tag("p", " · ".join(figures), class_="figures") if figures else None,
    )


def _generation(one: Decision) -> str:
    return f" · generation {one.generation}" if one.generation else ""


def _verdict(one: Decision) -> str:
    return f" · verdict {one.verdict}" if one.verdict else ""
