"""The connections to Envoy's egress listener."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    from aiohttp import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

# Envoy's own bounds of a response's head are 60 KiB and 100 headers; what it lets pass is read.
_HEAD = 64 * 1024
_HEADERS = 256
_READ_AHEAD = 256 * 1024
_IDLE = 30.0  # a connection unused for this long is closed; Envoy's side keeps it for an hour
_AUTOMATIC = ("user-agent", "accept", "accept-encoding", "content-type")
_UNTIMED = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class Egress:
    """A pool of connections to one address, ``unix:PATH`` or ``HOST:PORT``; opened in the loop that first uses it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.closed = False
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        """Say the address and whether it is open."""
        state = "closed" if self.closed else "open" if self._session is not None else "unopened"
        return f"<Egress {self.address} {state}>"

    def session(self) -> aiohttp.ClientSession:
        """Return the session; it adds nothing to a request, follows nothing and keeps no cookies."""
        if self._session is None:
            self._session = _session(self.address)
        return self._session

    async def close(self) -> None:
        """Cut every connection; for good."""
        self.closed = True
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # the transports' own last callbacks


def _session(address: str) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=_Connector(address),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_UNTIMED,
        auto_decompress=False,
        skip_auto_headers=_AUTOMATIC,
        read_bufsize=_READ_AHEAD,
        max_line_size=_HEAD,
        max_field_size=_HEAD,
        max_headers=_HEADERS,
    )
    # aiohttp has no public switch for this: it would send a GET again by itself when a connection broke.
    session._retry_connection = False  # noqa: SLF001
    return session


class _Connector(aiohttp.BaseConnector):
    """As many connections as there are calls, all to one address whatever the URL's host says."""

    def __init__(self, address: str) -> None:
        super().__init__(limit=0, keepalive_timeout=_IDLE)
        self._address = address

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],  # noqa: ARG002 - aiohttp's signature
        timeout: ClientTimeout,  # noqa: ARG002, ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        loop = asyncio.get_running_loop()
        protocol = functools.partial(_Connection, loop)
        kind, _, rest = self._address.rpartition(":")
        try:
            if kind == "unix":
                return (await loop.create_unix_connection(protocol, rest))[1]
            return (await loop.create_connection(protocol, kind.strip("[]"), int(rest)))[1]
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error


class _Connection(ResponseHandler):
    """A connection that is cut, never lingering: closing gently would first wait for Envoy to take what is unsent."""

    def close(self) -> None:
        self.abort()
