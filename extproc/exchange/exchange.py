"""One HTTP request's conversation with Envoy: a table of phases, and what is done at each step.

A message that the table does not have at its phase is Envoy's error, raised before anything is decided.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from extproc.engine.answers import refused
from extproc.engine.deferred import Deferred
from extproc.engine.outcome import Answer, Outcome, TailCall
from extproc.engine.request import Request
from extproc.engine.run import Run
from extproc.errors import BadRequest, ProtocolError
from extproc.exchange import replies
from extproc.exchange.messages import Said, headers_of, names, read
from extproc.wire.ext_proc_pb2 import ProcessingMode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from extproc.engine.seams import Seams
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
_HEADERS = (Said.REQUEST_HEADERS, Said.REQUEST_HEADERS_ONLY)
MAX_DIGITS = 19  # of a content-length: more are more than any limit


class Phase(Enum):
    """What an exchange waits for."""

    HEADERS = auto()
    BODY = auto()
    DONE = auto()


class Needs(Enum):
    """What the plan must have seen before it decides; NOTHING where no graph matches."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


class Exchange:
    """The conversation about one request. ``graph`` is what Envoy's route named: ``graph@hash``, or nothing."""

    __slots__ = ("_needs", "_plans", "_request", "_seams", "phase", "plan")

    def __init__(self, plans: Plans, graph: str | None, seams: Seams) -> None:
        self.phase = Phase.HEADERS
        self.plan: Plan | None = None
        self._needs = Needs.NOTHING
        self._plans = plans
        self._seams = seams
        self._request: Request | None = None
        if graph is not None:
            self._enter(plans.by_id(graph), graph)

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
        said, parsed = read(message)
        if self._request is None and said in _HEADERS:
            self._read_headers(parsed)
        step = self._TABLE.get((self.phase, self._needs, said))
        if step is None:
            expected = names(kind for phase, needs, kind in self._TABLE if (phase, needs) == (self.phase, self._needs))
            raise ProtocolError(f"expected {expected}, got {said.value}")
        act, self.phase = step
        return act(self, parsed)

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

    def _pass(self, _message: ProcessingRequest) -> bytes:
        return replies.UNTOUCHED

    def _await_body(self, message: ProcessingRequest) -> bytes:
        plan, request = self.plan, self._known_request
        if plan is None or not (refusal := _refusal(message, request, plan.max_body)):
            return replies.CONTINUE_HEADERS
        self.phase = Phase.DONE
        if request.headers.get("content-type", "").startswith(GRPC):
            return replies.immediate_grpc(refusal.message, plan.id)
        return replies.immediate(refused(refusal, plan.graph, request.id, ""), plan.id)

    def _decide_by_headers(self, _message: ProcessingRequest) -> bytes | Awaitable[bytes]:
        return self._decide("request_headers")

    def _decide_by_body(self, message: ProcessingRequest) -> bytes | Awaitable[bytes]:
        plan, request = self.plan, self._known_request
        body = message.request_body.body
        request.raw_body = body or None  # an upload of nothing is no body, whether or not that was known before
        if plan is not None and len(body) > plan.max_body:
            return replies.immediate(refused(_TOO_LARGE, plan.graph, request.id, ""), plan.id)
        return self._decide("request_body")

    @property
    def _known_request(self) -> Request:
        if self._request is None:
            raise ProtocolError("a body came before its headers")
        return self._request

    def _decide(self, phase: replies.Answered) -> bytes | Awaitable[bytes]:
        plan = self.plan
        if plan is None:
            return replies.UNTOUCHED
        seams = self._seams
        outcome = Run(plan, self._known_request, seams, seams.now() + plan.timeout).start()
        if isinstance(outcome, TailCall | Answer):
            return _reply(outcome, phase, plan.id)
        return Deferred(lambda: self._later(outcome, phase, plan.id))

    async def _later(self, outcome: Awaitable[Outcome], phase: replies.Answered, graph: str) -> bytes:
        return _reply(await outcome, phase, graph)

    _TABLE: ClassVar[dict[tuple[Phase, Needs, Said], tuple[_Act, Phase]]] = {
        # the phase, what the plan needs, what Envoy said: what is done, the next phase
        (Phase.HEADERS, Needs.NOTHING, Said.REQUEST_HEADERS): (_pass, Phase.DONE),
        (Phase.HEADERS, Needs.NOTHING, Said.REQUEST_HEADERS_ONLY): (_pass, Phase.DONE),
        (Phase.HEADERS, Needs.HEADERS, Said.REQUEST_HEADERS): (_decide_by_headers, Phase.DONE),
        (Phase.HEADERS, Needs.HEADERS, Said.REQUEST_HEADERS_ONLY): (_decide_by_headers, Phase.DONE),
        (Phase.HEADERS, Needs.BODY, Said.REQUEST_HEADERS): (_await_body, Phase.BODY),
        (Phase.HEADERS, Needs.BODY, Said.REQUEST_HEADERS_ONLY): (_decide_by_headers, Phase.DONE),
        (Phase.BODY, Needs.BODY, Said.REQUEST_BODY): (_decide_by_body, Phase.DONE),
    }


def _refusal(message: ProcessingRequest, request: Request, max_body: int) -> BadRequest | None:
    """Return why a body that must be read never can be, None where it can."""
    if request.headers.get("content-type", "").startswith(GRPC):
        return _GRPC_UNREADABLE
    if message.HasField("protocol_config") and message.protocol_config.request_body_mode == ProcessingMode.NONE:
        return _BODY_NOT_SENT
    length = request.headers.get("content-length", "")
    return _TOO_LARGE if length.isdecimal() and int(length[:MAX_DIGITS]) > max_body else None


def _reply(outcome: Outcome, phase: replies.Answered, graph: str) -> bytes:
    if isinstance(outcome, Answer):
        return replies.immediate(outcome, graph)
    if outcome.payload is None and outcome.timeout is None:
        return replies.tail(phase, outcome.model.key, outcome.route)
    return replies.rewritten_tail(phase, outcome)
