"""What Envoy is told, as bytes. Replies to tail calls repeat, so each is built once for a route."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from extproc.headers import (
    EXPECTED_TIMEOUT_HEADER,
    GRAPH_HEADER,
    MODEL_HEADER,
    PER_TRY_TIMEOUT_HEADER,
    ROUTE_HEADER,
)
from extproc.wire.ext_proc_pb2 import (
    CommonResponse,
    HeaderMutation,
    HeaderValue,
    HeaderValueOption,
    ImmediateResponse,
    ProcessingMode,
    ProcessingResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.engine.outcome import Answer, TailCall
    from extproc.engine.payload import Payload

Answered: TypeAlias = Literal["request_headers", "request_body"]
GRPC_UNIMPLEMENTED = 12
# Distinct (model, route) pairs kept as bytes: routes are made of names in graphs, but nested splits multiply.
KEPT_REPLIES = 4096


def _options(headers: Iterable[tuple[str, str]]) -> list[HeaderValueOption]:
    return [HeaderValueOption(header=HeaderValue(key=name, raw_value=value.encode())) for name, value in headers]


def _continue(said: str) -> bytes:
    reply = ProcessingResponse()
    getattr(reply, said).SetInParent()
    return reply.SerializeToString()


CONTINUE_HEADERS = _continue("request_headers")
CONTINUE_BODY = _continue("request_body")
CONTINUE_RESPONSE_HEADERS = _continue("response_headers")
CONTINUE_RESPONSE_BODY = _continue("response_body")
CONTINUE_RESPONSE_TRAILERS = _continue("response_trailers")


def _mode(request_body: ProcessingMode.BodySendMode, response_body: ProcessingMode.BodySendMode) -> bytes:
    """Return a change of what Envoy sends from here on: appended to a reply it is a part of it.

    Serialized protobuf messages that are put together are merged (protobuf docs, "Encoding", last one wins).
    """
    mode = ProcessingMode(
        request_header_mode=ProcessingMode.SEND,
        response_header_mode=ProcessingMode.SEND,
        request_body_mode=request_body,
        response_body_mode=response_body,
        request_trailer_mode=ProcessingMode.SKIP,
        response_trailer_mode=ProcessingMode.SKIP if response_body == ProcessingMode.NONE else ProcessingMode.SEND,
    )
    return ProcessingResponse(mode_override=mode).SerializeToString()


# A request's body of known length, which fits, is buffered. One of unknown length is copied as far as Envoy's buffer goes:
# what is larger goes on all the same (partially buffered), which no other mode does for certain. Not where the length is
# known: partially buffered, an HTTP/2 body with trailers may reach the model twice (seen on 1.40). Of the response the headers come first; in the answer to them the body is asked
# for, in pieces that are never held. Asked for any earlier, Envoy takes the response's content-length away (seen on 1.40).
SHOW_ALL = _mode(ProcessingMode.BUFFERED_PARTIAL, ProcessingMode.NONE)
SHOW_RESPONSE = _mode(ProcessingMode.NONE, ProcessingMode.NONE)
SHOW_AFTER_BODY = _mode(ProcessingMode.BUFFERED, ProcessingMode.NONE)
SHOW_RESPONSE_BODY = CONTINUE_RESPONSE_HEADERS + _mode(ProcessingMode.NONE, ProcessingMode.STREAMED)


@lru_cache(KEPT_REPLIES)
def tail(phase: Answered, model: str, route: str) -> bytes:
    """Send the request on to a model; ``phase`` is ``request_headers`` or ``request_body``, whichever is answered.

    The route cache is cleared in the same reply: without that Envoy keeps the first-pass route.
    """
    mutation = HeaderMutation(set_headers=_options([(MODEL_HEADER, model), (ROUTE_HEADER, route)]))
    common = CommonResponse(header_mutation=mutation, clear_route_cache=True)
    reply = ProcessingResponse()
    getattr(reply, phase).response.CopyFrom(common)
    return reply.SerializeToString()


def rewritten_tail(phase: Answered, call: TailCall) -> bytes:
    """Send the request on to a model with another body, with what is left of the deadline, or both.

    A body in the answer to headers replaces what there is not; Envoy then sends it in chunks, without a length.
    """
    headers = [(MODEL_HEADER, call.model.key), (ROUTE_HEADER, call.route)]
    if call.timeout is not None:
        milliseconds = str(max(1, int(call.timeout * 1000)))
        headers += [(PER_TRY_TIMEOUT_HEADER, milliseconds), (EXPECTED_TIMEOUT_HEADER, milliseconds)]
    common = CommonResponse(clear_route_cache=True)
    if call.payload is not None:
        body = call.payload.body or b""
        common.body_mutation.body = body
        headers += _of_body(call.payload)
        common.header_mutation.remove_headers.append("content-encoding")
        if phase == "request_headers":
            common.status = CommonResponse.CONTINUE_AND_REPLACE
            common.header_mutation.remove_headers.append("content-length")
        else:
            headers.append(("content-length", str(len(body))))
    common.header_mutation.set_headers.extend(_options(headers))
    reply = ProcessingResponse()
    getattr(reply, phase).response.CopyFrom(common)
    return reply.SerializeToString()


def _of_body(payload: Payload) -> list[tuple[str, str]]:
    content_type = [("content-type", payload.content_type)] if payload.content_type else []
    return [*content_type, (":method", "POST")] if payload.made else content_type


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
            headers=HeaderMutation(set_headers=_appended(headers)), body=answer.body, details=answer.details
        )
    )
    reply.immediate_response.status.code = answer.status
    return reply.SerializeToString()


def _appended(headers: Iterable[tuple[str, str]]) -> list[HeaderValueOption]:
    """Return headers of which a repeated one is added to the first: set-cookie may not be joined."""
    seen: set[str] = set()
    options = []
    for name, value in headers:
        option = HeaderValueOption(header=HeaderValue(key=name, raw_value=value.encode()))
        if name in seen:
            option.append.value = True
        seen.add(name)
        options.append(option)
    return options


def immediate_grpc(message: str, graph: str) -> bytes:
    """Answer a gRPC client with a status of its own protocol: UNIMPLEMENTED, what the graph cannot do."""
    reply = ProcessingResponse(
        immediate_response=ImmediateResponse(
            headers=HeaderMutation(set_headers=_options([(GRAPH_HEADER, graph)])),
            body=message.encode(),
            details="extproc.grpc",
        )
    )
    reply.immediate_response.status.code = 415
    reply.immediate_response.grpc_status.status = GRPC_UNIMPLEMENTED
    return reply.SerializeToString()
