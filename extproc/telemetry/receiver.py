"""A receiver of spans: OTLP over gRPC (opentelemetry-proto 1.x, ``TraceService/Export``) on a Unix socket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# gRPC would prepare for forks that go on in Python, and write a line for each process started meanwhile. It reads this
# when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from extproc.errors import StartError
from extproc.telemetry.otlp import spans
from extproc.telemetry.unchecked import unchecked_request

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from extproc.telemetry.kept import KeptTraces

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MAX_MESSAGE = 4 * 1024 * 1024  # bytes, gRPC's own default: the SDK sends 512 spans at once, some 300 KiB
MAX_CALLS = 64  # at once: workers and Envoy's threads have one each under way
STOPPING = 0.5  # seconds for calls under way: exporters come back to a socket that is gone with an error of their own
_Request = unchecked_request()
_OPTIONS = (("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.so_reuseport", 0))


class Receiver:
    """Takes spans and has them kept."""

    def __init__(self, kept: KeptTraces) -> None:
        self._kept = kept
        self._server: Any = None

    async def start(self, path: Path) -> None:
        """Listen on a Unix socket. Raises StartError."""
        self._server = grpc.aio.server(
            handlers=(_Handler(self._kept),), options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS
        )
        try:
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError:
            raise StartError(f"cannot listen on {path} for spans: is its folder there, and the path short?") from None
        await self._server.start()

    async def stop(self) -> None:
        """End; without a start, and again, too."""
        if self._server is not None:
            await self._server.stop(STOPPING)
            self._server = None


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, kept: KeptTraces) -> None:
        self._kept = kept

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._export) if details.method == EXPORT else None

    async def _export(self, message: bytes, context: Any) -> bytes:
        try:
            request = _Request.FromString(message)
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is no ExportTraceServiceRequest")
            raise
        return self._keep(request)

    def _keep(self, request: ExportTraceServiceRequest) -> bytes:
        refused = 0
        for span, size in spans(request):
            if span is None:
                self._kept.refuse()
                refused += 1
            elif not self._kept.add(span, size):
                refused += 1
        if not refused:
            return ExportTraceServiceResponse().SerializeToString()
        told = "spans without valid ids, or more of one trace than are kept"
        partly = ExportTracePartialSuccess(rejected_spans=refused, error_message=told)
        return ExportTraceServiceResponse(partial_success=partly).SerializeToString()
