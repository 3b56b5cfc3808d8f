"""What labels and rewards say of both legs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.page.markup import Markup, tag
from extproc.challenge.page.section import empty, figured, section, table
from extproc.challenge.wording import MEASURES, between, count, figure, number, share

if TYPE_CHECKING:
    from extproc.challenge.document import Gain, Reward, Truth
    from extproc.challenge.page.markup import Content


def truth(one: Truth | None) -> Markup:
    """Return the section."""
    title = "Ground truth"
    if one is None or not (one.joined or one.unusable or one.waiting or one.reward):
        return section(title, empty("No label or reward has come yet: they are sent to /feedback, by request id."))
    gains = {"accuracy": one.accuracy, "brier": one.brier, "error": one.error}
    rows = [_row(metric, gain) for metric, gain in gains.items() if gain is not None]
    return section(
        title,
        table("Both legs against labels", ("", "champion", "challenger", "gain"), rows) if rows else None,
        tag("p", _reward(one.reward), class_="note") if one.reward else None,
        note=joined_labels(one),
    )


def joined_labels(one: Truth) -> str:
    """Return how many labels there are, and which could not be used."""
    said = f"{count(one.joined)} labels joined to both legs"
    waiting = f", {count(one.waiting)} waiting for their request" if one.waiting else ""
    unusable = f", {count(one.unusable)} that fit no prediction" if one.unusable else ""
    return f"{said}{waiting}{unusable}. A gain above zero is the challenger's."


def _row(metric: str, one: Gain) -> tuple[Content, ...]:
    measured = share if metric == "accuracy" else number
    gain = tag("b", figure("truth", one.gain, metric))
    sure = figured(gain, between("truth", one.low, one.high, metric))
    return MEASURES[metric], measured(one.champion), measured(one.challenger), sure


def _reward(one: Reward) -> str:
    return (
        f"Reward of {count(one.requests)} requests: {number(one.mean)} on average; {number(one.where_agreed)} where "
        f"both legs agreed, {number(one.where_not)} where not. It is the champion's: clients got its answers."
    )
