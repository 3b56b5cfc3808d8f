"""A scriptable model server that speaks HTTP/2 without TLS, by prior knowledge."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.kit.behaviour import Headers, Seen
from tests.kit.stub_server import Cut, StubServer


class H2Stub(StubServer):
    """An HTTP/2 stub: see StubServer. ``reset`` is RST_STREAM, ``close`` ends the connection, upgrades are not known."""

    def protocol(self) -> asyncio.BaseProtocol:
        """A new connection's protocol."""
        self.connections += 1
        return _Connection(self, self.connections)


@dataclasses.dataclass
class _Stream:
    seen: Seen
    task: asyncio.Task[None] | None = None


class _Connection(asyncio.Protocol):
    def __init__(self, stub: H2Stub, number: int) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.window = asyncio.Event()
        self._stub = stub
        self._number = number
        self._streams: dict[int, _Stream] = {}
        self._served = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._stub.transports.add(transport)
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        self._stub.transports.discard(self.transport)
        for stream in self._streams.values():
            self._gone(stream)

    def data_received(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as fault:
            self._stub.faults.append(repr(fault))
            self.flush()
            self.transport.close()
            return
        for event in events:
            self._on(event)
        self.flush()

    def flush(self) -> None:
        """Sends what h2 has ready."""
        self.transport.write(self.h2.data_to_send())

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._begin(event)
            case h2.events.DataReceived():
                self._streams[event.stream_id].seen.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self._streams[event.stream_id].seen.trailers = _pairs(event.headers)
            case h2.events.StreamEnded():
                self._answer(event.stream_id)
            case h2.events.StreamReset():
                self._gone(self._streams[event.stream_id])
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self.window.set()

    def _begin(self, event: h2.events.RequestReceived) -> None:
        headers = _pairs(event.headers)
        pseudo = {name: value for name, value in headers if name.startswith(":")}
        plain = [("host", pseudo.get(":authority", "")), *(pair for pair in headers if not pair[0].startswith(":"))]
        seen = Seen(pseudo[":method"], pseudo[":path"], plain, self._number, reused=self._served > 0)
        self._served += 1
        self._streams[event.stream_id] = _Stream(seen)
        self._stub.requests.append(seen)
        self._stub.changed()

    def _answer(self, number: int) -> None:
        stream = self._streams[number]
        stream.seen.complete = True
        self._stub.changed()
        stream.task = self._stub.spawn(self._play(stream.seen, _Line(self, number)))

    async def _play(self, seen: Seen, line: _Line) -> None:
        with contextlib.suppress(Cut):
            await self._stub.play(seen, self._stub.next_behaviour(seen), line)

    def _gone(self, stream: _Stream) -> None:
        if stream.seen.ended is None:
            self._stub.end(stream.seen, "client_gone")
        if stream.task:
            stream.task.cancel()


class _Line:
    """One HTTP/2 response."""

    def __init__(self, connection: _Connection, stream: int) -> None:
        self._connection = connection
        self._stream = stream

    async def head(self, status: int, headers: Headers, length: int | None) -> None:
        framing = [] if length is None else [("content-length", str(length))]
        fields = [(":status", str(status)), *((name.lower(), value) for name, value in headers), *framing]
        self._connection.h2.send_headers(self._stream, fields)
        self._connection.flush()

    async def piece(self, data: bytes) -> None:
        h2 = self._connection.h2
        while data:
            room = min(h2.local_flow_control_window(self._stream), h2.max_outbound_frame_size)
            if room:
                h2.send_data(self._stream, data[:room])
                self._connection.flush()
                data = data[room:]
            else:
                self._connection.window.clear()
                await self._connection.window.wait()

    async def end(self, trailers: Headers) -> None:
        if trailers:
            self._connection.h2.send_headers(self._stream, trailers, end_stream=True)
        else:
            self._connection.h2.end_stream(self._stream)
        self._connection.flush()

    def cut(self, how: str) -> None:
        if how == "close":
            self._connection.transport.close()
            return
        self._connection.h2.reset_stream(self._stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        self._connection.flush()


def _pairs(headers: object) -> Headers:
    return [(str(name), str(value)) for name, value in cast("Headers", headers or [])]
