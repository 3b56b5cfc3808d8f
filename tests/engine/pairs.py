"""A challenge that samples as a test says, and whose pairs keep what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.calling import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extproc.engine.payload import Payload
    from extproc.engine.result import Failure
    from extproc.engine.run import Run
    from extproc.plan.model import ModelPlan
    from extproc.plan.plan import ChallengePlan


class Told:
    """A Challenging and each of its Pairs, which is the same one.

    ``begin`` is whether a challenger began, ``began`` whether the response's body is wanted, ``more`` what is said to
    each piece of it: True to what comes after those.
    """

    def __init__(
        self, *, samples: bool = True, begin: bool = True, began: bool = True, more: Iterable[bool] = ()
    ) -> None:
        self.events: list[str] = []
        self.payloads: list[Payload] = []
        self._samples = samples
        self._begin = begin
        self._began = began
        self._more = list(more)

    def __repr__(self) -> str:
        """Say what it was told."""
        return f"<Told {self.events}>"

    def reached(self, run: Run, node: ChallengePlan, *, seen: bool) -> Told | None:
        """Note it."""
        assert run.plan.challenge is not None
        self.events.append(f"reached {node.name}{'' if seen else ', unseen'}")
        return self if self._samples else None

    def begin(self, payload: Payload) -> bool:
        """Note it."""
        self.events.append("begin")
        self.payloads.append(payload)
        return self._begin

    def too_large(self) -> None:
        """Note it."""
        self.events.append("too large")

    def answered(self, result: Reply | Failure) -> None:
        """Note it."""
        self.events.append(f"answered {result.status if isinstance(result, Reply) else result.cause.value}")

    def handed_over(self, model: ModelPlan) -> None:
        """Note it."""
        self.events.append(f"handed over {model.name}")

    def response_began(self, status: int, headers: Mapping[str, str]) -> bool:
        """Note it."""
        self.events.append(" ".join([f"response {status}", *(f"{name}={value}" for name, value in headers.items())]))
        return self._began

    def response_body(self, piece: bytes) -> bool:
        """Note it."""
        self.events.append(f"piece {piece.decode(errors='replace')}")
        return self._more.pop(0) if self._more else True

    def response_ended(self) -> None:
        """Note it."""
        self.events.append("ended")

    def left(self) -> None:
        """Note it."""
        self.events.append("left")
