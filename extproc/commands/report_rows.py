"""What a report says of one challenger in a terminal, part by part."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from extproc.challenge.shown import differing, with_itself, worst
from extproc.challenge.wording import (
    MEASURES,
    UNKNOWN,
    between,
    bound,
    count,
    figure,
    milliseconds,
    number,
    share,
    signed,
    times,
    value,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from extproc.challenge.document import Bound, Challenger, Confusion, Estimate, Example, Gain, Segment, Truth

SIGNS: Final = {
    "promote": "✓",
    "pass": "✓",
    "reject": "✕",
    "fail": "✕",
    "collecting": "…",
    "inconclusive": "?",
}
COLOURS: Final = {
    "promote": "green",
    "pass": "green",
    "reject": "red",
    "fail": "red",
    "collecting": "blue",
    "inconclusive": "yellow",
}
NAME: Final = 24  # characters of a label or a segment
ID: Final = 36  # a UUID
SAID: Final = 60  # characters of what a leg said
LABELS: Final = 6  # of a confusion matrix: more columns do not fit
SEGMENTS: Final = 10
EXAMPLES: Final = 4
PLACES: Final = 2  # of a batch, at which the legs differ

Row = tuple["str | Text", ...]
Part = tuple[str, "RenderableType | None"]


def rows(one: Challenger) -> list[Part]:
    """Return the parts of a challenger's report with their names; a part of which nothing is known is None."""
    return [
        ("requests", _requests(one)),
        ("guardrails", _guardrails(one)),
        ("agreement", _agreement(one)),
        ("difference", _difference(one)),
        ("labels", _confusion(one.confusion)),
        ("vectors", _vector(one)),
        ("texts", _text(one)),
        ("errors", _errors(one)),
        ("latency", _latency(one)),
        ("truth", _truth(one.truth)),
        ("segments", _segments(one.segments)),
        ("worst", _examples(one.examples)),
    ]


def said(text: str | None, longest: int = 80) -> str:
    """Return somebody else's text as it can be shown: short, and nothing that a terminal obeys."""
    return visible(value(text or "", longest))


def _table(head: Sequence[str], lines: Iterable[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for index, name in enumerate(head):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for line in lines:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in line))
    return table


def _requests(one: Challenger) -> Text:
    counts: dict[str, int] = msgspec.to_builtins(one.counts)
    there = [f"{name.replace('_', ' ')} {count(number_)}" for name, number_ in counts.items() if number_]
    return Text(" · ".join(there) or "none yet")


def _guardrails(one: Challenger) -> RenderableType:
    if not one.guardrails:
        return Text("none, so there is no verdict to come to", style="dim")
    lines: list[Row] = [
        (
            said(name, NAME),
            _asked(name, rail.bound),
            figure(name, rail.value, rail.bound.metric),
            between(name, rail.low, rail.high, rail.bound.metric),
            count(rail.samples),
            Text(f"{SIGNS[rail.verdict]} {rail.verdict}", style=COLOURS[rail.verdict]),
        )
        for name, rail in one.guardrails.items()
    ]
    needed = [
        Text(f"{said(name, NAME)}: about {count(rail.needed)} more samples should settle it", style="dim")
        for name, rail in one.guardrails.items()
        if rail.needed
    ]
    return Group(_table(("rule", "asked", "figure", "between", "samples", "verdict"), lines), *needed)


def _asked(name: str, asked: Bound) -> str:
    """Return what a guardrail asks, as short as the graph says it."""
    return bound(name, asked).replace("at least", "min").replace("at most", "max")


def _agreement(one: Challenger) -> RenderableType:
    if not one.agreement.samples:
        return Text("no pair yet", style="dim")
    found: list[tuple[str, Estimate | None]] = [
        ("challenger and champion", one.agreement),
        ("the champion with itself", with_itself(one.noise)),
        ("the champion's noise taken off", one.beyond_noise),
    ]
    lines: list[Row] = [
        (name, share(each.value), between("agreement", each.low, each.high), count(each.samples))
        for name, each in found
        if each is not None
    ]
    return _table(("", "agree", "between", "samples"), lines)


def _difference(one: Challenger) -> RenderableType | None:
    found = one.difference
    if found is None:
        return None
    quantiles = [(name, getattr(found, name)) for name in ("p50", "p90", "p95", "p99", "max")]
    told = Text(f"mean {signed(found.bias)} · {count(found.equal)} of {count(found.values)} values are equal")
    return Group(told, Text("absolute: " + " · ".join(f"{name} {number(size)}" for name, size in quantiles)))


