"""Who is told of every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from extproc.plan.model import ModelPlan


class CallRecorder(Protocol):
    """Is told of every call once, when it ends; called on the hot path, so it only counts.

    ``outcome`` is the class of the status (``2xx``), a cause (``connect``), or ``cancelled``. ``attempts`` counts
    hedges, and the attempts that Envoy made by the default rule where its answer tells them.
    """

    def called(self, model: ModelPlan, outcome: str, seconds: float, attempts: int, *, hedged: bool) -> None:
        """A call has ended."""


class Unrecorded:
    """Counts nothing."""

    def called(self, model: ModelPlan, outcome: str, seconds: float, attempts: int, *, hedged: bool) -> None:
        """Do nothing."""
