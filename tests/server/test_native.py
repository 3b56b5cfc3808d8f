"""What a peer may do on an HTTP/2 connection that grpcio's client never does."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import pytest

from extproc.headers import GRAPH_HEADER
from tests.engine.deciding import body, fed, headers
from tests.exchange.talking import PLANS, exchange
from tests.server.conftest import PROCESS, listening

GOLD = headers({"x-tier": "gold"})
HEAD = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "x"),
    (":path", PROCESS),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


class Peer:
    """An HTTP/2 client by hand; ``replies`` are the gRPC messages that came, by stream, ``ended`` their trailers."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.data: dict[int, bytes] = {}
        self.ended: dict[int, dict[str, str]] = {}
        self.pongs: list[bytes] = []
        self.gone = False

    def open(self, graph):
        """Begin a stream about a graph."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [*HEAD, (GRAPH_HEADER, PLANS[graph].id)])
        return stream

    def say(self, stream, message, **options):
        """Send one message in one DATA frame."""
        self.h2.send_data(stream, framed(message), **options)

    def flush(self):
        """Write what was said."""
        self.writer.write(self.h2.data_to_send())

    async def until(self, done):
        """Read until something holds, or the connection is gone."""
        self.flush()
        while not done() and not self.gone:
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            self.gone = not data
            for event in self.h2.receive_data(data):
                self.take(event)
            self.flush()
        assert done(), "the connection ended"

    def take(self, event):
        """Note what came."""
        match event:
            case h2.events.DataReceived():
                self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
            case h2.events.TrailersReceived():
                self.ended[event.stream_id] = {str(name): str(value) for name, value in event.headers}
            case h2.events.PingAckReceived():
                self.pongs.append(event.ping_data)
            case h2.events.ConnectionTerminated():
                self.gone = True

    def replies(self, stream):
        """The whole messages of a stream."""
        data, found = self.data.get(stream, b""), []
        while len(data) >= 5 and len(data) >= 5 + (size := int.from_bytes(data[1:5], "big")):
            found.append(data[5 : 5 + size])
            data = data[5 + size :]
        return found

    async def works(self):
        """Have a whole conversation on this connection."""
        stream = self.open("header")
        self.say(stream, GOLD)
        await self.until(lambda: stream in self.ended)
        assert self.ended[stream]["grpc-status"] == "0"
        assert self.replies(stream) == [fed(exchange("header"), GOLD)]


def framed(message):
    """A gRPC message."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


@pytest.fixture
async def peer(folder):
    """A connection to a running server."""
    async with listening(folder / "s"):
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        yield Peer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_one_conversation(peer):
    """A message is answered, and the stream ends with status 0."""
    await peer.works()
    await peer.works()


async def test_byte_by_byte(peer):
    """A message may come in frames of one byte, and the frames in reads of any size."""
    stream = peer.open("header")
    for byte in framed(GOLD):
        peer.h2.send_data(stream, bytes([byte]))
    for byte in peer.h2.data_to_send():
        peer.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    await peer.until(lambda: stream in peer.ended)
    assert peer.replies(stream) == [fed(exchange("header"), GOLD)]


async def test_two_messages_in_one_frame(peer):
    """Messages that come together are answered in order."""
    said = headers(), body(b'{"n": 11}')
    stream = peer.open("body")
    peer.h2.send_data(stream, b"".join(map(framed, said)))
    await peer.until(lambda: stream in peer.ended)
    talk = exchange("body")
    assert peer.replies(stream) == [fed(talk, one) for one in said]


async def test_padding_and_priority(peer):
    """Padded frames and priorities are taken."""
    stream = peer.h2.get_next_available_stream_id()
    peer.h2.send_headers(stream, [*HEAD, (GRAPH_HEADER, PLANS["header"].id)], priority_weight=7)
    peer.say(stream, GOLD, pad_length=99)
    await peer.until(lambda: stream in peer.ended)
    assert peer.replies(stream) == [fed(exchange("header"), GOLD)]


async def test_long_metadata(peer):
    """Metadata that need CONTINUATION frames are read."""
    stream = peer.h2.get_next_available_stream_id()
    peer.h2.send_headers(stream, [*HEAD, ("x-long", "z~" * 12_000), (GRAPH_HEADER, PLANS["header"].id)])
    peer.say(stream, GOLD)
    await peer.until(lambda: stream in peer.ended)
    assert peer.replies(stream) == [fed(exchange("header"), GOLD)]


async def test_a_small_window(folder):
    """An answer larger than the peer's window comes as the window opens, and no faster."""
    async with listening(folder / "s"):
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        peer = Peer(reader, writer)
        peer.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
        said = headers(), body(b'{"n": 0, "echo": "%b"}' % (b"w" * 300))
        stream = peer.open("body")
        peer.h2.send_data(stream, b"".join(map(framed, said)))
        talk = exchange("body")
        expected = b"".join(framed(fed(talk, one)) for one in said)
        for size in range(10, len(expected), 10):
            await peer.until(lambda size=size: len(peer.data.get(stream, b"")) >= size)
            assert len(peer.data[stream]) == size
            peer.h2.increment_flow_control_window(10, stream)
        await peer.until(lambda: stream in peer.ended)
        assert peer.data[stream] == expected
        writer.close()
        await writer.wait_closed()


async def test_a_reset_ends_one_stream(peer):
    """A stream that the peer resets is forgotten, and the connection goes on."""
    stream = peer.open("body")
    peer.say(stream, headers())
    await peer.until(lambda: peer.replies(stream))
    peer.h2.reset_stream(stream)
    await peer.works()


async def test_data_after_the_end(peer):
    """What the peer says on a stream that has ended here is passed over: it was on its way."""
    stream = peer.open("header")
    peer.say(stream, GOLD)
    peer.h2.send_data(stream, b"", end_stream=True)
    await peer.until(lambda: stream in peer.ended)
    await peer.works()


async def test_trailers_after_the_end(peer):
    """Trailers of the peer's, come after the stream has ended here, do no harm to the other streams."""
    other = peer.open("body")
    peer.say(other, headers())
    stream = peer.open("header")
    peer.say(stream, GOLD)
    peer.h2.send_headers(stream, [("x-trailer", "1")], end_stream=True)
    await peer.until(lambda: stream in peer.ended)
    peer.say(other, body(b"{}"))
    await peer.until(lambda: other in peer.ended)
    await peer.works()


async def test_a_ping_is_answered(peer):
    """A ping is answered with its own content."""
    peer.h2.ping(b"12345678")
    await peer.until(lambda: peer.pongs == [b"12345678"])


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 10, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + b"\x00" * 20]
)
async def test_what_is_not_http2(folder, said):
    """A peer that speaks something else is shown out, and the next one is served."""
    async with listening(folder / "s"):
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        writer.write(said)
        await asyncio.wait_for(reader.read(), 10)  # to the end of the connection
        writer.close()
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        await Peer(reader, writer).works()
        writer.close()
        await writer.wait_closed()
