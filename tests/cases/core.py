"""The pure core on one request: no Envoy, no sockets, but the very messages that Envoy would send."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extproc.engine.seams import Seams
from extproc.exchange.exchange import Exchange
from extproc.graph import load
from extproc.headers import CONTROL_PREFIX, GRAPH_HEADER, MODEL_HEADER, ROUTE_HEADER
from extproc.plan.compile import compile_graph
from extproc.server.generations import Generations
from extproc.telemetry.counters import Counters
from extproc.wire.ext_proc_pb2 import (
    HeaderMap,
    HeaderMutation,
    HeaderValue,
    HttpBody,
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
)
from tests.engine.deciding import Uncalled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cases.cases import Asked

MADE_ID = "made-by-envoy"


def generations(file: Path) -> Generations:
    """The plans of a file of graphs, in force."""
    loading = load([file])
    assert not loading.errors, "\n".join(map(str, loading.errors))
    plans = Generations()
    plans.load([compile_graph(graph) for graph in loading.graphs])
    return plans


@dataclass(frozen=True)
class Outcome:
    """How a conversation ended; ``asked_for_body``: it was not decided before the body was there."""

    graph: str | None
    asked_for_body: bool
    reply: ProcessingResponse

    @property
    def _mutation(self) -> HeaderMutation:
        phase = self.reply.request_body if self.asked_for_body else self.reply.request_headers
        return phase.response.header_mutation

    @property
    def answered(self) -> bool:
        """Whether the processor answered in the model's place."""
        return bool(self.reply.WhichOneof("response") == "immediate_response")

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers, or what the request was given on its way."""
        mutation = self.reply.immediate_response.headers if self.answered else self._mutation
        return {option.header.key: option.header.raw_value.decode() for option in mutation.set_headers}

    @property
    def model(self) -> str | None:
        """The model's key, None without one."""
        return self.headers.get(MODEL_HEADER)

    @property
    def route(self) -> str | None:
        """What the client is shown of the way."""
        return self.headers.get(ROUTE_HEADER)

    @property
    def graph_shown(self) -> str | None:
        """What the client is shown of the graph; on a tail call Envoy does that."""
        return self.headers.get(GRAPH_HEADER, self.graph)


def converse(plans: Generations, asked: Asked, *, told: bool, seed: int = 0) -> Outcome:
    """Ask the core; ``told``: Envoy's route names the graph, else the processor matches by itself."""
    graph = None
    if told:
        matching = _exchange(plans, None, seed)
        matching.feed(_headers(asked).SerializeToString())
        graph = matching.plan.id if matching.plan else None
    exchange = _exchange(plans, graph, seed)
    reply = _reply(exchange, _headers(asked))
    asked_for_body = not exchange.done
    if asked_for_body:
        assert not reply.request_headers.response.header_mutation.set_headers
        reply = _reply(exchange, ProcessingRequest(request_body=HttpBody(body=asked.body, end_of_stream=True)))
    assert exchange.done
    return Outcome(exchange.plan.id if exchange.plan else None, asked_for_body, reply)


def _exchange(plans: Generations, graph: str | None, seed: int) -> Exchange:
    return Exchange(plans, graph, Seams(random.Random(seed), Counters(), Uncalled(), lambda: 0.0))


def _reply(exchange: Exchange, message: ProcessingRequest) -> ProcessingResponse:
    """Feed a message; the graphs of the cases make no sub-calls, so that nothing is awaited."""
    reply = exchange.feed(message.SerializeToString())
    assert isinstance(reply, bytes)
    return ProcessingResponse.FromString(reply)


def _headers(asked: Asked) -> ProcessingRequest:
    """The headers as Envoy shows them: names in lower case, an id made where none was sent, no spoofed ones."""
    pairs = [(":authority", asked.host), (":path", asked.path), (":method", asked.method), (":scheme", "http")]
    pairs += [(name.lower(), value) for name, value in asked.all_headers]
    if not any(name == "x-request-id" for name, _ in pairs):
        pairs.append(("x-request-id", MADE_ID))
    shown = [pair for pair in pairs if not pair[0].startswith(CONTROL_PREFIX)]
    headers = HeaderMap(headers=[HeaderValue(key=name, raw_value=value.encode("latin-1")) for name, value in shown])
    return ProcessingRequest(request_headers=HttpHeaders(headers=headers, end_of_stream=not asked.body))
