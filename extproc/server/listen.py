"""A server for Envoy at one or more addresses, over either transport."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISSOCK
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.server.processor import Processor

_SOCKET_UMASK = 0o177  # a socket for this user alone: 0600
TransportName: TypeAlias = Literal["native", "grpcio"]


class Transport(Protocol):
    """Carries streams to conversations."""

    async def listen(self, address: str) -> None:
        """Listen at ``unix:PATH`` or ``HOST:PORT``. Raises StartError."""
        ...

    def load(self) -> tuple[int, int]:
        """Return how many streams and how many connections there are."""
        ...

    async def stop(self, grace: float) -> None:
        """End: streams under way have ``grace`` seconds."""
        ...


class Server:
    """The listening server; ``drain`` tells Envoy to send no more, ``stop`` ends it."""

    def __init__(self, processor: Processor, addresses: Sequence[str], transport: TransportName = "native") -> None:
        self.processor = processor
        self.addresses = tuple(addresses)
        self._transport = _transport(transport, processor)

    def __repr__(self) -> str:
        """Say addresses and whether it serves."""
        return f"<Server {' '.join(self.addresses)} {self.processor!r}>"

    async def start(self) -> None:
        """Listen. Raises StartError where an address cannot be had."""
        for address in self.addresses:
            before = os.umask(_SOCKET_UMASK)
            try:
                _remove_stale(address)
                await self._transport.listen(address)
            finally:
                os.umask(before)

    def drain(self) -> None:
        """Answer health checks with NOT_SERVING: Envoy sends no further stream here once it has seen that."""
        self.processor.serving = False

    def load(self) -> tuple[int, int]:
        """Return how many streams and how many connections there are."""
        return self._transport.load()

    async def stop(self, grace: float) -> None:
        """End: streams under way have ``grace`` seconds."""
        await self._transport.stop(grace)


def _transport(name: TransportName, processor: Processor) -> Transport:
    if name == "grpcio":
        from extproc.server.grpcio import GrpcioTransport

        return GrpcioTransport(processor)
    from extproc.server.native import NativeTransport

    return NativeTransport(processor)


def _remove_stale(address: str) -> None:
    """Remove a socket that a killed process left."""
    file = Path(address.removeprefix("unix:"))
    if address.startswith("unix:") and file.exists() and S_ISSOCK(file.stat().st_mode):
        file.unlink()
