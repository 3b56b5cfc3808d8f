"""Who is told what becomes of each request: how it ended, and its span where it is traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from extproc.engine.tracing import Trace

if TYPE_CHECKING:
    from extproc.engine.outcome import Answer, TailCall
    from extproc.engine.request import Request
    from extproc.engine.traceparent import Traceparent
    from extproc.plan.plan import Plan

# How an exchange ends: with a tail call, an answer, no graph that matches; Envoy left before; Envoy said what it must not;
# or we failed.
TAIL, ANSWER, PASSED, LEFT, REFUSED, FAILED = "tail", "answer", "passed", "left", "refused", "failed"
NO_GRAPH = "-"  # in place of a graph's name, which it cannot be


class RequestTrace(Trace, Protocol):
    """A request's span. It ends with the decision, or with ``left``; the first time counts."""

    def tail(self, call: TailCall, left: float) -> None:
        """Envoy makes the last call, ``left`` seconds before the deadline."""

    def answered(self, answer: Answer, left: float | None = None) -> None:
        """The answer was computed here; ``left`` None where the graph was not even begun."""

    def cut_short(self, how: str) -> None:
        """There was no decision: LEFT, REFUSED or FAILED."""


class Watch(Protocol):
    """Is told of every exchange; called on the hot path."""

    def trace(self, traceparent: Traceparent | None, plan: Plan, request: Request) -> RequestTrace | None:
        """Begin a request's span, below the span that Envoy says; None where the request is not sampled."""
        ...

    def ended(self, graph: str, how: str) -> None:
        """An exchange has ended, once."""

    def answered(self, plan: Plan, request: Request, answer: Answer, trace: RequestTrace | None) -> None:
        """An answer was computed here."""

    def broke(self, plan: Plan, request: Request, how: str, trace: RequestTrace | None) -> None:
        """There was no decision, REFUSED or FAILED: Envoy does with the request what its graph says of a processor that is away."""


class Unwatched:
    """Nobody is told."""

    def trace(self, _traceparent: Traceparent | None, _plan: Plan, _request: Request) -> None:
        """Trace nothing."""

    def ended(self, graph: str, how: str) -> None:
        """Do nothing."""

    def answered(self, plan: Plan, request: Request, answer: Answer, trace: RequestTrace | None) -> None:
        """Do nothing."""

    def broke(self, plan: Plan, request: Request, how: str, trace: RequestTrace | None) -> None:
        """Do nothing."""


UNWATCHED = Unwatched()
