"""What the engine and the exchange tell of a request that a challenge sampled; ``challenge/`` does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.engine.calling import Reply
    from extproc.engine.payload import Payload
    from extproc.engine.result import Failure
    from extproc.engine.run import Run
    from extproc.plan.model import ModelPlan
    from extproc.plan.plan import ChallengePlan


class Pair(Protocol):
    """A champion's leg as it goes on, and the challengers' that go on by themselves.

    ``begin`` or ``too_large`` comes once, when the request is complete. What ends the champion's leg, ``answered``,
    ``response_ended`` or ``left``, may come more than once: the first counts. Nothing of this waits or raises.
    """

    def begin(self, payload: Payload) -> bool:
        """The request is complete as it reaches the challenge: challengers may start.

        Return whether any did: otherwise nothing that the champion does has to be told.
        """
        ...

    def too_large(self) -> None:
        """The request is larger than may be copied."""

    def answered(self, result: Reply | Failure) -> None:
        """The champion's result is known here."""

    def handed_over(self, model: ModelPlan) -> None:
        """Envoy makes the champion's last call, and will show its response."""

    def response_began(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the body has to be shown too."""
        ...

    def response_body(self, piece: bytes) -> bool:
        """Return whether more of it has to be shown."""
        ...

    def response_ended(self) -> None:
        """The champion's response is complete."""

    def left(self) -> None:
        """The champion's leg was cut short."""


class Challenging(Protocol):
    """Is told of every request that reaches a challenge."""

    def reached(self, run: Run, node: ChallengePlan, *, seen: bool) -> Pair | None:
        """Count the request; return its pair, None where no challenger samples it.

        Not ``seen``: its body never comes here, so that no challenger can have it.
        """
        ...


class Unchallenged:
    """For runs that reach no challenge that counts: a challenger's own, an explanation's."""

    def reached(self, _run: Run, _node: ChallengePlan, *, seen: bool) -> None:
        """Return no pair."""


UNCHALLENGED = Unchallenged()
