"""The verdict on a challenger: what its guardrails ask, and what the evidence shows.

A guardrail passes or fails by one-sided tests at ``alpha = 1 - confidence``; they hold at any time one looks, so there
is no minimum of samples beside them. To promote, every guardrail must pass: one that is violated in truth ever passes
with a probability of at most ``alpha``. To reject, one of k must fail at ``alpha / k``: where all hold in truth, any of
them ever fails so with a probability of at most ``alpha``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from extproc.challenge.claims import Claim, claims
from extproc.challenge.needed import needed

if TYPE_CHECKING:
    from extproc.challenge.evidence import Evidence
    from extproc.graph.document import Guardrails

Judgement: TypeAlias = Literal["collecting", "pass", "fail", "inconclusive"]

# Samples after which a guardrail without a decision is called inconclusive. A rate of 1 % is known to 0.05 points by
# then: what is still undecided lies so near its bound that it makes no difference to anybody. It goes on counting.
INCONCLUSIVE_AT = 1_000_000


@dataclass(frozen=True, slots=True)
class Rail:
    """A guardrail's verdict, with the figure and its two-sided confidence sequence.

    ``needed`` estimates how many further samples decide it: 0 when it is decided, None when nobody can say. ``rejects``
    is whether it fails clearly enough to reject the challenger.
    """

    name: str
    verdict: Judgement
    value: float | None
    low: float | None
    high: float | None
    samples: int
    bound: float
    needed: int | None
    rejects: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a challenger, and each guardrail's."""

    verdict: Literal["promote", "reject", "collecting"]
    rails: dict[str, Rail]


def judge(evidence: Evidence, rails: Guardrails, confidence: float) -> Verdict:
    """Return the verdict on the evidence; the confidence is above 0 and below 1. Without guardrails none is reached."""
    asked = claims(evidence, rails)
    alpha = 1 - confidence
    judged = {name: _judged(name, claim, alpha, alpha / len(asked)) for name, claim in asked.items()}
    return Verdict(_overall(list(judged.values())), judged)


def _overall(rails: list[Rail]) -> Literal["promote", "reject", "collecting"]:
    if any(rail.rejects for rail in rails):
        return "reject"
    if rails and all(rail.verdict == "pass" for rail in rails):
        return "promote"
    return "collecting"


def _judged(name: str, claim: Claim, alpha: float, to_reject: float) -> Rail:
    known = claim.interval(alpha)
    return Rail(
        name=name,
        verdict=_verdict(claim, alpha, known.samples),
        value=known.value,
        low=known.low,
        high=known.high,
        samples=known.samples,
        bound=claim.bound,
        needed=needed(known.samples, lambda times: claim.shown(alpha, times) or claim.refuted(alpha, times)),
        rejects=claim.refuted(to_reject),
    )


def _verdict(claim: Claim, alpha: float, samples: int) -> Judgement:
    if claim.shown(alpha):
        return "pass"
    if claim.refuted(alpha):
        return "fail"
    return "inconclusive" if samples >= INCONCLUSIVE_AT else "collecting"
