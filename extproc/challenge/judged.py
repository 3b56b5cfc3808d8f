"""Two legs that answered, read and compared; or what stood in the way."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from extproc.challenge.encodings import decoded
from extproc.challenge.evidence import (
    CHAMPION_UNPARSABLE,
    INTERRUPTED,
    TOO_LARGE,
    UNPARSABLE,
    Evidence,
    merged,
)
from extproc.challenge.histogram import count, grain
from extproc.challenge.leg import LegAnswer, TooLarge, Unparsable
from extproc.engine.calling import Reply
from extproc.plan.plan import Call

if TYPE_CHECKING:
    from msgspec import Raw

    from extproc.challenge.compare import Comparer, Comparison
    from extproc.challenge.sides import Leg
    from extproc.engine.request import Request

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair compared; how far the champion agrees with itself is None where that is not known.

    ``champion`` and ``challenger`` are what a record holds of them, None where it is larger. ``figures`` are what the
    comparison adds to the evidence, where that was summed already.
    """

    comparison: Comparison
    champion: Raw | None
    challenger: Raw | None
    self_agreement: float | None
    figures: Evidence | None = None

    def add_to(self, evidence: Evidence) -> None:
        """Add all that the pair says but its outcome and latencies."""
        if self.figures is None:
            self.comparison.add_to(evidence)
        else:
            merged(evidence, self.figures)
        if self.self_agreement is not None:
            count(evidence.noise, grain(self.self_agreement))
            count(evidence.beyond_noise, grain((self.comparison.agreement + 1 - self.self_agreement) / 2))


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares the legs of one request; ``limit`` is what a response may be, in bytes, without its encoding."""

    comparer: Comparer
    request: Request
    limit: int

    def judged(self, champion: Leg, challenger: Leg, again: Leg | None, *, summed: bool = False) -> Judged | str:
        """Compare; return the outcome where both cannot be. Nothing is raised.

        ``summed``: with its figures, of which a batch has one for each of its predictions.
        """
        try:
            judged = self._judged(champion, challenger, again)
            return _summed(judged) if summed and isinstance(judged, Judged) else judged
        except Unparsable:
            return UNPARSABLE
        except Exception:
            # Ours to blame, so neither leg's fault, and no reason to lose count of the request.
            log.exception("a pair could not be compared")
            return INTERRUPTED

    def _judged(self, champion: Leg, challenger: Leg, again: Leg | None) -> Judged | str:
        for leg, outcome in ((champion, CHAMPION_UNPARSABLE), (challenger, UNPARSABLE)):
            problem = self._read(leg)
            if problem is not None:
                return TOO_LARGE if isinstance(problem, TooLarge) else outcome
        if champion.said is None or challenger.said is None:
            raise AssertionError(champion, challenger)
        comparison = self.comparer.compare(champion.said, challenger.said)
        said = champion.said.recorded(), challenger.said.recorded()
        return Judged(comparison, *said, self._self_agreement(champion, again))

    def _read(self, leg: Leg) -> Unparsable | TooLarge | None:
        """Read what a leg predicts, once; return why it cannot be read."""
        if leg.said is None and leg.problem is None and leg.reply is not None:
            try:
                leg.said = self.comparer.read(self._answer(leg, leg.reply))
            except (Unparsable, TooLarge) as problem:
                leg.problem = problem
        return leg.problem

    def _answer(self, leg: Leg, reply: Reply) -> LegAnswer:
        body = decoded(reply.body, reply.header_map.get("content-encoding"), self.limit)
        plain = Reply(reply.status, reply.headers, body)
        if isinstance(leg.target, Call):
            model = leg.target.model
            return LegAnswer(self.request, plain, model.document.protocol, model.path)
        return LegAnswer(self.request, plain)

    def _self_agreement(self, champion: Leg, again: Leg | None) -> float | None:
        """Return how far the champion agrees with itself, None where that is not known."""
        if again is None or again.reply is None or self._read(again) or again.said is None or champion.said is None:
            return None
        try:
            return self.comparer.compare(champion.said, again.said).agreement
        except Unparsable:
            return 0.0


def _summed(judged: Judged) -> Judged:
    figures = Evidence()
    judged.comparison.add_to(figures)
    return replace(judged, figures=figures)
