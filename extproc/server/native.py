"""The transport of our own: HTTP/2 connections on the event loop's own sockets."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from extproc.errors import StartError
from extproc.server.h2 import Connection

if TYPE_CHECKING:
    from extproc.server.conversation import Answering

BACKLOG = 1024  # Envoy opens a connection for each of its threads: far fewer


class NativeTransport:
    """A listening server."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, address: str) -> None:
        """Listen at ``unix:PATH`` or ``HOST:PORT``. Raises StartError."""
        loop = asyncio.get_running_loop()
        try:
            if address.startswith("unix:"):
                path = address.removeprefix("unix:")
                server = await loop.create_unix_server(self._connection, path, backlog=BACKLOG)
            else:
                host, _, port = address.rpartition(":")
                server = await loop.create_server(self._connection, host.strip("[]"), int(port), backlog=BACKLOG)
        except OSError as error:
            raise StartError(f"cannot listen on {address}: {os.strerror(error.errno or 0)}") from None
        self._servers.append(server)

    def _connection(self) -> Connection:
        return Connection(self._answering, self._connections)

    def load(self) -> tuple[int, int]:
        """Return how many streams and how many connections there are."""
        return sum(connection.streams for connection in self._connections), len(self._connections)

    async def stop(self, grace: float) -> None:
        """End: streams under way have ``grace`` seconds."""
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.go_away()
        until = asyncio.get_running_loop().time() + grace
        while any(c.streams for c in self._connections) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.close()
