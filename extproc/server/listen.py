"""A gRPC server for Envoy: the processor and its health, on Unix sockets or TCP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from extproc.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.server.service import Processor

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # the graph's maxBody bounds bodies; grpcio's 4 MiB would be a 500
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 2**31 - 1),  # one stream is one request: Envoy's circuit breaker bounds them
    ("grpc.so_reuseport", 0),  # two servers on one port would be a mistake nobody sees
)
_SOCKET_UMASK = 0o177  # a socket for this user alone: 0600


class Server:
    """The listening server; ``drain`` tells Envoy to send no more, ``stop`` ends it."""

    def __init__(self, processor: Processor, addresses: Sequence[str]) -> None:
        self.processor = processor
        self.addresses = tuple(addresses)
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((processor.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def __repr__(self) -> str:
        """Say addresses and streams."""
        return f"<Server {' '.join(self.addresses)} streams={self.processor.streams}>"

    async def start(self) -> None:
        """Listen, and say SERVING. Raises StartError where an address cannot be had."""
        for address in self.addresses:
            self._bind(address)
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    def _bind(self, address: str) -> None:
        before = os.umask(_SOCKET_UMASK)
        try:
            if address.startswith("unix:"):
                _remove_stale(address.removeprefix("unix:"))
            self._server.add_insecure_port(address)
        except RuntimeError:
            raise StartError(f"cannot listen on {address}: is it taken, or its folder missing?") from None
        finally:
            os.umask(before)

    async def drain(self) -> None:
        """Say NOT_SERVING: Envoy sends no further stream here once it has seen that."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """End: streams under way have ``grace`` seconds."""
        await self._server.stop(grace)


def _remove_stale(path: str) -> None:
    """Remove a socket that a killed process left; a live one's owner keeps serving those already connected."""
    from pathlib import Path
    from stat import S_ISSOCK

    file = Path(path)
    if file.exists() and S_ISSOCK(file.stat().st_mode):
        file.unlink()
