"""What Envoy is told, as bytes. Replies to tail calls repeat, so each is built once for a route."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from extproc.headers import GRAPH_HEADER, MODEL_HEADER, ROUTE_HEADER
from extproc.wire.ext_proc_pb2 import (
    CommonResponse,
    HeaderMutation,
    HeaderValue,
    HeaderValueOption,
    ImmediateResponse,
    ProcessingResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.engine.outcome import Answer

# Distinct (model, route) pairs kept as bytes: routes are made of names in graphs, but nested splits multiply.
KEPT_REPLIES = 4096


def _options(headers: Iterable[tuple[str, str]]) -> list[HeaderValueOption]:
    return [HeaderValueOption(header=HeaderValue(key=name, raw_value=value.encode())) for name, value in headers]


def _continue() -> ProcessingResponse:
    reply = ProcessingResponse()
    reply.request_headers.SetInParent()
    return reply


CONTINUE_HEADERS = _continue().SerializeToString()


@lru_cache(KEPT_REPLIES)
def tail(phase: str, model: str, route: str) -> bytes:
    """Send the request on to a model; ``phase`` is ``request_headers`` or ``request_body``, whichever is answered.

    The route cache is cleared in the same reply: without that Envoy keeps the first-pass route.
    """
    mutation = HeaderMutation(set_headers=_options([(MODEL_HEADER, model), (ROUTE_HEADER, route)]))
    common = CommonResponse(header_mutation=mutation, clear_route_cache=True)
    reply = ProcessingResponse()
    getattr(reply, phase).response.CopyFrom(common)
    return reply.SerializeToString()


def _untouched() -> ProcessingResponse:
    reply = ProcessingResponse()
    reply.request_headers.response.header_mutation.remove_headers.extend([MODEL_HEADER, ROUTE_HEADER])
    return reply


# For a request that no graph matches: it goes on as it came, without what a client must not send.
UNTOUCHED = _untouched().SerializeToString()


def immediate(answer: Answer, graph: str) -> bytes:
    """Answer in the model's place."""
    headers = [*answer.headers, (GRAPH_HEADER, graph)]
    if answer.route:
        headers.append((ROUTE_HEADER, answer.route))
    reply = ProcessingResponse(
        immediate_response=ImmediateResponse(
            headers=HeaderMutation(set_headers=_options(headers)), body=answer.body, details=answer.details
        )
    )
    reply.immediate_response.status.code = answer.status
    return reply.SerializeToString()
