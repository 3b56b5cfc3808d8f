"""The processor's side of an HTTP/2 connection, for gRPC streams: RFC 9113 as far as a gRPC server needs it.

grpcio costs several times the decision itself (bench: ``--transport grpcio``). One stream is one short conversation
here, answered from within ``data_received`` wherever the reply needs no await, and everything that one read caused goes
out in one write.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from extproc.errors import ProtocolError
from extproc.server import frames
from extproc.server.metadata import MAX_HEADER_BLOCK, BadBlock, HeaderBlocks
from extproc.server.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extproc.engine.traceparent import Traceparent
    from extproc.server.conversation import Answering

log = logging.getLogger(__name__)


class ConnectionBroken(Exception):  # noqa: N818
    """The peer broke HTTP/2; the connection ends with this code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Connection(asyncio.Protocol):
    """One connection of Envoy's."""

    def __init__(self, answering: Answering, connections: set[Connection]) -> None:
        self._answering = answering
        self._connections = connections
        self._rest = b""
        self._greeted = False
        self._streams: dict[int, Stream] = {}
        self._last_stream = 0
        self._out: list[bytes] = []
        self._reading = False
        self._blocks = HeaderBlocks()
        self._block: tuple[int, int, bytes] | None = None  # a header block that CONTINUATION frames go on
        self._consumed = 0
        self.send_window = frames.DEFAULT_WINDOW
        self.initial_send_window = frames.DEFAULT_WINDOW
        self.max_frame = frames.DEFAULT_MAX_FRAME
        self.closing = False

    def __repr__(self) -> str:
        """Say how many streams are open."""
        return f"<Connection streams={len(self._streams)} send_window={self.send_window}>"

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet: no header compression state, windows as wide as they go."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._transport.write(
            frames.settings(
                {
                    frames.HEADER_TABLE_SIZE: 0,
                    frames.INITIAL_WINDOW_SIZE: frames.MAX_WINDOW,
                }
            )
            + frames.window_update(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW)
        )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Cancel whatever is under way."""
        self._connections.discard(self)
        for stream in self._streams.values():
            stream.cancel()
        self._streams.clear()

    def data_received(self, data: bytes) -> None:
        """Take what was read: whole frames now, the rest with the next read."""
        self._reading = True
        try:
            self._rest = self._frames(self._rest + data if self._rest else data)
        except ConnectionBroken as broken:
            log.warning("a connection was ended: %s", broken)
            self._out.append(frames.goaway(self._last_stream, broken.code))
            self._flush()
            self._transport.close()
        finally:
            self._reading = False
        self._flush()

    def write(self, data: bytes) -> None:
        """Send, together with all else that the same read caused."""
        self._out.append(data)
        if not self._reading:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _frames(self, data: bytes) -> bytes:
        at = 0
        if not self._greeted:
            if len(data) < len(frames.PREFACE) and frames.PREFACE.startswith(data):
                return data
            if not data.startswith(frames.PREFACE):
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "the peer does not speak HTTP/2")
            self._greeted = True
            at = len(frames.PREFACE)
        end = len(data)
        unpack = frames.HEAD.unpack_from
        while end - at >= frames.HEAD_SIZE:
            high, low, kind, flags, stream = unpack(data, at)
            start = at + frames.HEAD_SIZE
            stop = start + (high << 8 | low)
            if stop - start > frames.DEFAULT_MAX_FRAME:
                raise ConnectionBroken(frames.FRAME_SIZE_ERROR, "a frame is larger than agreed")
            if stop > end:
                break
            self._frame(kind, flags, stream & frames.STREAM_MASK, data[start:stop])
            at = stop
        return data[at:]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "a header block was interrupted")
        take = _TAKES.get(kind)
        if take is not None:  # a frame of an unknown type is passed over (RFC 9113, 4.1)
            take(self, flags, stream, payload)

    # --- streams

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        block = _unpadded(flags, payload)
        if flags & frames.WITH_PRIORITY:
            block = block[5:]
        if flags & frames.END_HEADERS:
            self._opened(flags, number, block)
        else:
            self._block = (flags, number, block)

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[1] != number:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "a CONTINUATION frame continues nothing")
        first, _, begun = self._block
        block = begun + payload
        if len(block) > MAX_HEADER_BLOCK:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "a header block is too large")
        self._block = (first, number, block)
        if flags & frames.END_HEADERS:
            self._block = None
            self._opened(first, number, block)

    def _opened(self, flags: int, number: int, block: bytes) -> None:
        """Take a complete header block: a new stream's, or the trailers of one, which say nothing that matters."""
        try:
            metadata, traceparent = self._blocks.read(block)
        except BadBlock:
            raise ConnectionBroken(frames.COMPRESSION_ERROR, "a header block cannot be read") from None
        if not number & 1:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "a client's streams have odd numbers")
        if number > self._last_stream:
            self._last_stream = number
            self._begin(number, metadata, traceparent)
        stream = self._streams.get(number)
        if stream is not None and flags & frames.END_STREAM:
            stream.half_closed()

    def _begin(self, number: int, metadata: Mapping[str, str], traceparent: Traceparent | None) -> None:
        if self.closing:
            self.write(frames.reset(number, frames.REFUSED_STREAM))  # it is safe to try elsewhere
            return
        try:
            conversation = self._answering.open(metadata.get(":path", ""), metadata, traceparent)
        except ProtocolError as error:
            log.warning("a stream was refused: %s", error)
            self.write(frames.trailers_failed(number, frames.INVALID_ARGUMENT, str(error), alone=True))
            return
        if conversation is None:
            self.write(frames.trailers_failed(number, frames.UNIMPLEMENTED, "no such method", alone=True))
            return
        self._streams[number] = Stream(self, number, conversation)

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed >= frames.WINDOW_REFILL:
            self.write(frames.window_update(0, self._consumed))
            self._consumed = 0
        stream = self._streams.get(number)
        if stream is None:
            if number > self._last_stream:
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "data came for a stream that was never opened")
            return  # it has ended here already
        stream.take(_unpadded(flags, payload))
        if flags & frames.END_STREAM:
            stream.half_closed()

    def _reset(self, _flags: int, number: int, _payload: bytes) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.cancel()

    def forget(self, number: int) -> None:
        """Drop a stream that has ended."""
        self._streams.pop(number, None)

    # --- the connection itself

    def _settings(self, flags: int, _stream: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        for at in range(0, len(payload) - 5, 6):
            self._set(int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big"))
        self.write(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _set(self, name: int, value: int) -> None:
        if name == frames.MAX_FRAME_SIZE:
            self.max_frame = value
        elif name == frames.INITIAL_WINDOW_SIZE:
            change = value - self.initial_send_window
            self.initial_send_window = value
            for stream in list(self._streams.values()):
                stream.widen(change)

    def _window_update(self, _flags: int, number: int, payload: bytes) -> None:
        increment = int.from_bytes(payload, "big") & frames.STREAM_MASK
        if number:
            stream = self._streams.get(number)
            if stream is not None:
                stream.widen(increment)
            return
        self.send_window += increment
        if self.send_window > frames.MAX_WINDOW:
            raise ConnectionBroken(frames.FLOW_CONTROL_ERROR, "the peer's window is too large")
        for stream in list(self._streams.values()):
            stream.pump()

    def _ping(self, flags: int, _stream: int, payload: bytes) -> None:
        if not flags & frames.ACK:
            self.write(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _goaway(self, _flags: int, _stream: int, _payload: bytes) -> None:
        """The peer opens no further stream; those under way end as ever."""

    def go_away(self) -> None:
        """Refuse further streams; those under way go on."""
        self.closing = True
        self.write(frames.goaway(self._last_stream, frames.NO_ERROR))

    def close(self) -> None:
        """End the connection with whatever is under way."""
        self._transport.close()


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & frames.PADDED:
        return payload
    padding = payload[0] if payload else 0
    if padding >= len(payload):
        raise ConnectionBroken(frames.PROTOCOL_ERROR, "a frame is all padding")
    return payload[1 : len(payload) - padding]


_TAKES: dict[int, Callable[[Connection, int, int, bytes], None]] = {
    frames.DATA: Connection._data,  # noqa: SLF001
    frames.HEADERS: Connection._headers,  # noqa: SLF001
    frames.CONTINUATION: Connection._continuation,  # noqa: SLF001
    frames.RST_STREAM: Connection._reset,  # noqa: SLF001
    frames.SETTINGS: Connection._settings,  # noqa: SLF001
    frames.WINDOW_UPDATE: Connection._window_update,  # noqa: SLF001
    frames.PING: Connection._ping,  # noqa: SLF001
    frames.GOAWAY: Connection._goaway,  # noqa: SLF001
}
