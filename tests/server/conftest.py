"""A real server on a Unix socket, over either transport, and a real gRPC client."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from extproc.headers import GRAPH_HEADER
from extproc.server.listen import Server
from extproc.server.processor import Processor
from tests.engine.deciding import Recording, Scripted, seams
from tests.exchange.talking import KNOWN

if TYPE_CHECKING:
    from extproc.server.generations import Generations

PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"


class Client:
    """A gRPC client as Envoy is one: bytes in and out of a stream whose metadata name a graph."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def stream(self, graph: str | None, path: str = PROCESS) -> Any:
        """A new stream; None where no route named a graph."""
        call = self.channel.stream_stream(path)
        return call(metadata=() if graph is None else ((GRAPH_HEADER, graph),), timeout=30)

    async def talk(self, graph: str | None, *said: bytes) -> list[bytes]:
        """The replies to messages, one by one, on a stream of their own; it must end well."""
        stream = self.stream(graph)
        replies = []
        for message in said:
            await stream.write(message)
            replies.append(await stream.read())
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK
        return replies


@pytest.fixture
def folder():
    """A folder whose name is short enough for a socket's path."""
    with TemporaryDirectory(prefix="x") as name:
        yield Path(name)


@pytest.fixture(params=["native", "grpcio"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each of the transports."""
    return str(request.param)


def made(addresses: list[str], plans: Generations, random: Scripted, transport: Any = "native") -> Server:
    """The one place where these tests make a server."""
    return Server(Processor(plans, seams(random, Recording())), addresses, transport)


@asynccontextmanager
async def listening(socket: Path, transport: Any = "native", plans: Generations = KNOWN, chance: float = 0.5):
    """A server on a Unix socket."""
    server = made([f"unix:{socket}"], plans, Scripted([chance] * 1000), transport)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


@asynccontextmanager
async def connected(socket: Path):
    """A client of a socket."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        yield Client(channel)


@pytest.fixture
async def server(folder: Path, transport: str):
    """A running server that knows the plans of the transcripts."""
    async with listening(folder / "s", transport) as started:
        yield started


@pytest.fixture
async def client(folder: Path, server: Server):  # noqa: ARG001 - it must be running
    """A connected client."""
    async with connected(folder / "s") as found:
        yield found
