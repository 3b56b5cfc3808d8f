"""How much the legs agree, and how they differ by the kind of what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.page.bars import histogram
from extproc.challenge.page.confusion import confusion
from extproc.challenge.page.interval import domain, interval
from extproc.challenge.page.plot import Described
from extproc.challenge.page.section import empty, facts, figured, section, table
from extproc.challenge.shown import with_itself
from extproc.challenge.wording import between, count, number, share, signed

if TYPE_CHECKING:
    from extproc.challenge.document import Challenger, Difference, Estimate, Text, Vector
    from extproc.challenge.page.markup import Content, Markup


def agreement(challenger: Challenger) -> Markup:
    """Return the section on agreement."""
    if not challenger.agreement.samples:
        return section("Agreement", empty("No pair yet."))
    itself = with_itself(challenger.noise)
    rows = {
        "challenger and champion": challenger.agreement,
        "the champion with itself": itself,
        "with the champion's own noise taken off": challenger.beyond_noise,
    }
    low, high = domain(rows.values())
    return section(
        "Agreement",
        table(
            "Agreement",
            ("", "agree", ""),
            [_row(name, one, low, high) for name, one in rows.items() if one is not None],
        ),
        note=_compared(challenger),
    )


def _row(name: str, one: Estimate, low: float, high: float) -> tuple[Content, ...]:
    sure = between("agreement", one.low, one.high)
    return name, figured(share(one.value), sure), interval(one, low, high)


def _compared(challenger: Challenger) -> str:
    pairs = f"{count(challenger.agreement.samples)} pairs"
    many = challenger.elements > challenger.agreement.samples
    values = f" of {count(challenger.elements)} values together" if many else ""
    return f"{pairs}{values}, most of them compared as {challenger.kind or 'unknown'}."


def differences(id_: str, challenger: Challenger) -> list[Markup]:
    """Return the sections for what was compared, which may be of several kinds."""
    return [
        made
        for made in (
            _difference(id_, challenger.difference) if challenger.difference else None,
            confusion(challenger.confusion) if challenger.confusion else None,
            _vector(challenger.vector) if challenger.vector else None,
            _text(id_, challenger.text) if challenger.text else None,
        )
        if made is not None
    ]


def _difference(id_: str, one: Difference) -> Markup:
    said = f"{count(one.equal)} of {count(one.values)} values are exactly equal."
    agree = f" They agree within {number(one.tolerance)}, which is shaded." if one.tolerance else ""
    described = Described(
        f"{id_}-difference",
        "Differences",
        f"Challenger minus champion, where they differ. {said} Mean {signed(one.bias)}.",
    )
    return section(
        "Difference",
        histogram(described, one.histogram, one.tolerance) if one.histogram else empty("No two values differ."),
        facts(
            ("mean", signed(one.bias)),
            *((f"absolute, {name}", number(getattr(one, name))) for name in ("p50", "p90", "p95", "p99", "max")),
        ),
        note=f"Challenger minus champion. {said}{agree}",
    )


def _vector(one: Vector) -> Markup:
    return section(
        "Vectors",
        facts(
            ("cosine, mean", number(one.cosine.mean)),
            ("cosine, lowest 5% below", number(one.cosine.p05)),
            ("largest difference of a component, p50", number(one.furthest.p50)),
            ("p95", number(one.furthest.p95)),
            ("max", number(one.furthest.max)),
        ),
    )


def _text(id_: str, one: Text) -> Markup:
    described = Described(
        f"{id_}-similarity", "Similarity of texts", f"From 0 to 1 for the same. Mean {number(one.similarity.mean)}."
    )
    bars = one.similarity.histogram
    return section(
        "Texts",
        facts(("exactly the same", share(one.exact)), ("similarity, mean", number(one.similarity.mean))),
        histogram(described, bars) if bars else empty("No two texts have been compared yet."),
        note="Similarity of normalised texts, 1 for the same.",
    )
