"""A scriptable model server that speaks raw HTTP/1.1."""

from __future__ import annotations

import asyncio
import http
import socket
import struct
from typing import cast

from tests.kit.behaviour import Behaviour, Headers, Seen
from tests.kit.h2_stub import H2Stub
from tests.kit.stub_server import Cut, StubServer, free_port

__all__ = ["Behaviour", "H2Stub", "ModelStub", "Seen", "free_port"]

HEAD_BYTES = 1 << 20  # larger than any head Envoy sends
LINGER_OFF = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST


class ModelStub(StubServer):
    """An HTTP/1.1 stub: see StubServer for how it is used and told what to do."""

    def protocol(self) -> asyncio.BaseProtocol:
        """A new connection's protocol."""
        self.connections += 1
        return _Connection(self, asyncio.StreamReader(limit=HEAD_BYTES), self.connections)


class _Connection(asyncio.StreamReaderProtocol):
    """One connection; its task is cancelled the moment the peer is gone."""

    def __init__(self, stub: ModelStub, reader: asyncio.StreamReader, number: int) -> None:
        super().__init__(reader, self._opened)
        self._stub = stub
        self._number = number
        self._served = 0
        self._seen: Seen | None = None
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def _opened(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._transport = cast("asyncio.Transport", writer.transport)
        self._stub.transports.add(self._transport)
        self._task = self._stub.spawn(self._serve(reader, writer))

    def eof_received(self) -> bool:
        self._gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport:
            self._stub.transports.discard(self._transport)
        self._gone()
        super().connection_lost(exc)

    def _gone(self) -> None:
        if self._task:
            self._task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except asyncio.IncompleteReadError:
            pass
        except (asyncio.CancelledError, ConnectionError):
            if self._seen and not self._seen.ended:
                self._stub.end(self._seen, "client_gone")
        except Cut:
            return
        except ValueError as fault:
            self._stub.faults.append(str(fault))
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Reads and answers one request; says whether another may follow."""
        seen = await self._read_head(reader)
        if (seen.header("expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await _read_body(reader, seen)
        seen.complete = True
        self._stub.changed()
        behaviour = self._stub.next_behaviour(seen)
        if behaviour.upgrade and seen.header("upgrade"):
            await _echo_upgraded(reader, writer, seen)
        line = _Line(writer, seen)
        await self._stub.play(seen, behaviour, line)
        return not line.last

    async def _read_head(self, reader: asyncio.StreamReader) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        method, path, _ = first.split(" ", 2)
        self._seen = Seen(method, path, _parse(lines), self._number, reused=self._served > 0)
        self._served += 1
        self._stub.requests.append(self._seen)
        self._stub.changed()
        return self._seen


class _Line:
    """One HTTP/1.1 response."""

    def __init__(self, writer: asyncio.StreamWriter, seen: Seen) -> None:
        self._writer = writer
        self._chunked = False
        self._bodiless = seen.method == "HEAD"
        self.last = (seen.header("connection") or "").lower() == "close"

    async def head(self, status: int, headers: Headers, length: int | None) -> None:
        self._chunked = length is None
        self._bodiless |= status in {204, 304}
        framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
        fields = headers if status == http.HTTPStatus.NO_CONTENT else [*headers, framing]
        self.last |= any(name.lower() == "connection" and value.lower() == "close" for name, value in headers)
        lines = [f"HTTP/1.1 {status} {_reason(status)}", *(f"{name}: {value}" for name, value in fields)]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def piece(self, data: bytes) -> None:
        if self._bodiless or not data:
            return
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        await self._writer.drain()

    async def end(self, trailers: Headers) -> None:
        if self._chunked and not self._bodiless:
            lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
            self._writer.write(f"0\r\n{lines}\r\n".encode("latin-1"))
            await self._writer.drain()

    def cut(self, how: str) -> None:
        if how == "close":
            self._writer.close()
            return
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF)
        cast("asyncio.Transport", self._writer.transport).abort()


async def _read_body(reader: asyncio.StreamReader, seen: Seen) -> None:
    if (seen.header("transfer-encoding") or "").lower() == "chunked":
        await _read_chunks(reader, seen)
    else:
        seen.body = await reader.readexactly(int(seen.header("content-length") or 0))


async def _read_chunks(reader: asyncio.StreamReader, seen: Seen) -> None:
    pieces = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    seen.body = b"".join(pieces)
    lines = []
    while (line := await reader.readline()) not in {b"\r\n", b""}:
        lines.append(line.decode("latin-1").rstrip("\r\n"))
    seen.trailers = _parse(lines)


async def _echo_upgraded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
    """Switches protocols and sends every byte back, until the peer goes: that cancels the connection's task."""
    answer = f"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {seen.header('upgrade')}\r\n\r\n"
    writer.write(answer.encode("latin-1"))
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


def _parse(lines: list[str]) -> Headers:
    pairs = (line.partition(":") for line in lines)
    return [(name, value.strip()) for name, _, value in pairs]


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
