"""The connections to Envoy's egress listener: as many as there are calls, kept for the next."""

from __future__ import annotations

import asyncio
from collections import deque

from extproc.calls.connection import Connection

IDLE = 30.0  # a connection unused for this long is closed; Envoy's side keeps it for an hour


class EgressDown(ConnectionError):  # noqa: N818 - it says what is the case
    """Envoy's egress itself could not be reached."""


class Egress:
    """A pool of connections to one address, ``unix:PATH`` or ``HOST:PORT``."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.closed = False
        self._all: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._sweep: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        """Say the address and how many connections there are."""
        state = "closed" if self.closed else f"{len(self._all)} connections, {len(self._idle)} idle"
        return f"<Egress {self.address} {state}>"

    async def connection(self) -> Connection:
        """Return a connection that is free. Raises EgressDown."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        kind, _, rest = self.address.rpartition(":")
        try:
            if kind == "unix":
                _, connection = await loop.create_unix_connection(self._made, rest)
            else:
                _, connection = await loop.create_connection(self._made, kind.strip("[]"), int(rest))
        except OSError as error:
            raise EgressDown(str(error)) from None
        self._all.add(connection)
        if self.closed:
            connection.abort()
        return connection

    def _made(self) -> Connection:
        return Connection(self._free, self._gone)

    def _free(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE, self._swept)

    def _gone(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _swept(self) -> None:
        """Cut what has been idle for too long, and look again later."""
        loop = asyncio.get_running_loop()
        before = loop.time() - IDLE
        while self._idle and self._idle[0].since <= before:
            self._idle.popleft().abort()
        self._sweep = loop.call_later(IDLE, self._swept) if self._idle else None

    async def close(self) -> None:
        """Cut every connection; for good."""
        self.closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # the transports' own last callbacks
