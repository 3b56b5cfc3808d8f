"""OTLP's spans as ours."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from extproc.telemetry.span import UNKNOWN_SERVICE, Event, Link, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent

MAX_ATTRIBUTES = 128  # of a span, an event, a link; MAX_EVENTS, MAX_LINKS of a span: the SDK's own defaults
MAX_EVENTS = 128
MAX_LINKS = 128
MAX_TEXT = 4096  # characters of a value or name: no attribute of ours or Envoy's is near
MAX_ITEMS = 128  # of a list or an object in a value
MAX_NESTING = 8  # of lists and objects in one another
SHORTENED = "…"  # in place of what is beyond these
TRACE_ID, SPAN_ID = 16, 8  # bytes
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


def spans(request: ExportTraceServiceRequest) -> Iterator[tuple[Span | None, int]]:
    """Yield every span with the number of bytes that it took; None for one without valid ids."""
    for resource in request.resource_spans:
        service = _attributes(resource.resource.attributes).get("service.name")
        named = str(service) if service else UNKNOWN_SERVICE
        for scope in resource.scope_spans:
            for sent in scope.spans:
                yield _span(sent, named), sent.ByteSize()


def _span(sent: Sent, service: str) -> Span | None:
    parent = sent.parent_span_id
    if not (_is_id(sent.trace_id, TRACE_ID) and _is_id(sent.span_id, SPAN_ID)) or len(parent) not in (0, SPAN_ID):
        return None
    return Span(
        trace_id=sent.trace_id.hex(),
        span_id=sent.span_id.hex(),
        parent_id=parent.hex() if any(parent) else "",
        name=_text(sent.name),
        start=sent.start_time_unix_nano,
        end=sent.end_time_unix_nano,
        service=service,
        kind=_word(_KINDS, sent.kind),
        attributes=_attributes(sent.attributes),
        events=tuple(
            Event(_text(one.name), one.time_unix_nano, _attributes(one.attributes))
            for one in islice(sent.events, MAX_EVENTS)
        ),
        links=tuple(
            Link(one.trace_id.hex(), one.span_id.hex(), _attributes(one.attributes))
            for one in islice(sent.links, MAX_LINKS)
            if _is_id(one.trace_id, TRACE_ID) and _is_id(one.span_id, SPAN_ID)
        ),
        status=_word(_STATUSES, sent.status.code),
        message=_text(sent.status.message),
    )


def _is_id(given: bytes, length: int) -> bool:
    """Tell whether bytes are an id: of one length, and not all zero (W3C Trace Context, "trace-id", "parent-id")."""
    return len(given) == length and any(given)


def _word(words: tuple[str, ...], number: int) -> str:
    """Return an enum's word; a number that a later version of the protocol may have is the first one's."""
    return words[number] if 0 <= number < len(words) else words[0]


def _text(text: str | bytes) -> str:
    """Return text, as long as it may be; what was no UTF-8 comes as bytes."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + SHORTENED


def _attributes(given: Iterable[KeyValue]) -> dict[str, Any]:
    return {_text(one.key): _value(one.value, MAX_NESTING) for one in islice(given, MAX_ATTRIBUTES)}


def _value(given: AnyValue, levels: int) -> Any:
    match given.WhichOneof("value"):
        case None:
            return None
        case "string_value":
            return _text(given.string_value)
        case "bytes_value":
            return _text(given.bytes_value[:MAX_TEXT].hex())
        case "array_value" | "kvlist_value" if levels == 0:
            return SHORTENED
        case "array_value":
            return [_value(one, levels - 1) for one in islice(given.array_value.values, MAX_ITEMS)]
        case "kvlist_value":
            items = islice(given.kvlist_value.values, MAX_ITEMS)
            return {_text(one.key): _value(one.value, levels - 1) for one in items}
        case plain:
            return getattr(given, plain)
