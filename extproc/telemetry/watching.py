"""What a worker tells of its exchanges: counts of all, spans of those that are sampled, a line for each that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from extproc.telemetry.counters import DEADLINES, EXCHANGES, PROCESSOR

if TYPE_CHECKING:
    from extproc.engine.outcome import Answer
    from extproc.engine.request import Request
    from extproc.engine.traceparent import Traceparent
    from extproc.exchange.watch import RequestTrace
    from extproc.plan.plan import Plan
    from extproc.telemetry.counters import Counters
    from extproc.telemetry.failures import FailureLog

DEADLINE = "deadline"
_FIRST_ERROR = 400
_DASHES = 3  # of a traceparent
UNAVAILABLE = 503  # what a closed graph answers then


class Tracing(Protocol):
    """Begins spans."""

    def trace(self, traceparent: Traceparent | None, plan: Plan, request: Request) -> RequestTrace | None:
        """Begin a request's span, None where it is not sampled."""
        ...


class Watching:
    """A ``Watch`` of the exchange's."""

    def __init__(self, counters: Counters, failures: FailureLog, traces: Tracing | None = None) -> None:
        self._counters = counters
        self._failures = failures
        self._traces = traces

    def __repr__(self) -> str:
        """Say whether requests are traced."""
        return f"<Watching {'with' if self._traces else 'without'} traces>"

    def trace(self, traceparent: Traceparent | None, plan: Plan, request: Request) -> RequestTrace | None:
        """Begin a request's span."""
        return None if self._traces is None else self._traces.trace(traceparent, plan, request)

    def ended(self, graph: str, how: str) -> None:
        """Count an exchange."""
        self._counters.counts[EXCHANGES, graph, how] += 1

    def answered(self, plan: Plan, request: Request, answer: Answer, trace: RequestTrace | None) -> None:
        """Count a missed deadline, and log what failed."""
        code = answer.code
        if code == DEADLINE:
            self._counters.counts[DEADLINES, plan.graph, PROCESSOR] += 1
        if code and answer.status >= _FIRST_ERROR:
            self._failures.failed(
                graph=plan.graph,
                status=answer.status,
                code=code,
                request_id=request.id,
                trace_id=_trace_id(request, trace),
                model=answer.model,
                route=answer.route,
            )

    def broke(self, plan: Plan, request: Request, how: str, trace: RequestTrace | None) -> None:
        """Log a request that we, or Envoy, could not go on with."""
        self._failures.failed(
            graph=plan.graph,
            status=UNAVAILABLE,
            code=f"processor_{how}",
            request_id=request.id,
            trace_id=_trace_id(request, trace),
        )


def _trace_id(request: Request, trace: RequestTrace | None) -> str:
    """Return the id of a request's trace, recorded or not; nothing where it has none."""
    if trace is not None:
        return trace.id
    parts = "" if request.traceparent is None else str(request.traceparent)
    return parts.split("-")[1] if parts.count("-") >= _DASHES else ""
