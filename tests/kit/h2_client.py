"""One HTTP/2 exchange without TLS, by prior knowledge."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, cast

import h2.config
import h2.connection
import h2.events

if TYPE_CHECKING:
    from tests.kit.behaviour import Headers


@dataclasses.dataclass
class Came:
    """What came back on the stream; without response headers ``status`` is None."""

    status: int | None = None
    headers: Headers = dataclasses.field(default_factory=list)
    trailers: Headers = dataclasses.field(default_factory=list)
    arrivals: list[tuple[float, bytes]] = dataclasses.field(default_factory=list)
    interim: list[int] = dataclasses.field(default_factory=list)
    complete: bool = False
    reset: int | None = None


async def h2_exchange(port: int, headers: Headers, body: bytes, trailers: Headers) -> Came:
    """Sends a request on a new connection and reads until its stream or the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await _Exchange(reader, writer).run(headers, body, trailers)
    finally:
        writer.close()


class _Exchange:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._came = Came()
        self._over = False

    async def run(self, headers: Headers, body: bytes, trailers: Headers) -> Came:
        self._h2.initiate_connection()
        stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, headers, end_stream=not body and not trailers)
        await self._send_body(stream, body, trailers)
        while not self._over:
            await self._receive()
        return self._came

    async def _send_body(self, stream: int, body: bytes, trailers: Headers) -> None:
        """Sends within the peer's window; stops when the peer ends the stream first."""
        left = body
        while left and not self._over:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(left))
            if room:
                self._h2.send_data(stream, left[:room], end_stream=room == len(left) and not trailers)
                left = left[room:]
                await self._flush()
            else:
                await self._receive()
        if trailers and not self._over:
            self._h2.send_headers(stream, trailers, end_stream=True)
        await self._flush()

    async def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
        await self._writer.drain()

    async def _receive(self) -> None:
        try:
            data = await self._reader.read(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._over = True
            return
        for event in self._h2.receive_data(data):
            self._on(event)
        await self._flush()

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.InformationalResponseReceived():
                self._came.interim.append(int(dict(_pairs(event.headers))[":status"]))
            case h2.events.ResponseReceived():
                self._came.headers = _pairs(event.headers)
                self._came.status = int(dict(self._came.headers)[":status"])
            case h2.events.DataReceived():
                if event.data:
                    self._came.arrivals.append((time.monotonic(), bytes(event.data)))
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self._came.trailers = _pairs(event.headers)
            case h2.events.StreamEnded():
                self._came.complete = self._over = True
            case h2.events.StreamReset():
                self._came.reset = int(event.error_code)
                self._over = True
            case h2.events.ConnectionTerminated():
                self._over = True


def _pairs(headers: object) -> Headers:
    return [(str(name), str(value)) for name, value in cast("Headers", headers or [])]
