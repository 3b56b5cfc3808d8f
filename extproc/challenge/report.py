"""A challenge's report: everything that is known at one moment, as a document that is shown, sent and kept.

It is a function of the challenge, its standing and the time alone. Counts and figures are of the standing's moment, and
each challenger's counts add up to ``eligible``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.challenge import document, figures
from extproc.challenge.evidence import PAIRED, Evidence, merged
from extproc.challenge.guardrails import judge
from extproc.challenge.reported import comparison, legs
from extproc.challenge.reported.course import decision, moments, point
from extproc.challenge.reported.excerpts import examples
from extproc.challenge.reported.reasons import reason
from extproc.challenge.reported.truth import truth
from extproc.graph.challenged import target_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.challenge.guardrails import Rail
    from extproc.challenge.store.standing import Standing
    from extproc.graph.document import Challenge, Challenger, Guardrails

DECISIONS = 100  # the newest: a report is asked for every second, and the store keeps ten times as many
WHOLE = ""  # the segment of requests that are in none


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about: a graph's challenge in a generation. ``key`` is what its evidence belongs to."""

    graph: str
    generation: str
    node: str
    challenge: Challenge
    key: str


def report(subject: Subject, standing: Standing, now: float) -> dict[str, Any]:
    """Return the report as a JSON document; ``now`` is the standing's time, in seconds since the epoch."""
    found = _Known(subject, standing, now).report()
    shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return shown


def whole_of(segments: Mapping[str, Evidence]) -> Evidence:
    """Return the sums of all segments."""
    whole = Evidence()
    for evidence in segments.values():
        merged(whole, evidence)
    return whole


@dataclass(frozen=True)
class _Known:
    """All that a report is made of."""

    subject: Subject
    standing: Standing
    now: float

    @cached_property
    def evidence(self) -> dict[str, Evidence]:
        """Each challenger's sums over its segments."""
        names = (one.name for one in self.subject.challenge.challengers)
        return {name: whole_of(self.standing.evidence.get(name, {})) for name in names}

    @cached_property
    def eligible(self) -> int:
        """How many requests reached the challenge; no challenger's outcomes are more."""
        booked = (sum(evidence.outcomes.values()) for evidence in self.evidence.values())
        return max(self.standing.eligible, *booked, 0)

    def report(self) -> document.Report:
        """Return the whole document."""
        subject = self.subject
        return document.Report(
            graph=subject.graph,
            generation=subject.generation,
            champion=target_name(subject.node, "champion", subject.challenge.champion),
            node=subject.node,
            challenge=subject.key,
            eligible=self.eligible,
            confidence=subject.challenge.confidence,
            at=self.now,
            challengers=tuple(self.challenger(one) for one in subject.challenge.challengers),
            decisions=tuple(decision(one) for one in self.standing.decisions[-DECISIONS:]),
            dropped=dict(sorted(self.standing.dropped.items())),
        )

    def challenger(self, asked: Challenger) -> document.Challenger:
        """Return what is known of one challenger."""
        standing, challenge = self.standing, self.subject.challenge
        evidence, alpha = self.evidence[asked.name], 1 - challenge.confidence
        verdict = judge(evidence, challenge.guardrails, challenge.confidence)
        rails = {name: _rail(rail, challenge.guardrails) for name, rail in verdict.rails.items()}
        counts = legs.counts(evidence, self.eligible - sum(evidence.outcomes.values()))
        disagreeing = standing.examples.get(asked.name, {})
        return document.Challenger(
            name=asked.name,
            to=target_name(self.subject.node, asked.name, asked.to),
            sample=asked.sample,
            verdict=verdict.verdict,
            reason=reason(verdict, rails, challenge.confidence),
            counts=counts,
            unparsable_by=legs.unparsable(evidence),
            guardrails=rails,
            kind=comparison.kind(evidence),
            elements=evidence.elements,
            agreement=legs.estimate(figures.share(evidence.agreement, alpha)),
            noise=legs.estimate(figures.noise(evidence, alpha)) if evidence.noise else None,
            beyond_noise=legs.estimate(figures.agreement(evidence, alpha)) if evidence.beyond_noise else None,
            errors=legs.errors(evidence, alpha),
            latency=legs.latency(evidence, alpha),
            difference=comparison.difference(evidence, challenge.compare.tolerance or 0.0),
            confusion=comparison.confusion(evidence),
            vector=comparison.vector(evidence),
            text=comparison.text(evidence),
            truth=truth(evidence, alpha, standing.waiting),
            sampling=legs.sampling(counts, asked.sample, alpha) if asked.by is None else None,
            segments=_segments(standing.evidence.get(asked.name, {}), alpha),
            examples=examples(record for segment in disagreeing.values() for record in segment),
            history=moments(
                standing.points.get(asked.name, []), self.now, point(verdict, evidence.outcomes.get(PAIRED, 0))
            ),
        )


def _rail(rail: Rail, asked: Guardrails) -> document.Rail:
    known = rail.samples > 0
    return document.Rail(
        verdict=rail.verdict,
        value=rail.value,
        low=rail.low if known else None,
        high=rail.high if known else None,
        samples=rail.samples,
        bound=msgspec.convert(msgspec.to_builtins(getattr(asked, rail.name)), document.Bound),
        needed=rail.needed,
    )


def _segments(found: Mapping[str, Evidence], alpha: float) -> tuple[document.Segment, ...]:
    """Return the segments, that of most pairs first; what is in none is in the whole alone."""
    named = {name: evidence for name, evidence in found.items() if name != WHOLE}
    ordered = sorted(named, key=lambda name: (-named[name].outcomes.get(PAIRED, 0), name))
    return tuple(_segment(name, named[name], alpha) for name in ordered)


def _segment(name: str, evidence: Evidence, alpha: float) -> document.Segment:
    return document.Segment(
        segment=name,
        counts=legs.counts(evidence),
        agreement=legs.estimate(figures.share(evidence.agreement, alpha)),
        errors=legs.errors(evidence, alpha),
        latency=legs.latency(evidence, alpha, drawn=False),
        truth=truth(evidence, alpha),
    )
