"""A response under way: its head, then its body, each awaited as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extproc.calls.connection import Connection

_UNLIMITED = 2**62


class Response:
    """A response; ``status`` 0 until its head is there. Header names are lower-case, in order."""

    def __init__(self, connection: Connection, *, bodiless: bool) -> None:
        self._connection = connection
        self._changed: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = _UNLIMITED
        self.complete = False
        self.bodiless = bodiless
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []

    def __repr__(self) -> str:
        """Say status, size and whether it is complete."""
        return f"<Response {self.status} {self._size} bytes{' complete' if self.complete else ''}>"

    def header(self, name: str) -> str | None:
        """Return the first header of that name."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self.raw_headers if key == wanted), None)

    # --- told by the connection

    def begun(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head is there."""
        self.status = status
        self.raw_headers = headers
        self._change()

    def more(self, piece: bytes) -> None:
        """A piece of the body is there."""
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > self._limit:
            self._change()

    def ended(self) -> None:
        """The body is complete."""
        self.complete = True
        self._change()

    def failed(self, error: Exception) -> None:
        """Nothing more comes."""
        self._error = error
        self._change()

    def _change(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    # --- asked by the caller

    async def head(self) -> None:
        """Return when the head is there. Raises OSError when the connection breaks before."""
        while not self.status:
            await self._next()

    async def body(self, limit: int) -> bytes | None:
        """Return the whole body, None when it is larger than ``limit``. Raises OSError when it breaks off."""
        self._limit = limit
        if int(self.header("content-length") or 0) > limit and not self.bodiless:
            return None
        while not self.complete and self._size <= limit:
            await self._next()
        return None if self._size > limit else b"".join(self._pieces)

    async def _next(self) -> None:
        if self._error is not None:
            raise self._error
        self._changed = asyncio.get_running_loop().create_future()
        try:
            await self._changed
        finally:
            self._changed = None

    def close(self) -> None:
        """Cut the connection, unless the response is complete and it serves another already."""
        if not self.complete and self._error is None:
            self._connection.abort()
