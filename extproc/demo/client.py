"""The demo's client: requests go through Envoy like anybody's."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from extproc.demo.answer import Answer
from extproc.errors import ExtprocError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from extproc.demo.scene import Request

AT_ONCE: Final = 8  # connections of a crowd: some for every core of a laptop
TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0)  # every sample graph has given up long before


class Client:
    """Sends requests to one address; ``connected`` makes one."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.address = address
        self._session = session

    def __repr__(self) -> str:
        """Say where it sends."""
        return f"<Client of {self.address}>"

    async def send(self, request: Request) -> Answer:
        """Sends one request.

        Raises:
            ExtprocError: No answer came, not even one of Envoy's.
        """
        headers = {"content-type": "application/json", **request.headers}
        body = None if request.body is None else msgspec.json.encode(request.body)
        try:
            async with self._session.request(
                request.method, self.address + request.path, headers=headers, data=body, allow_redirects=False
            ) as response:
                named = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, named, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExtprocError(f"{self.address}{request.path} did not answer: {error!r}") from None

    async def send_all(self, requests: Sequence[Request]) -> list[Answer]:
        """Sends requests, a few at a time; the answers are in the requests' order."""
        return await asyncio.gather(*(self.send(request) for request in requests))


@asynccontextmanager
async def connected(address: str, token: str | None = None) -> AsyncIterator[Client]:
    """A client of an address like ``http://127.0.0.1:10000``; ``token`` is the bearer's."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    headers = {"authorization": f"Bearer {token}"} if token else None
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, headers=headers) as session:
        yield Client(session, address)
