"""The figures by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.challenge.page.interval import domain, interval
from extproc.challenge.page.section import figured, section, table
from extproc.challenge.wording import between, count, figure, share, times, value

if TYPE_CHECKING:
    from extproc.challenge.document import Segment
    from extproc.challenge.page.markup import Content, Markup


LONGEST: Final = 80  # characters of a segment


def segments(found: tuple[Segment, ...]) -> Markup | None:
    """Return the section, None where requests are not segmented."""
    if not found:
        return None
    low, high = domain(one.agreement for one in found)
    return section(
        "Segments",
        table(
            "Figures by segment",
            ("segment", "pairs", "agree", "", "challenger's errors", "p95 ratio", "accuracy gain"),
            [_row(one, low, high) for one in found],
        ),
        note="By the value of compare.by. Each band holds for its segment alone: among many, one may lie by chance.",
    )


def _row(one: Segment, low: float, high: float) -> tuple[Content, ...]:
    accuracy = one.truth.accuracy if one.truth else None
    return (
        value(one.segment, LONGEST) or "(none)",
        count(one.counts.paired),
        figured(share(one.agreement.value), between("agreement", one.agreement.low, one.agreement.high)),
        interval(one.agreement, low, high),
        share(one.errors.challenger.rate),
        times(one.latency.ratio.value if one.latency else None),
        figure("truth", accuracy.gain if accuracy else None),
    )
