"""Spans of requests: one for each graph's run, one for each sub-call, one for each challenger's leg.

Few, because each costs up to 150 microseconds with its export: decisions, retries and hedges are events of theirs. A request whose parent
is not sampled makes none, and costs a look at its parent's flags.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from extproc.engine.calling import Failed
from extproc.headers import TRACEPARENT_HEADER
from extproc.telemetry import genai

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from extproc.engine.calling import Caller, Reply, SubCall
    from extproc.engine.outcome import Answer, TailCall
    from extproc.engine.request import Request
    from extproc.engine.seams import Recorder, Seams
    from extproc.engine.traceparent import Traceparent
    from extproc.expr import EvaluationError, Program
    from extproc.plan.plan import Branch, Plan

GRAPH, GENERATION, ROUTE, OUTCOME = "extproc.graph", "extproc.generation", "extproc.route", "extproc.outcome"
NODE, BRANCH, MODEL, LEG, CHALLENGER = (
    "extproc.node",
    "extproc.branch",
    "extproc.model",
    "extproc.leg",
    "extproc.challenger",
)
EXPRESSION, RESULT = "extproc.expression", "extproc.result"
ATTEMPTS, ATTEMPT, HEDGED = "extproc.attempts", "extproc.attempt", "extproc.hedged"
DEADLINE_LEFT = "extproc.deadline.left"  # seconds
REQUEST_ID = "extproc.request_id"
CANCELLED = "cancelled"
# Names of OpenTelemetry's semantic conventions, HTTP and RPC.
METHOD, STATUS, ERROR = "http.request.method", "http.response.status_code", "error.type"
_RPC = {"rpc.system": "grpc", "rpc.service": "envoy.service.ext_proc.v3.ExternalProcessor", "rpc.method": "Process"}
_FIRST_ERROR = 400  # to a client 4xx and 5xx are errors, to a server 5xx alone (semantic conventions, HTTP spans)
_FIRST_SERVER_ERROR = 500
# Version, trace, span, flags; a later version may have more (W3C Trace Context, "Versioning of traceparent").
_TRACEPARENT = re.compile("([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
# What http.request.method may say (semantic conventions, HTTP spans): a client may have written any word.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_OTHER_METHOD = "_OTHER"
MAX_TEXT = 256  # characters of what a client wrote itself: a request's id, a model's name


class Traces:
    """Begins requests' spans."""

    def __init__(self, tracer: Tracer, now: Callable[[], float]) -> None:
        self._tracer = tracer
        self._now = now

    def trace(self, traceparent: Traceparent | None, plan: Plan, request: Request) -> RequestSpan | None:
        """Begin a request's span, None where it is not sampled: by the parent, and without one by the sampler.

        For a traceparent that cannot be read Envoy makes no span, and so there is none here.
        """
        if traceparent is not None and not traceparent.sampled:
            return None
        text = request.headers.get(TRACEPARENT_HEADER) if traceparent is None else str(traceparent)
        parent = Context() if text is None else parent_of(text)
        if parent is None:
            return None
        attributes = {
            **_RPC,
            GRAPH: plan.graph,
            GENERATION: plan.id.partition("@")[2],
            METHOD: _method(request.method),
            REQUEST_ID: request.id[:MAX_TEXT],
        }
        span = self._tracer.start_span(f"graph {plan.graph}", parent, SpanKind.SERVER, attributes=attributes)
        return RequestSpan(self._tracer, span, plan, request, self._now) if span.is_recording() else None


class RunSpan:
    """The span of a run, the request's or a challenger's leg's."""

    def __init__(self, tracer: Tracer, span: Span, graph: str, now: Callable[[], float]) -> None:
        self.tracer = tracer
        self.span = span
        self.graph = graph
        self.now = now
        self.context: Context = set_span_in_context(span)

    def __repr__(self) -> str:
        """Say the span's name and ids."""
        return f"<{type(self).__name__} {traceparent_of(self.span)}>"

    @property
    def id(self) -> str:
        """The trace's id."""
        return f"{self.span.get_span_context().trace_id:032x}"

    def seams(self, seams: Seams) -> Seams:
        """Return seams that tell this span of decisions, and make each call a span below it."""
        return replace(
            seams,
            recorder=SpanRecorder(self.span, seams.recorder),
            caller=SpanCaller(self, seams.caller),
            trace=self,
        )

    def challenger(self, name: str) -> LegSpan:
        """Begin the span of a challenger's leg."""
        context = self.span.get_span_context()
        span = self.tracer.start_span(
            f"challenger {name}",
            self.context,
            SpanKind.INTERNAL,
            attributes={GRAPH: self.graph, LEG: "challenger", CHALLENGER: name},
            links=[Link(context, {LEG: "champion"})],
        )
        return LegSpan(self.tracer, span, self.graph, self.now)


class LegSpan(RunSpan):
    """A challenger's leg; it may outlast the request's span."""

    def ended(self, outcome: str) -> None:
        """End it; the first time counts."""
        if self.span.is_recording():
            self.span.set_attribute(OUTCOME, outcome)
            self.span.end()


