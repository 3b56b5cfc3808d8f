"""What Envoy says, read from bytes."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from extproc.errors import ProtocolError
from extproc.wire.ext_proc_pb2 import HttpHeaders, ProcessingRequest

if TYPE_CHECKING:
    from collections.abc import Iterable


class Said(Enum):
    """The kinds of message, as the table of phases tells them apart."""

    REQUEST_HEADERS = "request_headers"
    REQUEST_HEADERS_ONLY = "request_headers, end of stream"
    REQUEST_BODY = "request_body"
    REQUEST_TRAILERS = "request_trailers"
    RESPONSE_HEADERS = "response_headers"
    RESPONSE_HEADERS_ONLY = "response_headers, end of stream"
    RESPONSE_BODY = "response_body"
    RESPONSE_TRAILERS = "response_trailers"


_KINDS = {said.value: said for said in Said}


def read(message: bytes) -> tuple[Said, ProcessingRequest]:
    """Parse a message and tell its kind. Raises ProtocolError."""
    try:
        parsed = ProcessingRequest.FromString(message)
    except DecodeError:
        raise ProtocolError("Envoy sent what is no ProcessingRequest") from None
    name = parsed.WhichOneof("request")
    if name is None:
        raise ProtocolError("Envoy sent a message that says nothing")
    if name == "request_headers" and parsed.request_headers.end_of_stream:
        return Said.REQUEST_HEADERS_ONLY, parsed
    if name == "response_headers" and parsed.response_headers.end_of_stream:
        return Said.RESPONSE_HEADERS_ONLY, parsed
    return _KINDS[name], parsed


def headers_of(message: HttpHeaders) -> dict[str, str]:
    """Return headers by lower-case name, repeated ones joined with a comma."""
    found: dict[str, str] = {}
    for header in message.headers.headers:
        name = header.key
        value = text(header.raw_value)
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def text(raw: bytes) -> str:
    """Decode a header's value: UTF-8, or Latin-1 where it is not; no byte is lost and nothing raises."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def names(kinds: Iterable[Said]) -> str:
    """Say kinds of message in a sentence."""
    return " or ".join(sorted(kind.value for kind in kinds)) or "nothing"
