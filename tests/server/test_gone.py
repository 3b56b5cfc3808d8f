"""``gone``: a conversation learns that its stream has ended, however it ended, exactly once and not before."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from extproc.errors import ProtocolError
from extproc.server.listen import Server
from tests.server.conftest import connected
from tests.server.test_native import HEAD, Peer, framed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path


class Talk:
    """A conversation that does what its messages say; ``events`` are what happened, in order."""

    def __init__(self, answering: Talks) -> None:
        self.answering = answering
        self.events: list[str] = []
        self.done = False
        self.ended = asyncio.Event()

    def feed(self, message: bytes) -> bytes | Awaitable[bytes]:
        """Reply, at once or later; or refuse, or break."""
        said = message.decode()
        self.events.append(said)
        match said:
            case "refuse":
                raise ProtocolError("refused")
            case "break":
                raise RuntimeError("broken")
            case "last":
                self.done = True
            case "large":
                return b"x" * 1_000_000
            case "later" | "last later" | "refuse later" | "break later" | "never":
                return self._later(said)
        return b"reply"

    async def _later(self, said: str) -> bytes:
        try:
            await (asyncio.Event() if said == "never" else self.answering.go).wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        if said == "refuse later":
            raise ProtocolError("refused")
        if said == "break later":
            raise RuntimeError("broken")
        self.done = said == "last later"
        self.events.append("replied")
        return b"reply"

    def gone(self) -> None:
        """Note it."""
        self.events.append("gone")
        self.ended.set()


class Talks:
    """Opens conversations, and keeps them; later replies come when ``go`` is set."""

    serving = True

    def __init__(self) -> None:
        self.talks: list[Talk] = []
        self.go = asyncio.Event()

    def open(self, path: str, metadata: Any, traceparent: Any) -> Talk | None:  # noqa: ARG002
        """A conversation, for every path but two."""
        if path == "/unknown":
            return None
        if path == "/refused":
            raise ProtocolError("refused")
        self.talks.append(Talk(self))
        return self.talks[-1]


@pytest.fixture
async def talks() -> Talks:
    """What opens the conversations."""
    return Talks()


@asynccontextmanager
async def served(folder: Path, talks: Talks, transport: Any) -> AsyncIterator[Server]:
    """A server of them."""
    server = Server(talks, [f"unix:{folder}/s"], transport)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


async def only(talks: Talks) -> Talk:
    """The only conversation, when its stream has ended; whatever comes later would be seen too."""
    async with asyncio.timeout(10):
        while not talks.talks:
            await asyncio.sleep(0)
        (talk,) = talks.talks
        await talk.ended.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    return talk


ENDS = {
    "by its last reply": (["hello", "last"], "finish", ["hello", "last", "gone"]),
    "by a last reply that comes later": (["last later"], "go", ["last later", "replied", "gone"]),
    "by the client, without a word": ([], "half", ["gone"]),
    "by the client, after a reply": (["hello"], "half", ["hello", "gone"]),
    "by the client, while a reply is due": (["later"], "half, go", ["later", "replied", "gone"]),
    "by a cancelling client": (["hello"], "cancel", ["hello", "gone"]),
    "by a client that cancels while a reply is due": (["never"], "cancel", ["never", "cancelled", "gone"]),
    "by a message that is refused": (["refuse"], "read", ["refuse", "gone"]),
    "by a message that breaks us": (["break"], "read", ["break", "gone"]),
    "by a reply that is refused later": (["hello", "refuse later"], "go", ["hello", "refuse later", "gone"]),
    "by a reply that breaks us later": (["break later"], "go", ["break later", "gone"]),
    "by a server that stops": (["hello"], "stop", ["hello", "gone"]),
    "by a server that stops while a reply is due": (["never"], "stop", ["never", "cancelled", "gone"]),
}


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_stream_that_ends(folder, transport, talks, case):
    """Whoever ends the stream, and however, the conversation is told once, and nothing is fed to it after that."""
    said, how, events = ENDS[case]
    async with served(folder, talks, transport) as server, connected(folder / "s") as client:
        stream = client.stream(None)
        for message in said:
            await stream.write(message.encode())
            if message in {"hello", "last"}:
                assert await stream.read() == b"reply"
        if not said:
            await stream.done_writing()
        async with asyncio.timeout(10):
            while not talks.talks or len(talks.talks[0].events) < len(said):
                await asyncio.sleep(0)
        if said and how not in {"finish", "read"}:
            assert "gone" not in talks.talks[0].events
        with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await ended(stream, how, talks, server)
        found = (await only(talks)).events
        assert found == events or ("cancelled" in events and sorted(found) == sorted(events))


async def ended(stream: Any, how: str, talks: Talks, server: Server) -> None:
    """End a stream in one of the ways."""
    match how:
        case "half":
            await stream.done_writing()
        case "half, go":
            await stream.done_writing()
            talks.go.set()
            assert await stream.read() == b"reply"
        case "go":
            talks.go.set()
            await stream.read()
        case "cancel":
            stream.cancel()
        case "stop":
            await server.stop(0)
        case "read":
            await stream.read()


@pytest.mark.parametrize("path", ["/unknown", "/refused"])
async def test_a_stream_that_never_began(folder, transport, talks, path):
    """Where there is no conversation nobody is told, and the next stream is served."""
    async with served(folder, talks, transport), connected(folder / "s") as client:
        stream = client.stream(None, path)
        await stream.done_writing()
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read()
        assert talks.talks == []
        assert await client.talk(None, b"last") == [b"reply"]
        assert (await only(talks)).events == ["last", "gone"]


async def test_many_streams_at_once(folder, transport, talks):
    """Of two hundred streams on a connection each conversation is told for itself."""
    async with served(folder, talks, transport), connected(folder / "s") as client:
        streams = [client.stream(None) for _ in range(200)]
        for stream in streams:
            await stream.write(b"hello")
            assert await stream.read() == b"reply"
        for stream in streams[::2]:
            stream.cancel()
        for stream in streams[1::2]:
            await stream.write(b"last")
            assert await stream.read() == b"reply"
        async with asyncio.timeout(10):
            await asyncio.gather(*(talk.ended.wait() for talk in talks.talks))
    found = sorted(talk.events for talk in talks.talks)
    assert found == [["hello", "gone"]] * 100 + [["hello", "last", "gone"]] * 100


# --- what only a peer by hand does


@pytest.fixture
async def peer(folder, talks):
    """A connection to a running native server."""
    async with served(folder, talks, "native"):
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        yield Peer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def begun(peer: Peer, *said: bytes, **options: Any) -> int:
    """A stream with some messages on their way."""
    stream = peer.h2.get_next_available_stream_id()
    peer.h2.send_headers(stream, HEAD)
    for message in said:
        peer.say(stream, message, **options)
    peer.flush()
    return stream


async def test_a_connection_that_is_lost(peer, talks):
    """All of its streams have ended, those with a reply due too."""
    for said in (b"hello", b"never"):
        begun(peer, said)
    await peer.until(lambda: len(talks.talks) == 2 and all(talk.events for talk in talks.talks))
    peer.writer.close()
    async with asyncio.timeout(10):
        await asyncio.gather(*(talk.ended.wait() for talk in talks.talks))
        while len(talks.talks[1].events) < 3:
            await asyncio.sleep(0)
    assert talks.talks[0].events == ["hello", "gone"]
    assert sorted(talks.talks[1].events) == ["cancelled", "gone", "never"]


async def test_a_peer_that_ends_its_side_with_its_message(peer, talks):
    """The reply that is due is sent, and then the stream ends, though the conversation would have gone on."""
    stream = begun(peer, b"later", end_stream=True)
    await peer.until(lambda: bool(talks.talks and talks.talks[0].events))
    assert talks.talks[0].events == ["later"]
    talks.go.set()
    await peer.until(lambda: stream in peer.ended)
    assert peer.replies(stream) == [b"reply"]
    assert peer.ended[stream]["grpc-status"] == "0"
    assert (await only(talks)).events == ["later", "replied", "gone"]


async def test_a_peer_that_ends_its_side_before_it_read(peer, talks):
    """A reply that the peer has no window for yet is sent whole before the stream ends."""
    stream = begun(peer, b"large", end_stream=True)
    await peer.until(lambda: len(peer.data.get(stream, b"")) > 60_000)
    assert talks.talks[0].events == ["large"]
    peer.h2.increment_flow_control_window(2_000_000)
    peer.h2.increment_flow_control_window(2_000_000, stream)
    await peer.until(lambda: stream in peer.ended)
    assert peer.replies(stream) == [b"x" * 1_000_000]
    assert (await only(talks)).events == ["large", "gone"]


async def test_messages_that_wait_for_a_reply(peer, talks):
    """Messages that came while a reply was due are all fed when it is there, in order."""
    stream = begun(peer, b"later", b"one", b"two", b"last")
    await peer.until(lambda: bool(talks.talks and talks.talks[0].events))
    assert talks.talks[0].events == ["later"]
    talks.go.set()
    await peer.until(lambda: stream in peer.ended)
    assert peer.replies(stream) == [b"reply"] * 4
    assert (await only(talks)).events == ["later", "replied", "one", "two", "last", "gone"]


async def test_a_bad_message_while_a_reply_is_due(peer, talks):
    """It ends the stream, and what was to be replied is cancelled: nothing is written to a stream that has ended."""
    stream = begun(peer, b"hello", b"later")
    await peer.until(lambda: bool(talks.talks and len(talks.talks[0].events) > 1))
    peer.h2.send_data(stream, b"\x01" + framed(b"compressed")[1:])
    await peer.until(lambda: stream in peer.ended)
    assert peer.ended[stream]["grpc-status"] == "12"
    talks.go.set()
    talk = await only(talks)
    assert sorted(talk.events) == ["cancelled", "gone", "hello", "later"]
    assert peer.replies(stream) == [b"reply"]
    other = begun(peer, b"last")
    await peer.until(lambda: other in peer.ended)
    assert peer.replies(other) == [b"reply"]
