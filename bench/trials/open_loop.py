"""An open-loop load generator: requests leave on schedule, whether or not those before are answered.

A latency runs from the time at which its request was to be sent, so that what waits because something else is slow counts
as slow, too. Connections are kept alive; while there are less than ``MOST``, one that is busy is never waited for.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from bench.load import Result, response_status

if TYPE_CHECKING:
    from collections.abc import Callable

    Request = Callable[[int], bytes]

WARM = 16  # connections that are open before the first request: as many as a few slow answers hold
MOST = 500  # connections: what a system that stands still for a second at 500 requests a second holds
LEAD = 0.05  # seconds between the last of these and the first request
STALL_SECONDS = 10.0  # how long the last answers may take; those that take longer count as stalled


@dataclass
class Sent(Result):
    """What was measured: see ``Result``. ``late`` are the seconds by which the generator itself was behind."""

    asked: int = 0
    late: list[float] = field(default_factory=list)
    answers: Counter[bytes] = field(default_factory=Counter)  # by the graph and the route that they tell

    @property
    def late_p99(self) -> float:
        """By how much 99 of 100 requests were sent late at most, in seconds."""
        ordered = sorted(self.late)
        return ordered[int(0.99 * (len(ordered) - 1))]


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, load: OpenLoop) -> None:
        self._load = load
        self._rest = b""
        self._due: float | None = None
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was to be sent at a time."""
        self._due = due
        self._load.result.late.append(time.perf_counter() - due)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        status = response_status(data)
        if status == 0 or self._due is None:
            self._rest = data
            return
        due, self._rest, self._due = self._due, b"", None
        self._load.answered(self, status, data, due)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self, self._due is not None, type(exc).__name__ if exc else "closed")
        self.closed.set_result(None)


class OpenLoop:
    """One run; ``request`` gives the bytes of each request by its number."""

    def __init__(self, port: int, request: Request, rate: float) -> None:
        self.result = Sent()
        self._port = port
        self._request = request
        self._rate = rate
        self._free: list[_Connection] = []
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._opened: set[_Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self.under_way = 0
        self._done = asyncio.Event()

    def __repr__(self) -> str:
        """Say how many are not answered."""
        return f"<OpenLoop {self.result.asked} sent, {self.under_way} under way>"

    async def run(self, seconds: float) -> Sent:
        """Send for so long, and return when all is answered."""
        self._free = [await self._connect() for _ in range(WARM)]
        gc.collect()
        gc.disable()  # a pause of this process is none of what is measured
        cpu = time.process_time()
        try:
            await self._send_all(time.perf_counter() + LEAD, round(seconds * self._rate))
            await self._until_answered()
        finally:
            gc.enable()
            self.result.cpu_seconds = time.process_time() - cpu
            await self._close()
        return self.result

    async def _send_all(self, start: float, count: int) -> None:
        for number in range(count):
            due = start + number / self._rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._send(self._request(number), due)
        self.result.seconds = time.perf_counter() - start

    def _send(self, request: bytes, due: float) -> None:
        self.under_way += 1
        self.result.asked += 1
        if self._free:
            self._free.pop().send(request, due)
        elif len(self._opened) + len(self._connecting) < MOST:
            self._open_for(request, due)
        else:
            self._waiting.append((request, due))

    def _open_for(self, request: bytes, due: float) -> None:
        task = asyncio.get_running_loop().create_task(self._send_anew(request, due))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _send_anew(self, request: bytes, due: float) -> None:
        try:
            connection = await self._connect()
        except OSError as error:
            self._over(type(error).__name__)
        else:
            connection.send(request, due)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        self._opened.add(connection)
        return connection

    async def _close(self) -> None:
        """Close what is open; what is under way then was noted as stalled."""
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        closing = list(self._opened)
        self._opened.clear()
        for connection in closing:
            connection.transport.abort()
        await asyncio.gather(*(connection.closed for connection in closing))

    async def _until_answered(self) -> None:
        if self.under_way:
            self._done.clear()
            try:
                await asyncio.wait_for(self._done.wait(), STALL_SECONDS)
            except TimeoutError:
                self.result.errors["stalled"] += self.under_way

    def answered(self, connection: _Connection, status: int, data: bytes, due: float) -> None:
        """Note an answer."""
        self.result.latencies.append(time.perf_counter() - due)
        self.result.statuses[status] += 1
        self.result.answers[_told(data)] += 1
        if b"onnection: close\r\n" in data:
            connection.transport.close()
        elif self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._free.append(connection)
        self._over(None)

    def lost(self, connection: _Connection, busy: bool, why: str) -> None:  # noqa: FBT001 - what the connection knows
        """Note a connection that ended, and the request that it held."""
        if connection not in self._opened:
            return
        self._opened.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if self._waiting:
            self._open_for(*self._waiting.popleft())
        if busy:
            self._over(why)

    def _over(self, error: str | None) -> None:
        if error is not None:
            self.result.errors[error] += 1
        self.under_way -= 1
        if not self.under_way:
            self._done.set()


def _told(data: bytes) -> bytes:
    """Return what an answer's head says of its way: ``fraud@1a2b3c4d root=canary,fraud-v2``."""
    return b" ".join(_field(data, name) for name in (b"\r\nx-extproc-graph: ", b"\r\nx-extproc-route: "))


def _field(data: bytes, name: bytes) -> bytes:
    at = data.find(name)
    return data[at + len(name) : data.find(b"\r", at + len(name))] if at >= 0 else b"?"
