"""The guardrails: what each asks, what is known, and how that came about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.page.markup import Markup, tag
from extproc.challenge.page.section import badge, empty
from extproc.challenge.page.sequence import sequence
from extproc.challenge.wording import RAILS, bound, count, figure, setting

if TYPE_CHECKING:
    from extproc.challenge.document import Challenger, Rail


def guardrails(id_: str, challenger: Challenger, confidence: float) -> Markup:
    """Return the section."""
    heading = tag("h3", "Guardrails")
    if not challenger.guardrails:
        said = empty("The graph sets none, so there is no verdict to come to: the figures below stand for themselves.")
        return tag("section", heading, said, class_="card")
    cards = [
        _card(f"{id_}-rail{index}", name, rail, challenger)
        for index, (name, rail) in enumerate(challenger.guardrails.items())
    ]
    note = (
        f"Every one must hold with {setting(confidence)} confidence. "
        "The bands are valid at any time one looks; what lies in the shade would break the guardrail."
    )
    return tag("section", heading, tag("p", note, class_="note"), tag("div", *cards, class_="cards"))


def _card(id_: str, name: str, rail: Rail, challenger: Challenger) -> Markup:
    metric = rail.bound.metric
    return tag(
        "article",
        tag("header", tag("h4", name.capitalize()), badge(rail.verdict)),
        tag("p", figure(name, rail.value, metric), class_="figure"),
        tag("p", f"{RAILS.get(name, '')} · asked {bound(name, rail.bound)}", class_="asked"),
        sequence(id_, name, rail, challenger.history),
        tag("p", known(name, rail), class_="note"),
        class_=f"card rail {rail.verdict}",
    )


def known(name: str, rail: Rail) -> str:
    """Return how sure the figure is, and what is missing."""
    if not rail.samples or rail.low is None:
        return "No sample yet."
    low, high = (figure(name, one, rail.bound.metric) for one in (rail.low, rail.high))
    bounds = f"At least {low}" if rail.high is None else f"Between {low} and {high}"
    said = f"{bounds} after {count(rail.samples)} samples."
    if rail.needed:
        return f"{said} About {count(rail.needed)} more should settle it."
    return said
