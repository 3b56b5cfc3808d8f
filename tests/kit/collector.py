"""A real OTLP collector (rotel) between whoever is tested and a receiver that keeps what arrives."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
import rotel
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp

from extproc.telemetry.otlp import spans

AGENT = Path(rotel.__file__).with_name("rotel-agent")
PATIENCE = 30.0  # seconds for its start on a crowded machine
POLL = 0.02
# The kernel ends it when the tests are gone, however they ended; 1 is PR_SET_PDEATHSIG, linux/prctl.h.
DIE_WITH_PARENT = (
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl(1, {int(signal.SIGTERM)}); os.execv(sys.argv[1], sys.argv[1:])"
)


class Receiver(grpc.GenericRpcHandler):  # type: ignore[misc]
    """An OTLP/gRPC server that keeps all spans, as JSON, by trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[dict[str, Any]] = []
        self.resources: dict[str, dict[str, str]] = {}
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=(self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def service(self, _details: Any) -> Any:
        """Takes whatever is called."""
        return grpc.unary_unary_rpc_method_handler(self._export)

    def _export(self, message: bytes, _context: Any) -> bytes:
        request = otlp.ExportTraceServiceRequest.FromString(message)
        with self._lock:
            for one in request.resource_spans:
                attributes = {pair.key: pair.value.string_value for pair in one.resource.attributes}
                self.resources[attributes.get("service.name", "")] = attributes
            self._spans += [span.data() for span, _ in spans(request) if span is not None]
        return b""

    def trace(self, trace: str) -> list[dict[str, Any]]:
        """The spans of a trace."""
        with self._lock:
            return [span for span in self._spans if span["traceId"] == trace]

    def __len__(self) -> int:
        with self._lock:
            return len(self._spans)


class Collector:
    """The collector's process; what it exports comes to ``receiver``."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.grpc_port = _free_port()
        self.http_port = _free_port()

    def __enter__(self) -> Self:
        self.receiver.__enter__()
        command = [
            str(AGENT), "start",
            "--otlp-grpc-endpoint", f"127.0.0.1:{self.grpc_port}",
            "--otlp-http-endpoint", f"127.0.0.1:{self.http_port}",
            "--exporter", "otlp",
            "--otlp-exporter-endpoint", f"http://127.0.0.1:{self.receiver.port}",
            "--disable-batching",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", DIE_WITH_PARENT, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ROTEL_"))},
            start_new_session=True,
        )
        for port in (self.grpc_port, self.http_port):
            self._await(port)
        return self

    def _await(self, port: int) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                assert self._process.poll() is None, "the collector ended"
                assert time.monotonic() < until, "the collector did not start"
                time.sleep(POLL)
            else:
                return

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.receiver.__exit__()

    def endpoint(self, protocol: str) -> str:
        """Where it takes spans."""
        return f"http://127.0.0.1:{self.grpc_port if protocol == 'grpc' else self.http_port}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