def _confusion(one: Confusion | None) -> RenderableType | None:
    if one is None or not one.labels:
        return None
    shown = one.labels[:LABELS]
    lines = [
        (said(label, NAME), *(count(times_) for times_ in one.cells[row][:LABELS])) for row, label in enumerate(shown)
    ]
    table = _table(("champion ↓ challenger →", *(said(label, NAME) for label in shown)), lines)
    left_out = len(one.labels) - len(shown)
    return Group(table, Text(f"and {count(left_out)} labels more", style="dim")) if left_out else table


def _vector(one: Challenger) -> Text | None:
    if one.vector is None:
        return None
    cosine, furthest = one.vector.cosine, one.vector.furthest
    components = " · ".join(f"{name} {number(getattr(furthest, name))}" for name in ("p50", "p95", "max"))
    return Text(f"cosine {number(cosine.mean)}, p05 {number(cosine.p05)} · largest difference {components}")


def _text(one: Challenger) -> Text | None:
    if one.text is None:
        return None
    return Text(f"{share(one.text.exact)} exactly the same · similarity {number(one.text.similarity.mean)} on average")


def _errors(one: Challenger) -> Text:
    champion, other = one.errors.champion, one.errors.challenger
    causes = {"failed": other.failed, "timeout": other.timeout, "unparsable": other.unparsable}
    told = ", ".join(f"{count(times_)} {name}" for name, times_ in causes.items() if times_)
    sure = f" ({between('errors', other.low, other.high)})" if other.low is not None else ""
    ours = f"champion {share(champion.rate)}"
    return Text(f"{ours} · challenger {share(other.rate)}{sure}{f': {told}' if told else ''}")


def _latency(one: Challenger) -> RenderableType:
    found = one.latency
    if found is None:
        return Text("not timed yet", style="dim")
    lines: list[Row] = [
        (
            leg,
            *(milliseconds(quantile) for quantile in (speed.p50, speed.p90, speed.p95, speed.p99)),
            count(speed.samples),
        )
        for leg, speed in (("champion", found.champion), ("challenger", found.challenger))
    ]
    ratio = found.ratio
    sure = f" ({between('latency', ratio.low, ratio.high)})" if ratio.low is not None else ""
    return Group(
        _table(("", "p50", "p90", "p95", "p99", "samples"), lines), Text(f"p95 ratio {times(ratio.value)}{sure}")
    )


def _truth(one: Truth | None) -> RenderableType | None:
    if one is None:
        return None
    gains = {"accuracy": one.accuracy, "brier": one.brier, "error": one.error}
    lines = [_gain(metric, gain) for metric, gain in gains.items() if gain is not None]
    known = {"joined": one.joined, "waiting": one.waiting, "unusable": one.unusable}
    parts: list[RenderableType] = [Text(" · ".join(f"{name} {count(times_)}" for name, times_ in known.items()))]
    if lines:
        parts.append(_table(("", "champion", "challenger", "gain", "between"), lines))
    if one.reward is not None:
        apart = f"{number(one.reward.where_agreed)} where both agreed, {number(one.reward.where_not)} where not"
        parts.append(Text(f"reward of {count(one.reward.requests)} requests {number(one.reward.mean)}: {apart}"))
    return Group(*parts)


def _gain(metric: str, one: Gain) -> Row:
    measured = share if metric == "accuracy" else number
    gained = figure("truth", one.gain, metric)
    return (
        MEASURES[metric],
        measured(one.champion),
        measured(one.challenger),
        gained,
        between("truth", one.low, one.high, metric),
    )


def _segments(found: Sequence[Segment]) -> RenderableType | None:
    if not found:
        return None
    lines: list[Row] = [
        (
            said(one.segment, NAME) or "(none)",
            count(one.counts.paired),
            share(one.agreement.value),
            between("agreement", one.agreement.low, one.agreement.high),
            share(one.errors.challenger.rate),
            times(one.latency.ratio.value if one.latency else None),
        )
        for one in found[:SEGMENTS]
    ]
    table = _table(("segment", "pairs", "agree", "between", "errors", "p95 ratio"), lines)
    left_out = len(found) - SEGMENTS
    return Group(table, Text(f"and {count(left_out)} segments more", style="dim")) if left_out > 0 else table


def _examples(found: Sequence[Example]) -> RenderableType | None:
    shown = worst(found, EXAMPLES)
    return Group(*(line for one in shown for line in _example(one))) if shown else None


def _example(one: Example) -> list[Text]:
    segment = f"  segment {said(one.segment, NAME)}" if one.segment else ""
    head = Text.assemble((said(one.request_id, ID), "bold"), (segment, "dim"))
    return [head, *(_place(*place) for place in islice(differing(one), PLACES))]


def _place(where: str, champion: object, challenger: object) -> Text:
    ours, theirs = (UNKNOWN if each is None else visible(value(each, SAID // 2)) for each in (champion, challenger))
    place = f"{where} " if where else ""
    return Text.assemble((f"  {place}champion ", "dim"), ours, (" · challenger ", "dim"), theirs)
