"""Clients for what aiohttp cannot do: bytes as they are, targets without normalisation, slow uploads, arrival times."""

from __future__ import annotations

import asyncio
import dataclasses
import json as json_module
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Self

from tests.kit.behaviour import Headers, find_header
from tests.kit.h2_client import h2_exchange

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NoResponse", "RawConnection", "Response", "encode", "h2_request", "request", "send_raw", "upgrade"]

WAIT_SECONDS = 15.0  # how long a client waits for a response before the test fails
LINGER_OFF = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST
BODILESS = {204, 304}


class NoResponse(ConnectionError):  # noqa: N818 -- what a test expects in this case
    """The peer closed the connection before a response's head was complete."""


@dataclasses.dataclass
class Response:
    """A response as it came.

    ``arrivals`` has each chunk (HTTP/2: DATA frame; else each read) with the time it came, by time.monotonic.
    ``complete`` is False when the connection broke off before the body's end.
    """

    status: int
    headers: Headers
    reason: str = ""
    trailers: Headers = dataclasses.field(default_factory=list)
    arrivals: list[tuple[float, bytes]] = dataclasses.field(default_factory=list)
    interim: list[int] = dataclasses.field(default_factory=list)
    complete: bool = False
    reset: int | None = None  # HTTP/2: the error code of RST_STREAM

    @property
    def body(self) -> bytes:
        """The whole body, or what came of it."""
        return b"".join(piece for _, piece in self.arrivals)

    def json(self) -> Any:
        """The parsed body."""
        return json_module.loads(self.body)

    def header(self, name: str) -> str | None:
        """The header's values joined with ``,``; None when it is absent."""
        return find_header(self.headers, name)


class RawConnection:
    """An HTTP/1.1 connection whose user writes the bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1") -> RawConnection:
        """Connects."""
        return cls(*await asyncio.open_connection(host, port, limit=1 << 20))

    async def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_slowly(self, data: bytes, piece: int, every: float) -> None:
        """Sends ``piece`` bytes every ``every`` seconds."""
        for start in range(0, len(data), piece):
            await self.send(data[start : start + piece])
            await asyncio.sleep(every)

    async def read(self, count: int = 65536, within: float = WAIT_SECONDS) -> bytes:
        """Up to so many bytes, as soon as there are some; empty at the end."""
        async with asyncio.timeout(within):
            return await self._reader.read(count)

    async def response(self, method: str = "GET", within: float = WAIT_SECONDS) -> Response:
        """Reads one response, after its interim ones; ``method`` is the request's (HEAD has no body).

        Raises:
            NoResponse: The connection ended before the head was complete.
            TimeoutError: The response was not complete in time.
        """
        async with asyncio.timeout(within):
            response = await self.head()
            if method == "HEAD" or response.status in BODILESS:
                response.complete = True
            else:
                await self.body(response)
        return response

    async def head(self) -> Response:
        """Reads a response's head alone, after its interim ones; 101 is the head of an upgrade."""
        interim: list[int] = []
        while True:
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError) as broken:
                raise NoResponse(repr(broken)) from broken
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            _, status, reason = f"{first} ".split(" ", 2)
            if status == "101" or not status.startswith("1"):
                return Response(int(status), _parse(lines), reason.strip(), interim=interim)
            interim.append(int(status))

    async def body(self, response: Response) -> None:
        """Reads a response's body; a connection that breaks off leaves it incomplete."""
        try:
            if (response.header("transfer-encoding") or "").lower() == "chunked":
                await self._read_chunks(response)
            else:
                await self._read_plain(response, response.header("content-length"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        response.complete = True

    async def closed(self, within: float = WAIT_SECONDS) -> bytes:
        """Waits until the peer closes, and gives what it still sent."""
        async with asyncio.timeout(within):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    def reset(self) -> None:
        """Leaves with RST."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Leaves."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def _read_chunks(self, response: Response) -> None:
        while size := int((await self._line()).split(b";")[0], 16):
            piece = await self._reader.readexactly(size)
            response.arrivals.append((time.monotonic(), piece))
            await self._reader.readexactly(2)
        lines = []
        while line := (await self._line()).rstrip(b"\r\n"):
            lines.append(line.decode("latin-1"))
        response.trailers = _parse(lines)

    async def _read_plain(self, response: Response, length: str | None) -> None:
        left = None if length is None else int(length)
        while left is None or left > 0:
            piece = await self._reader.read(65536 if left is None else min(left, 65536))
            if not piece:
                break
            response.arrivals.append((time.monotonic(), piece))
            left = None if left is None else left - len(piece)
        if left:
            raise asyncio.IncompleteReadError(response.body, left)

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise asyncio.IncompleteReadError(line, None)
        return line


def encode(
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    json: Any = None,
    host: str | None = "test.local",
) -> bytes:
    """A request's bytes; the target stands in it as it is given.

    ``content-length`` is added for a body unless the headers have a framing of their own, ``host`` unless it is None
    or among the headers.
    """
    fields = list(headers)
    if json is not None:
        body = json_module.dumps(json).encode()
        fields.append(("content-type", "application/json"))
    names = {name.lower() for name, _ in fields}
    if host is not None and "host" not in names:
        fields.insert(0, ("host", host))
    if body and not names & {"content-length", "transfer-encoding"}:
        fields.append(("content-length", str(len(body))))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def request(
    port: int,
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    json: Any = None,
    host: str | None = "test.local",
    within: float = WAIT_SECONDS,
) -> Response:
    """One request on a connection of its own; see ``encode``."""
    async with await RawConnection.open(port) as connection:
        await connection.send(encode(method, target, headers, body, json=json, host=host))
        return await connection.response(method, within)


async def send_raw(port: int, data: bytes, within: float = WAIT_SECONDS) -> Response:
    """Sends bytes on a connection of its own and reads one response."""
    async with await RawConnection.open(port) as connection:
        await connection.send(data)
        return await connection.response(within=within)


async def upgrade(
    port: int, target: str = "/", headers: Iterable[tuple[str, str]] = (), protocol: str = "websocket"
) -> tuple[Response, RawConnection]:
    """Asks for another protocol; on 101 the connection is the tunnel. The caller closes it."""
    connection = await RawConnection.open(port)
    fields = [("connection", "Upgrade"), ("upgrade", protocol), *headers]
    if protocol == "websocket":
        fields += [("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]
    await connection.send(encode("GET", target, fields))
    async with asyncio.timeout(WAIT_SECONDS):
        response = await connection.head()
        if response.status == 101:
            response.complete = True
        else:
            await connection.body(response)
    return response, connection


async def h2_request(
    port: int,
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    trailers: Iterable[tuple[str, str]] = (),
    host: str = "test.local",
    within: float = WAIT_SECONDS,
) -> Response:
    """One HTTP/2 request without TLS, by prior knowledge, on a connection of its own.

    Raises:
        NoResponse: The stream or the connection ended before response headers came.
    """
    pseudo = [(":method", method), (":scheme", "http"), (":authority", host), (":path", target)]
    async with asyncio.timeout(within):
        came = await h2_exchange(port, [*pseudo, *headers], body, list(trailers))
    fields = [pair for pair in came.headers if not pair[0].startswith(":")]
    if came.status is None:
        raise NoResponse(f"reset {came.reset}" if came.reset is not None else "connection closed")
    return Response(
        came.status,
        fields,
        trailers=came.trailers,
        arrivals=came.arrivals,
        interim=came.interim,
        complete=came.complete,
        reset=came.reset,
    )


def _parse(lines: list[str]) -> Headers:
    pairs = (line.partition(":") for line in lines)
    return [(name, value.strip()) for name, _, value in pairs]
