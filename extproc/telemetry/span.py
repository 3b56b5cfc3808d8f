"""A span as it was told to us: ids in hexadecimal, times in nanoseconds since 1970, values as JSON has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

UNKNOWN_SERVICE = "unknown_service"  # the specification's name for a resource without service.name


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span."""

    name: str
    at: int
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that a span has to do with."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """A span that has ended.

    ``parent_id`` is empty where there is none. ``kind`` and ``status`` are OpenTelemetry's words in lower case:
    ``server``, ``client``, ``internal`` ...; ``unset``, ``ok``, ``error``.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    service: str = UNKNOWN_SERVICE
    kind: str = "internal"
    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    status: str = "unset"
    message: str = ""

    def __repr__(self) -> str:
        """Say what it is, and where in the trace."""
        return f"<Span {self.name} {self.span_id} below {self.parent_id or 'nothing'}>"

    @property
    def duration(self) -> int:
        """How long it took; clocks that were set back make it nothing, not less."""
        return max(self.end - self.start, 0)

    @property
    def failed(self) -> bool:
        """Tell whether it is an error."""
        return self.status == "error"

    def data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "parentId": self.parent_id,
            "service": self.service,
            "name": self.name,
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "attributes": self.attributes,
            "events": [{"name": one.name, "at": one.at, "attributes": one.attributes} for one in self.events],
            "links": [
                {"traceId": one.trace_id, "spanId": one.span_id, "attributes": one.attributes} for one in self.links
            ],
            "status": self.status,
            "message": self.message,
        }
