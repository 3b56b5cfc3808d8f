"""One HTTP request's conversation with Envoy: a table of phases, and what is done at each step.

A message that the table does not have at its phase is Envoy's error, raised before anything is decided.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from extproc.engine.answers import refused
from extproc.engine.deferred import Deferred
from extproc.engine.outcome import Answer, Outcome, TailCall
from extproc.engine.payload import Payload
from extproc.engine.request import Request
from extproc.engine.run import Run
from extproc.engine.traceparent import Traceparent
from extproc.errors import BadRequest, ProtocolError
from extproc.exchange import replies
from extproc.exchange.messages import Said, headers_of, names, read
from extproc.exchange.watch import ANSWER, FAILED, LEFT, NO_GRAPH, PASSED, REFUSED, TAIL, UNWATCHED, Watch
from extproc.headers import TRACEPARENT_HEADER, UNTRACED
from extproc.wire.ext_proc_pb2 import ProcessingMode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from extproc.engine.pairing import Pair
    from extproc.engine.seams import Seams
    from extproc.exchange.watch import RequestTrace
    from extproc.plan.plan import Plan
    from extproc.wire.ext_proc_pb2 import ProcessingRequest

    _Act: TypeAlias = Callable[["Exchange", ProcessingRequest], bytes | Awaitable[bytes]]


class Plans(Protocol):
    """Where an exchange finds its plan."""

    def by_id(self, name: str) -> Plan | None:
        """Return the plan ``graph@hash``, None where that generation is not at hand."""
        ...

    def by_match(self, host: str, path: str, headers: Mapping[str, str]) -> Plan | None:
        """Return the plan of the most specific match, None where no graph matches."""
        ...


GRPC = "application/grpc"
_GRPC_UNREADABLE = BadRequest(415, "bad_encoding", "the graph reads the body, and does not read gRPC messages")
# Envoy refuses most of these itself, but counts no body below its connection's buffer.
_TOO_LARGE = BadRequest(413, "body_too_large", "the request's body is larger than maxBody")
# Attached to somebody else's routes, whose filter was left as it is by default.
_BODY_NOT_SENT = BadRequest(
    503,
    "unavailable",
    "the graph reads the body, and Envoy's route does not send it: request_body_mode is BUFFERED there",
)
_UNTRACED = Traceparent(UNTRACED)
_HEADERS = (Said.REQUEST_HEADERS, Said.REQUEST_HEADERS_ONLY)
MAX_DIGITS = 19  # of a content-length: more are more than any limit


class Phase(Enum):
    """What an exchange waits for."""

    HEADERS = auto()
    BODY = auto()
    RESPONSE = auto()
    RESPONSE_BODY = auto()
    DONE = auto()


class Needs(Enum):
    """What the plan must have seen before it decides; NOTHING where no graph matches.

    PAIR: it has decided, and what is still to come is copied for a challenge.
    """

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()
    PAIR = auto()


class Exchange:
    """The conversation about one request. ``graph`` is what Envoy's route named: ``graph@hash``, or nothing.

    ``traceparent`` is that of Envoy's span for this conversation (W3C Trace Context), where Envoy traces at all. Without a challenge that samples the request it ends with the decision; the response is not seen.
    """

    __slots__ = (
        "_ended",
        "_gone",
        "_needs",
        "_pair",
        "_plans",
        "_request",
        "_seams",
        "_trace",
        "_traceparent",
        "_watch",
        "phase",
        "plan",
    )

    def __init__(
        self,
        plans: Plans,
        graph: str | None,
        seams: Seams,
        watch: Watch = UNWATCHED,
        traceparent: Traceparent | None = None,
    ) -> None:
        self.phase = Phase.HEADERS
        self.plan: Plan | None = None
        self._ended = False
        self._gone = False
        self._needs = Needs.NOTHING
        self._plans = plans
        self._seams = seams
        self._request: Request | None = None
        self._pair: Pair | None = None
        self._watch = watch
        self._traceparent = traceparent
        self._trace: RequestTrace | None = None
        if graph is not None:
            self._enter_named(graph)

    def __repr__(self) -> str:
        """Say graph and phase."""
        return f"<Exchange {self.plan.id if self.plan else 'no graph'} {self.phase.name}>"

    @property
    def done(self) -> bool:
        """Whether Envoy has been told all there is to tell."""
        return self.phase is Phase.DONE

    def feed(self, message: bytes) -> bytes | Awaitable[bytes]:
        """Take a message, return the reply, or, where sub-calls are needed, what it can be awaited from.

        Raises ProtocolError for what does not belong here.
        """
        try:
            return self._feed(message)
        except ProtocolError:
            self._end(REFUSED)
            raise
        except Exception:
            self._end(FAILED)
            raise

    def _feed(self, message: bytes) -> bytes | Awaitable[bytes]:
        said, parsed = read(message)
        if self._request is None and said in _HEADERS:
            self._read_headers(parsed)
        step = self._TABLE.get((self.phase, self._needs, said))
        if step is None:
            expected = names(kind for phase, needs, kind in self._TABLE if (phase, needs) == (self.phase, self._needs))
            raise ProtocolError(f"expected {expected}, got {said.value}")
        act, self.phase = step
        return act(self, parsed)

    def gone(self) -> None:
        """Envoy says nothing more; comes after the last reply too, and more than once."""
        self._gone = True
        self.phase = Phase.DONE
        self._end(LEFT)
        if self._pair is not None:
            self._pair.left()
            self._pair = None

    def _end(self, how: str) -> None:
        """Tell how this ended; the first time counts."""
        if not self._ended:
            self._ended = True
            self._watch.ended(NO_GRAPH if self.plan is None else self.plan.graph, how)
            if how in {FAILED, REFUSED} and self.plan is not None and self._request is not None:
                self._watch.broke(self.plan, self._request, how, self._trace)
            if self._trace is not None and how not in {TAIL, ANSWER}:
                self._trace.cut_short(how)

    def _enter_named(self, graph: str) -> None:
        try:
            self._enter(self._plans.by_id(graph), graph)
        except ProtocolError:
            self._end(REFUSED)
            raise

    def _enter(self, plan: Plan | None, graph: str) -> None:
        if plan is None:
            raise ProtocolError(f"this processor does not have {graph}: Envoy and processor are generations apart")
        self.plan = plan
        self._needs = Needs.BODY if plan.reads_body else Needs.HEADERS

    def _read_headers(self, message: ProcessingRequest) -> None:
        request = self._request = Request(headers_of(message.request_headers))
        if self.plan is None:
            plan = self._plans.by_match(request.host, request.path, request.headers)
            if plan is not None:
                self._enter(plan, plan.id)
        if self.plan is not None:
            self._begin_trace(self.plan, request)

    def _begin_trace(self, plan: Plan, request: Request) -> None:
        """Begin the span of a request that is sampled; calls of one that is not carry on that it is not."""
        if self._traceparent is None and request.headers.get(TRACEPARENT_HEADER) == UNTRACED:
            del request.headers[TRACEPARENT_HEADER]  # Envoy's, not the client's
            request.traceparent = _UNTRACED
            return
        request.traceparent = self._traceparent
        self._trace = self._watch.trace(self._traceparent, plan, request)
        if self._trace is not None:
            self._seams = self._trace.seams(self._seams)

    def _pass(self, _message: ProcessingRequest) -> bytes:
        self._end(PASSED)
        return replies.UNTOUCHED

    def _await_body(self, message: ProcessingRequest) -> bytes:
        plan, request = self.plan, self._known_request
        if plan is None or not (refusal := _refusal(message, request, plan.max_body)):
            return replies.CONTINUE_HEADERS + (replies.SHOW_AFTER_BODY if plan and plan.shows_response else b"")
        self.phase = Phase.DONE
        reply = self._refuse(refusal, plan, request)
        if request.headers.get("content-type", "").startswith(GRPC):
            return replies.immediate_grpc(refusal.message, plan.id)
        return reply

    def _refuse(self, refusal: BadRequest, plan: Plan, request: Request) -> bytes:
        """Answer before the graph has begun."""
        answer = refused(refusal, plan.graph, request.id, "")
        self._answered(plan, request, answer, None)
        return replies.immediate(answer, plan.id)

    def _answered(self, plan: Plan, request: Request, answer: Answer, left: float | None) -> None:
        self._end(ANSWER)
        self._watch.answered(plan, request, answer, self._trace)
        if self._trace is not None:
            self._trace.answered(answer, left)

    def _decide_by_headers(self, _message: ProcessingRequest) -> bytes | Awaitable[bytes]:
        return self._decide("request_headers", whole=False)

    def _decide_without_body(self, _message: ProcessingRequest) -> bytes | Awaitable[bytes]:
        return self._decide("request_headers", whole=True)

    def _decide_by_body(self, message: ProcessingRequest) -> bytes | Awaitable[bytes]:
        plan, request = self.plan, self._known_request
        body = message.request_body.body
        request.raw_body = body or None  # an upload of nothing is no body, whether or not that was known before
        if plan is not None and len(body) > plan.max_body:
            return self._refuse(_TOO_LARGE, plan, request)
        return self._decide("request_body", whole=True)

    @property
    def _known_request(self) -> Request:
        if self._request is None:
            raise ProtocolError("a body came before its headers")
        return self._request

    def _decide(self, phase: replies.Answered, *, whole: bool) -> bytes | Awaitable[bytes]:
        plan = self.plan
        if plan is None:
            self._end(PASSED)
            return replies.UNTOUCHED
        seams = self._seams
        run = Run(plan, self._known_request, seams, seams.now() + plan.timeout, whole=whole)
        outcome = run.start()
        if isinstance(outcome, TailCall | Answer):
            return self._reply(run, outcome, phase)
        return Deferred(lambda: self._later(run, outcome, phase))

    async def _later(self, run: Run, outcome: Awaitable[Outcome], phase: replies.Answered) -> bytes:
        try:
            return self._reply(run, await outcome, phase)
        except Exception:
            self._end(FAILED)
            raise

    def _reply(self, run: Run, outcome: Outcome, phase: replies.Answered) -> bytes:
        if isinstance(outcome, Answer):
            self._answered(run.plan, run.request, outcome, run.deadline - self._seams.now())
            return replies.immediate(outcome, run.plan.id)
        self._end(TAIL)
        if self._trace is not None:
            self._trace.tail(outcome, run.deadline - self._seams.now())
        if outcome.payload is None and outcome.timeout is None:
            reply = replies.tail(phase, outcome.model.key, outcome.route)
        else:
            reply = replies.rewritten_tail(phase, outcome)
        pair, run.pair = run.pair, None  # who watches it has it: the pair knows its run, and a circle is collected late
        return reply if pair is None else reply + self._follow(pair, phase, whole=run.whole)

    # --- a sampled request

    def _follow(self, pair: Pair, phase: replies.Answered, *, whole: bool) -> bytes:
        """Go on to see what the champion answers; return what tells Envoy to show it."""
        if self._gone:
            pair.left()
            return b""
        self._pair = pair
        self._needs = Needs.PAIR
        self.phase = Phase.RESPONSE
        if phase == "request_body":
            return b""  # it was told with the headers
        if whole:
            return replies.SHOW_RESPONSE
        headers = self._known_request.headers
        if self.plan is not None and _too_long(self._known_request, self.plan.max_body):
            pair.too_large()
            return self._enough(b"")
        self.phase = Phase.BODY
        return replies.SHOW_AFTER_BODY if headers.get("content-length", "").isdecimal() else replies.SHOW_ALL

    @property
    def _watched(self) -> Pair:
        if self._pair is None:
            raise ProtocolError("a response came that nobody asked for")
        return self._pair

    def _enough(self, reply: bytes) -> bytes:
        """Give the last reply: Envoy goes on without us when the stream ends well."""
        self.phase = Phase.DONE
        self._pair = None
        return reply

    def _copy_body(self, message: ProcessingRequest) -> bytes:
        plan, pair, body = self.plan, self._watched, message.request_body
        request = self._known_request
        complete = body.end_of_stream or request.headers.get("content-length") == str(len(body.body))
        if plan is None or not complete or len(body.body) > plan.max_body:
            pair.too_large()
            return self._enough(replies.CONTINUE_BODY)
        request.raw_body = body.body or None
        if pair.begin(Payload(request.raw_body, request.headers.get("content-type"), own=True)):
            return replies.CONTINUE_BODY
        return self._enough(replies.CONTINUE_BODY)

    def _refused_by_envoy(self, _message: ProcessingRequest) -> bytes:
        return replies.CONTINUE_RESPONSE_HEADERS

    def _answered_early(self, _message: ProcessingRequest) -> bytes:
        """A response before the request was complete: Envoy refused it, or the model did not want to read it."""
        self._watched.left()
        return self._enough(replies.CONTINUE_RESPONSE_HEADERS)

    def _see_headers(self, message: ProcessingRequest) -> bytes:
        headers = headers_of(message.response_headers)
        status = headers.pop(":status", "")
        if not self._watched.response_began(int(status) if status.isdecimal() else 0, headers):
            return self._enough(replies.CONTINUE_RESPONSE_HEADERS)
        return replies.SHOW_RESPONSE_BODY

    def _see_headers_only(self, message: ProcessingRequest) -> bytes:
        pair = self._watched
        self._see_headers(message)
        pair.response_ended()
        return self._enough(replies.CONTINUE_RESPONSE_HEADERS)

    def _see_body(self, message: ProcessingRequest) -> bytes:
        pair, body = self._watched, message.response_body
        wanted = pair.response_body(body.body)
        if wanted and not body.end_of_stream:
            return replies.CONTINUE_RESPONSE_BODY
        if wanted:
            pair.response_ended()
        return self._enough(replies.CONTINUE_RESPONSE_BODY)

    def _see_trailers(self, _message: ProcessingRequest) -> bytes:
        self._watched.response_ended()
        return self._enough(replies.CONTINUE_RESPONSE_TRAILERS)

    _TABLE: ClassVar[dict[tuple[Phase, Needs, Said], tuple[_Act, Phase]]] = {
        # the phase, what the plan needs, what Envoy said: what is done, the next phase
        (Phase.HEADERS, Needs.NOTHING, Said.REQUEST_HEADERS): (_pass, Phase.DONE),
        (Phase.HEADERS, Needs.NOTHING, Said.REQUEST_HEADERS_ONLY): (_pass, Phase.DONE),
        (Phase.HEADERS, Needs.HEADERS, Said.REQUEST_HEADERS): (_decide_by_headers, Phase.DONE),
        (Phase.HEADERS, Needs.HEADERS, Said.REQUEST_HEADERS_ONLY): (_decide_without_body, Phase.DONE),
        (Phase.HEADERS, Needs.BODY, Said.REQUEST_HEADERS): (_await_body, Phase.BODY),
        (Phase.HEADERS, Needs.BODY, Said.REQUEST_HEADERS_ONLY): (_decide_without_body, Phase.DONE),
        (Phase.BODY, Needs.BODY, Said.REQUEST_BODY): (_decide_by_body, Phase.DONE),
        # Envoy refused the body itself, after it had asked us.
        (Phase.BODY, Needs.BODY, Said.RESPONSE_HEADERS): (_refused_by_envoy, Phase.DONE),
        (Phase.BODY, Needs.BODY, Said.RESPONSE_HEADERS_ONLY): (_refused_by_envoy, Phase.DONE),
        (Phase.BODY, Needs.PAIR, Said.REQUEST_BODY): (_copy_body, Phase.RESPONSE),
        (Phase.BODY, Needs.PAIR, Said.RESPONSE_HEADERS): (_answered_early, Phase.DONE),
        (Phase.BODY, Needs.PAIR, Said.RESPONSE_HEADERS_ONLY): (_answered_early, Phase.DONE),
        (Phase.RESPONSE, Needs.PAIR, Said.RESPONSE_HEADERS): (_see_headers, Phase.RESPONSE_BODY),
        (Phase.RESPONSE, Needs.PAIR, Said.RESPONSE_HEADERS_ONLY): (_see_headers_only, Phase.DONE),
        (Phase.RESPONSE_BODY, Needs.PAIR, Said.RESPONSE_BODY): (_see_body, Phase.RESPONSE_BODY),
        (Phase.RESPONSE_BODY, Needs.PAIR, Said.RESPONSE_TRAILERS): (_see_trailers, Phase.DONE),
    }


def _refusal(message: ProcessingRequest, request: Request, max_body: int) -> BadRequest | None:
    """Return why a body that must be read never can be, None where it can."""
    if request.headers.get("content-type", "").startswith(GRPC):
        return _GRPC_UNREADABLE
    if message.HasField("protocol_config") and message.protocol_config.request_body_mode == ProcessingMode.NONE:
        return _BODY_NOT_SENT
    return _TOO_LARGE if _too_long(request, max_body) else None


def _too_long(request: Request, max_body: int) -> bool:
    """Tell whether a request says itself that its body is too large."""
    length = request.headers.get("content-length", "")
    return length.isdecimal() and int(length[:MAX_DIGITS]) > max_body
