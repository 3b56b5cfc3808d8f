"""One HTTP request's conversation with Envoy: a table of phases, and what is done at each step.

A message that the table does not have at its phase is Envoy's error, raised before anything is decided.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from extproc.engine.decide import Walk
from extproc.engine.outcome import TailCall
from extproc.engine.request import Request
from extproc.errors import ProtocolError
from extproc.exchange import replies
from extproc.exchange.messages import Said, headers_of, names, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extproc.engine.seams import Recorder
    from extproc.plan.plan import Plan
    from extproc.plan.sticky import Random
    from extproc.wire.ext_proc_pb2 import ProcessingRequest


class Plans(Protocol):
    """Where an exchange finds its plan."""

    def by_id(self, name: str) -> Plan | None:
        """Return the plan ``graph@hash``, None where that generation is not at hand."""
        ...

    def by_match(self, host: str, path: str, headers: Mapping[str, str]) -> Plan | None:
        """Return the plan of the most specific match, None where no graph matches."""
        ...


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

    __slots__ = ("_needs", "_plans", "_random", "_recorder", "_request", "phase", "plan")

    def __init__(self, plans: Plans, graph: str | None, random: Random, recorder: Recorder) -> None:
        self.phase = Phase.HEADERS
        self.plan: Plan | None = None
        self._needs = Needs.NOTHING
        self._plans = plans
        self._random = random
        self._recorder = recorder
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

    def feed(self, message: bytes) -> bytes:
        """Take a message, return the reply. Raises ProtocolError for what does not belong here."""
        said, parsed = read(message)
        if self._request is None and said in _HEADERS:
            self._read_headers(parsed)
        step = _TABLE.get((self.phase, self._needs, said))
        if step is None:
            expected = names(kind for phase, needs, kind in _TABLE if (phase, needs) == (self.phase, self._needs))
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

    def _await_body(self, _message: ProcessingRequest) -> bytes:
        return replies.CONTINUE_HEADERS

    def _decide_by_headers(self, _message: ProcessingRequest) -> bytes:
        return self._decide("request_headers")

    def _decide_by_body(self, message: ProcessingRequest) -> bytes:
        self._known_request.raw_body = message.request_body.body
        return self._decide("request_body")

    @property
    def _known_request(self) -> Request:
        if self._request is None:
            raise ProtocolError("a body came before its headers")
        return self._request

    def _decide(self, phase: str) -> bytes:
        plan = self.plan
        if plan is None:
            return replies.UNTOUCHED
        outcome = Walk(plan, self._known_request, self._random, self._recorder).decide()
        if isinstance(outcome, TailCall):
            return replies.tail(phase, outcome.model.key, outcome.route)
        return replies.immediate(outcome, plan.id)


_HEADERS = (Said.REQUEST_HEADERS, Said.REQUEST_HEADERS_ONLY)

_TABLE: dict[tuple[Phase, Needs, Said], tuple[Callable[[Exchange, ProcessingRequest], bytes], Phase]] = {
    # the phase, what the plan needs, what Envoy said: what is done, the next phase
    (Phase.HEADERS, Needs.NOTHING, Said.REQUEST_HEADERS): (Exchange._pass, Phase.DONE),
    (Phase.HEADERS, Needs.NOTHING, Said.REQUEST_HEADERS_ONLY): (Exchange._pass, Phase.DONE),
    (Phase.HEADERS, Needs.HEADERS, Said.REQUEST_HEADERS): (Exchange._decide_by_headers, Phase.DONE),
    (Phase.HEADERS, Needs.HEADERS, Said.REQUEST_HEADERS_ONLY): (Exchange._decide_by_headers, Phase.DONE),
    (Phase.HEADERS, Needs.BODY, Said.REQUEST_HEADERS): (Exchange._await_body, Phase.BODY),
    (Phase.HEADERS, Needs.BODY, Said.REQUEST_HEADERS_ONLY): (Exchange._decide_by_headers, Phase.DONE),
    (Phase.BODY, Needs.BODY, Said.REQUEST_BODY): (Exchange._decide_by_body, Phase.DONE),
}
