"""Stands in for Jaeger: takes spans by OTLP over gRPC, on a Unix socket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass(frozen=True)
class Span:
    """What these tests look at of a span."""

    service: str
    name: str
    kind: int
    trace: bytes
    id: bytes
    parent: bytes
    attributes: dict[str, str]


class Collector(grpc.GenericRpcHandler):  # type: ignore[misc]
    """What came in so far: ``spans``."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def __repr__(self) -> str:
        return f"<Collector of {len(self.spans)} spans>"

    def service(self, details):
        """Answers exports alone."""
        if details.method != _EXPORT:
            return None
        return grpc.unary_unary_rpc_method_handler(self._export, trace_service.ExportTraceServiceRequest.FromString)

    def _export(self, request, _):
        for resource in request.resource_spans:
            (service,) = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
            self.spans += [_span(service, span) for scope in resource.scope_spans for span in scope.spans]
        return b""  # an empty ExportTraceServiceResponse


def _span(service, span):
    attributes = {one.key: one.value.string_value for one in span.attributes}
    return Span(service, span.name, span.kind, span.trace_id, span.span_id, span.parent_span_id, attributes)


@contextmanager
def collector(path: Path) -> Iterator[Collector]:
    """One that listens at a Unix socket."""
    taken = Collector()
    server = grpc.server(ThreadPoolExecutor(4), handlers=(taken,))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        yield taken
    finally:
        server.stop(None).wait()