class RequestSpan(RunSpan):
    """A request's span: from the first message about it to the decision."""

    def __init__(self, tracer: Tracer, span: Span, plan: Plan, request: Request, now: Callable[[], float]) -> None:
        super().__init__(tracer, span, plan.graph, now)
        self._request = request

    def tail(self, call: TailCall, left: float) -> None:
        """Envoy makes the last call."""
        if self.span.is_recording():
            self._end({OUTCOME: "tail", ROUTE: call.route, MODEL: call.model.name, DEADLINE_LEFT: _rounded(left)})

    def answered(self, answer: Answer, left: float | None = None) -> None:
        """The answer was computed here."""
        if not self.span.is_recording():
            return
        attributes: dict[str, AttributeValue] = {OUTCOME: "answer", ROUTE: answer.route, STATUS: answer.status}
        if answer.model:
            attributes[MODEL] = answer.model
        if left is not None:
            attributes[DEADLINE_LEFT] = _rounded(left)
        code = answer.code or str(answer.status)
        if answer.status >= _FIRST_ERROR:
            attributes[ERROR] = code
        if answer.status >= _FIRST_SERVER_ERROR:
            self.span.set_status(Status(StatusCode.ERROR, code))
        self._end(attributes)

    def cut_short(self, how: str) -> None:
        """There was no decision."""
        if self.span.is_recording():
            if how != "left":
                self.span.set_status(Status(StatusCode.ERROR, how))
            self._end({OUTCOME: how})

    def _end(self, attributes: dict[str, AttributeValue]) -> None:
        self.span.set_attributes({**attributes, **genai.of_request(self._request.target, self._request.raw_body)})
        self.span.end()


class SpanRecorder:
    """Tells a span of decisions, and another recorder too."""

    def __init__(self, span: Span, other: Recorder) -> None:
        self._span = span
        self._other = other

    def decided(self, plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """Add an event: the branch, and the condition that held. A key's value is the client's own and is not told."""
        self._other.decided(plan, node, branch, program, value)
        attributes = {NODE: node, BRANCH: branch.name}
        if program is not None:
            attributes[EXPRESSION] = program.text
            attributes[RESULT] = "true" if value is True else "no key" if value is None else "a key"
        self._span.add_event("decision", attributes)

    def expression_failed(self, plan: Plan, node: str, program: Program, error: EvaluationError) -> None:
        """Add an event. What failed about it may hold a part of a body and is not told."""
        self._other.expression_failed(plan, node, program, error)
        self._span.add_event("expression_failed", {NODE: node, EXPRESSION: program.text})


class SpanCaller:
    """Makes each call a span below a run's."""

    def __init__(self, run: RunSpan, other: Caller) -> None:
        self._run = run
        self._other = other

    async def call(self, call: SubCall) -> Reply | Failed:
        """Call a model."""
        run = self._run
        target = call.model.path or call.target
        attributes = {
            GRAPH: run.graph,
            NODE: call.node,
            MODEL: call.model.name,
            METHOD: _method(call.method),
            DEADLINE_LEFT: _rounded(call.deadline - run.now()),
            **genai.of_request(target, call.body),
        }
        span = run.tracer.start_span(f"call {call.model.name}", run.context, SpanKind.CLIENT, attributes=attributes)
        headers = {**call.headers, TRACEPARENT_HEADER: traceparent_of(span)}
        outcome: Reply | Failed | None = None
        try:
            outcome = await self._other.call(replace(call, headers=headers, watch=SpanWatch(span)))
        finally:
            _end_call(span, target, outcome)
        return outcome


class SpanWatch:
    """Tells a call's span of its attempts."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def attempt(self, number: int, *, hedge: bool) -> None:
        """Add an event."""
        self._span.add_event("hedge" if hedge else "retry", {ATTEMPT: number})

    def ended(self, attempts: int, *, hedged: bool) -> None:
        """Say how many there were."""
        self._span.set_attributes({ATTEMPTS: attempts, HEDGED: hedged})


def _end_call(span: Span, target: str, outcome: Reply | Failed | None) -> None:
    match outcome:
        case None:
            span.set_attribute(OUTCOME, CANCELLED)
        case Failed(cause=cause):
            span.set_attributes({OUTCOME: cause.value, ERROR: cause.value})
            span.set_status(Status(StatusCode.ERROR, cause.value))
        case _:
            span.set_attributes({OUTCOME: f"{outcome.status // 100}xx", STATUS: outcome.status})
            if outcome.status >= _FIRST_ERROR:
                span.set_attribute(ERROR, str(outcome.status))
                span.set_status(Status(StatusCode.ERROR))
            span.set_attributes(genai.of_response(target, outcome.body))
    span.end()


def parent_of(traceparent: str) -> Context | None:
    """Return the context of a remote parent, None for what is no traceparent.

    The library's own propagator, with a carrier and two copies of the context, takes nearly twice as long.
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    context = SpanContext(
        int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=TraceFlags(int(found[4], 16))
    )
    return set_span_in_context(NonRecordingSpan(context)) if context.is_valid else None


def _method(name: str) -> str:
    return name if name in _METHODS else _OTHER_METHOD


def traceparent_of(span: Span) -> str:
    """Return a span's name as calls carry it on (W3C Trace Context, "traceparent header")."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"


def _rounded(seconds: float) -> float:
    return round(seconds, 3)  # the event loop's clock counts milliseconds
