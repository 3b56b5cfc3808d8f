"""One request through the public seam: bytes into an exchange, and what the reply says as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extproc.engine.pairing import UNCHALLENGED
from extproc.engine.request import Request
from extproc.engine.seams import Seams
from extproc.exchange.exchange import Exchange
from extproc.headers import GRAPH_HEADER, MODEL_HEADER, ROUTE_HEADER
from extproc.server.generations import Generations
from extproc.wire.ext_proc_pb2 import (
    HeaderMap,
    HeaderValue,
    HttpBody,
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extproc.engine.calling import Failed, Reply, SubCall
    from extproc.engine.pairing import Challenging
    from extproc.exchange.exchange import Plans
    from extproc.expr import EvaluationError, Program
    from extproc.plan.plan import Branch, Plan

REQUEST = {":method": "POST", ":path": "/fraud", ":authority": "example.com", ":scheme": "http", "x-request-id": "id-1"}


class Scripted:
    """A Random that says the numbers it was given; more than those is a mistake."""

    def __init__(self, numbers: Iterable[float] = ()) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        """Return the next number."""
        return self.numbers.pop(0)


class Recording:
    """A Recorder that keeps what it is told, as tuples."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def decided(self, plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """Keep a decision."""
        self.told.append(("decided", plan.graph, node, branch.name, program.text if program else None, value))

    def expression_failed(self, plan: Plan, node: str, program: Program, _error: EvaluationError) -> None:
        """Keep a failed expression."""
        self.told.append(("failed", plan.graph, node, program.text))


@dataclass(frozen=True)
class Called:
    """Envoy was told to make the call: the model's key, and the route that the client is shown."""

    model: str
    route: str


@dataclass(frozen=True)
class Answered:
    """Envoy was given an answer; ``headers`` without the project's own."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    route: str
    details: str


class Uncalled:
    """A Caller for graphs that need no sub-call."""

    async def call(self, call: SubCall) -> Reply | Failed:
        """Fail the test."""
        raise AssertionError(f"nobody expected a call of {call.model}")


def seams(random: Any, recorder: Any, challenging: Challenging = UNCHALLENGED) -> Seams:
    """The world of these tests: scripted chance, and a clock that stands still."""
    return Seams(random, recorder, Uncalled(), lambda: 1000.0, challenging)


def open_exchange(
    plans: Plans, graph: str | None, random: Any, recorder: Any, challenging: Challenging = UNCHALLENGED
) -> Exchange:
    """The one place where these tests make an exchange."""
    return Exchange(plans, graph, seams(random, recorder, challenging))


def fed(exchange: Exchange, message: bytes) -> bytes:
    """The reply to a message, which needs no await where no sub-call is made."""
    reply = exchange.feed(message)
    assert isinstance(reply, bytes), "a decision without a sub-call must not need an await"
    return reply


def generations(plans: Iterable[Plan]) -> Generations:
    """One generation of plans."""
    known = Generations()
    known.load(list(plans))
    return known


def header_map(headers: Iterable[tuple[str, str | bytes]]) -> HeaderMap:
    """Headers as Envoy sends them: values as raw bytes."""
    values = ((name, value.encode() if isinstance(value, str) else value) for name, value in headers)
    return HeaderMap(headers=[HeaderValue(key=name, raw_value=value) for name, value in values])


def headers(more: Mapping[str, str | bytes | list[Any]] | None = None, *, end: bool = False) -> bytes:
    """A request_headers message; a list is a repeated header."""
    pairs = [
        (name, one)
        for name, value in {**REQUEST, **(more or {})}.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    message = HttpHeaders(headers=header_map(pairs), end_of_stream=end)
    return ProcessingRequest(request_headers=message).SerializeToString()


def body(data: bytes, *, end: bool = True) -> bytes:
    """A request_body message."""
    return ProcessingRequest(request_body=HttpBody(body=data, end_of_stream=end)).SerializeToString()


def request(more: dict[str, str] | None = None, data: bytes | None = None) -> Request:
    """A POST to /fraud with an id, unless the headers say otherwise."""
    return Request({**REQUEST, **(more or {})}, data)


def decide(
    plan: Plan,
    more: Mapping[str, str] | None = None,
    data: bytes | None = None,
    chance: Iterable[float] = (),
    recorder: Any = None,
) -> Called | Answered:
    """What becomes of one request; every scripted number must have been asked for."""
    random = Scripted(chance)
    exchange = open_exchange(generations([plan]), plan.id, random, Recording() if recorder is None else recorder)
    reply = fed(exchange, headers(more, end=data is None))
    if data is not None and not exchange.done:
        reply = fed(exchange, body(data))
    assert exchange.done
    assert not random.numbers, "fewer random numbers were drawn than expected"
    return outcome(ProcessingResponse.FromString(reply))


def outcome(reply: ProcessingResponse) -> Called | Answered:
    """What a last reply says."""
    kind = reply.WhichOneof("response")
    if kind == "immediate_response":
        answer = reply.immediate_response
        shown = [(one.header.key, one.header.raw_value.decode()) for one in answer.headers.set_headers]
        own = tuple((name, value) for name, value in shown if name not in {GRAPH_HEADER, ROUTE_HEADER})
        return Answered(answer.status.code, own, answer.body, dict(shown).get(ROUTE_HEADER, ""), answer.details)
    common = (reply.request_body if kind == "request_body" else reply.request_headers).response
    shown = [(one.header.key, one.header.raw_value.decode()) for one in common.header_mutation.set_headers]
    return Called(dict(shown)[MODEL_HEADER], dict(shown)[ROUTE_HEADER])


def called(found: Called | Answered) -> tuple[str, str]:
    """The model's key and the route of a tail call."""
    assert isinstance(found, Called), found
    return found.model, found.route


def answered(found: Called | Answered) -> Answered:
    """The outcome as the answer it must be."""
    assert isinstance(found, Answered), found
    return found


def error(found: Called | Answered) -> tuple[int, dict[str, Any]]:
    """Status and error object of an answer that is an error: JSON with nothing beside ``error``."""
    answer = answered(found)
    assert dict(answer.headers)["content-type"] == "application/json"
    document = json.loads(answer.body)
    assert list(document) == ["error"]
    assert answer.details.startswith("extproc.")
    return answer.status, document["error"]
