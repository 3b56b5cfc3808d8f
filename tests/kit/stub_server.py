"""What the stubs have in common: a port, the requests seen, behaviours, waiting, and the play of a behaviour."""

from __future__ import annotations

import abc
import asyncio
import collections
import json
import socket
from typing import TYPE_CHECKING, Any, Protocol, Self

from tests.kit.background import background
from tests.kit.behaviour import Behaviour, Headers, Seen, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WAIT_SECONDS = 10.0  # how long a test waits for a state before it fails


class Cut(Exception):  # noqa: N818 -- not an error: the behaviour asked for it
    """The behaviour broke the answer off."""


class Line(Protocol):
    """One response's way out; what HTTP/1.1 and HTTP/2 do differently."""

    async def head(self, status: int, headers: Headers, length: int | None) -> None:
        """Sends status and headers; without a length the body is ended by ``end``."""

    async def piece(self, data: bytes) -> None:
        """Sends a piece of the body and waits until the peer can take more."""

    async def end(self, trailers: Headers) -> None:
        """Ends the body."""

    def cut(self, how: str) -> None:
        """Breaks off: ``reset`` or ``close``."""


class StubServer(abc.ABC):
    """A scriptable server on 127.0.0.1, in a thread of its own; ``with`` starts and closes it, in any kind of test.

    ``behave`` says how to answer from now on, ``script`` how to answer the next requests, one each. A request's own
    headers go before both, for tests with many requests at once: ``x-stub-NAME`` (this stub) or ``x-stub`` (every stub)
    with a JSON object of Behaviour's fields.
    """

    def __init__(self, name: str = "stub", **behaviour: Any) -> None:
        self.name = name
        self.port = 0
        self.requests: list[Seen] = []
        self.connections = 0
        self.faults: list[str] = []  # what peers sent that was no HTTP
        self.released = asyncio.Event()
        self.transports: set[asyncio.BaseTransport] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._behaviour = Behaviour().changed(**behaviour)
        self._script: collections.deque[Behaviour] = collections.deque()
        self._change = asyncio.Event()
        self._server: asyncio.Server | None = None

    def __repr__(self) -> str:
        ended = [seen.ended or ("answering" if seen.complete else "arriving") for seen in self.requests]
        return f"<{type(self).__name__} {self.name} :{self.port} connections={self.connections} requests={ended}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, port: int = 0) -> Self:
        """Listens, on a port that the system picks unless one is given."""
        background().run(self._start(port))
        return self

    def close(self) -> None:
        """Stops listening and drops every connection."""
        background().run(self._close())

    def behave(self, **behaviour: Any) -> None:
        """Answers like this from now on; what is not said is Behaviour's default."""
        self._behaviour = Behaviour().changed(**behaviour)

    def script(self, *behaviours: dict[str, Any]) -> None:
        """Answers the next requests like these, one each, then as before."""
        self._script.extend(Behaviour().changed(**behaviour) for behaviour in behaviours)

    def release(self) -> None:
        """Lets every hanging answer go on, now and later."""
        background().call(self.released.set)

    def forget(self) -> None:
        """Empties the list of requests."""
        self.requests.clear()

    async def until(self, holds: Callable[[], bool], within: float = WAIT_SECONDS) -> None:
        """Waits until a condition on this stub holds; looks at every change of its state.

        Raises:
            TimeoutError: It did not hold in time; the message has the stub's state.
        """
        await background().wait(self._until(holds, within))

    async def wait_for_requests(self, count: int = 1, within: float = WAIT_SECONDS) -> list[Seen]:
        """Waits until so many requests have arrived completely, body included, and gives all of them."""
        await self.until(lambda: sum(seen.complete for seen in self.requests) >= count, within)
        return [seen for seen in self.requests if seen.complete]

    async def wait_for_ended(self, count: int = 1, within: float = WAIT_SECONDS) -> list[Seen]:
        """Waits until the stub's side of so many requests is over, however it ended, and gives these."""
        await self.until(lambda: sum(seen.ended is not None for seen in self.requests) >= count, within)
        return [seen for seen in self.requests if seen.ended]

    def changed(self) -> None:
        """Wakes who waits; called in the stub's thread."""
        change, self._change = self._change, asyncio.Event()
        change.set()

    def next_behaviour(self, seen: Seen) -> Behaviour:
        """What to do with a request."""
        asked = seen.header(f"x-stub-{self.name}") or seen.header("x-stub")
        if asked:
            return Behaviour().changed(**json.loads(asked))
        return self._script.popleft() if self._script else self._behaviour

    async def play(self, seen: Seen, behaviour: Behaviour, line: Line) -> None:
        """Answers a request by a behaviour.

        Raises:
            Cut: The behaviour broke the answer off.
        """
        await asyncio.sleep(behaviour.delay)
        if behaviour.stop_at == "start":
            await self._stop(seen, behaviour, line)
        reply = compose(behaviour, seen, self.name)
        await line.head(behaviour.status, _headers(reply.content_type, behaviour.headers), reply.length)
        for number in range(reply.count):
            if number:
                await asyncio.sleep(behaviour.every)
            if behaviour.stop_at == "middle" and number == reply.count // 2:
                await self._stop(seen, behaviour, line)
            await line.piece(next(reply.pieces))
        await line.end(list(behaviour.trailers))
        self.end(seen, "answered")

    def end(self, seen: Seen, how: Any) -> None:
        """Notes how a request ended, once."""
        seen.ended = seen.ended or how
        self.changed()

    def spawn(self, work: Any) -> asyncio.Task[None]:
        """Starts a task that ``close`` waits for."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    @abc.abstractmethod
    def protocol(self) -> asyncio.BaseProtocol:
        """A new connection's protocol."""

    async def _stop(self, seen: Seen, behaviour: Behaviour, line: Line) -> None:
        if behaviour.stop == "hang":
            await self.released.wait()
        elif behaviour.stop:
            self.end(seen, "cut")
            line.cut(behaviour.stop)
            raise Cut

    async def _start(self, port: int) -> None:
        self._server = await asyncio.get_running_loop().create_server(self.protocol, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for transport in list(self.transports):
            transport.abort() if isinstance(transport, asyncio.WriteTransport) else transport.close()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _until(self, holds: Callable[[], bool], within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while not holds():
                    await self._change.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {within} s: {self!r}") from None


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on: connecting to it is refused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _headers(content_type: str, own: Iterable[tuple[str, str]]) -> Headers:
    headers = list(own)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.insert(0, ("content-type", content_type))
    return headers
