"""What the engine needs from outside: chance, a clock, a caller, and those who are told what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from extproc.engine.pairing import UNCHALLENGED, Challenging

if TYPE_CHECKING:
    from collections.abc import Callable

    from extproc.engine.calling import Caller
    from extproc.engine.tracing import Trace
    from extproc.expr import EvaluationError, Program
    from extproc.plan.plan import Branch, Plan
    from extproc.plan.sticky import Random


class Recorder(Protocol):
    """Is told of every decision; called on the hot path, so it only counts."""

    def decided(self, plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """A split or switch took a branch; ``value`` is the key or the condition's, None without an expression."""

    def expression_failed(self, plan: Plan, node: str, program: Program, error: EvaluationError) -> None:
        """An expression could not be evaluated and counted as false or as a missing key."""


@dataclass(frozen=True, slots=True)
class Seams:
    """The world, as the engine knows it. ``now`` is the event loop's clock, in seconds; ``trace`` is set where a run is traced."""

    random: Random
    recorder: Recorder
    caller: Caller
    now: Callable[[], float]
    challenging: Challenging = UNCHALLENGED
    trace: Trace | None = None
