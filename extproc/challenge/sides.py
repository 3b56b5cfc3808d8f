"""The parts of a pair: each leg as far as it is known, and what it holds of its challenger's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extproc.challenge.compare import Said
    from extproc.challenge.leg import TooLarge, Unparsable
    from extproc.challenge.legs import Legs
    from extproc.engine.calling import Reply
    from extproc.plan.plan import ChallengerPlan, PlanNode


@dataclass(slots=True, eq=False)
class Leg:
    """A leg as far as it is known. ``outcome`` is what went wrong with it, None while it goes on or where it answered.

    ``legs`` None: the champion's, which is not run here and holds nothing itself. ``under_way``: it runs, or waits for
    its turn. ``dropped``: its outcome stands, whatever the champion does. ``told``: its problem was counted.
    """

    target: PlanNode
    legs: Legs | None = None
    under_way: bool = False
    over: bool = False
    dropped: bool = False
    outcome: str | None = None
    reply: Reply | None = None
    latency: float | None = None
    held: int = 0
    said: Said | None = None
    problem: Unparsable | TooLarge | None = None
    told: bool = False

    def end(self, outcome: str | None) -> None:
        """Set what came of it; the first time counts."""
        if not self.over:
            self.over, self.outcome = True, outcome

    def answer(self, reply: Reply, latency: float | None) -> None:
        """Set its response."""
        if not self.over:
            self.over, self.reply, self.latency = True, reply, latency

    def drop(self, outcome: str) -> None:
        """Give it up, also where it has answered already."""
        self.over, self.dropped, self.outcome, self.reply = True, True, outcome, None

    def hold(self, size: int) -> bool:
        """Hold bytes, unless that were more than its challenger may."""
        if self.legs is None or not self.legs.hold(size):
            return False
        self.held += size
        return True

    def give_back(self) -> None:
        """Give back what it holds."""
        if self.legs is not None:
            self.legs.give_back(self.held)
        self.held = 0


@dataclass(slots=True, eq=False)
class Side:
    """One challenger's part in a pair."""

    challenger: ChallengerPlan
    leg: Leg
    comparing: bool = False
    booked: bool = False

    @property
    def open(self) -> bool:
        """Whether what the champion answers still matters to it."""
        return not self.booked and not self.leg.dropped
