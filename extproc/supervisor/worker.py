"""A worker process: one event loop, one processor, told what to do over its standard input.

Lines of JSON. The supervisor says ``Orders`` once, the worker says ``{"ready": true}`` when it listens, and from then on, twice
a second at most, ``{"counts": [[[name, label, ...], n], ...]}`` with all that changed, and ``{"windows": [...]}`` with what its
challenges saw. ``{"generation": n, "graphs": [...]}`` puts a generation in force, which it confirms: ``{"generation": n}``. The
end of standard input is the end of the supervisor, and so of the worker.

The worker never waits for its supervisor: while that does not read, nothing is said, and sums go on being summed.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop

from extproc.calls import EnvoyCaller
from extproc.challenge.arena import Arena
from extproc.challenge.limits import DEFAULTS, Limits
from extproc.engine.seams import Seams
from extproc.graph import load_raw
from extproc.otel import Tracing  # noqa: TC001 - msgspec reads it
from extproc.plan.compile import compile_graph
from extproc.server.generations import Generations
from extproc.server.listen import Server, TransportName
from extproc.server.processor import Processor
from extproc.telemetry.counters import (
    ACTIVE,
    CHALLENGER,
    CONNECTIONS,
    LOG_LINES_DROPPED,
    SPANS,
    SUB,
    CallCounts,
    Counters,
    Key,
)
from extproc.telemetry.failures import FailureLog
from extproc.telemetry.logs import configure_as_told
from extproc.telemetry.watching import Watching

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from extproc.plan.plan import Plan
    from extproc.telemetry.export import Export
    from extproc.telemetry.tracing import Traces

GRACE = 1.0  # seconds that streams have at the end: by then Envoy was drained, and few are left
LAG_EVERY = 0.1  # seconds between looks at the event loop: a stall that is felt is met by one
REPORT_EVERY = 0.5  # what the admin address shows is at most a second old


# Bytes that wait for the supervisor to read them before nothing more is said to it.
UNREAD = 256 * 1024


class Orders(msgspec.Struct, frozen=True):
    """What a worker is told at its start; ``graphs`` are as ``Graph.raw``, ``ledger`` is a file that is not there yet."""

    listen: tuple[str, ...]
    egress: str
    graphs: tuple[dict[str, Any], ...]
    ledger: str | None = None
    bodies: bool = False
    limits: Limits = DEFAULTS
    tracing: Tracing | None = None


class Reload(msgspec.Struct, frozen=True):
    """A new generation."""

    generation: int
    graphs: tuple[dict[str, Any], ...]


class Worker:
    """A processor that listens, with its counters and challenges."""

    def __init__(  # noqa: PLR0913 - each a setting of its own
        self,
        plans: Sequence[Plan],
        listen: Sequence[str],
        egress: str,
        transport: TransportName = "native",
        *,
        ledger: Path | None = None,
        bodies: bool = False,
        limits: Limits = DEFAULTS,
        tracing: Tracing | None = None,
    ) -> None:
        self.counters = Counters()
        self.generations = Generations()
        loop = asyncio.get_running_loop()
        self.caller = EnvoyCaller(egress, random.Random(), recorder=CallCounts(self.counters, SUB))
        self.challengers_caller = EnvoyCaller(
            egress, random.Random(), recorder=CallCounts(self.counters, CHALLENGER), max_response=limits.response
        )
        self.arena = Arena(
            random.Random(),
            self.counters,
            self.challengers_caller,
            loop.time,
            time.time,
            ledger=ledger,
            limits=limits,
            bodies=bodies,
        )
        self.load(plans)
        seams = Seams(random.Random(), self.counters, self.caller, loop.time, self.arena)
        self.failures = FailureLog()
        self.export = None if tracing is None else _export(tracing)
        watching = Watching(self.counters, self.failures, _traces(self.export))
        self.server = Server(Processor(self.generations, seams, watching), listen, transport)
        self.listening: asyncio.Future[None] = loop.create_future()
        self.ended = asyncio.Event()
        self._reported: dict[Key, int] = {}

    def load(self, plans: Sequence[Plan]) -> None:
        """Put a generation in force."""
        self.generations.load(plans)
        self.arena.enter(plans)

    def reload(self, graphs: Sequence[dict[str, Any]]) -> None:
        """Put a generation in force, compiling what the one before does not have."""
        known = {plan.id: plan for plan in self.generations.current}
        loaded = [load_raw(raw) for raw in graphs]
        self.load([known.get(graph.id) or compile_graph(graph) for graph in loaded])

    async def run(self) -> None:
        """Serve until ``ended``, SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ended.set)
        await self.server.start()
        self.listening.set_result(None)
        lag = asyncio.create_task(_watch_lag(self.counters, self.failures))
        await self.ended.wait()
        lag.cancel()
        self.server.drain()
        await self.server.stop(GRACE)
        self.arena.close()
        await self.caller.close()
        await self.challengers_caller.close()
        if self.export is not None:
            self.export.close()

    def counts(self) -> Counter[Key]:
        """Return all that is counted now; sizes of the moment among it."""
        counts = self.counters.counts
        counts[LOG_LINES_DROPPED,] = self.failures.dropped
        counts[ACTIVE,], counts[CONNECTIONS,] = self.server.load()
        if self.export is not None:
            counts[SPANS, "exported"] = self.export.exported
            counts[SPANS, "failed"] = self.export.failed
            counts[SPANS, "dropped"] = self.export.dropped
        return counts

    def changed(self) -> list[tuple[Key, int]]:
        """Return the counts that changed since this was last asked."""
        changes = [(key, count) for key, count in self.counts().items() if self._reported.get(key) != count]
        self._reported.update(changes)
        return changes


def _export(said: Tracing) -> Export:
    """Return the way out for spans; what it imports is for those who trace."""
    from extproc.telemetry.export import Export

    return Export(said)


def _traces(export: Export | None) -> Traces | None:
    if export is None:
        return None
    from extproc.telemetry.tracing import Traces

    return Traces(export.tracer, asyncio.get_running_loop().time)


async def _watch_lag(counters: Counters, failures: FailureLog) -> None:
    """Look how late the event loop is, and whether the log has something to make up for."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        counters.lagged(max(loop.time() - due, 0.0))
        failures.tell_left_out()


class _Saying(asyncio.BaseProtocol):
    """The end of what is said: ``over`` once all was taken, or the other side is gone."""

    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()

    def connection_lost(self, _error: Exception | None) -> None:
        """End."""
        self.over.set_result(None)


class _Supervisor:
    """The process above, as a worker talks with it."""

    def __init__(self, orders: asyncio.StreamReader, said: asyncio.WriteTransport, saying: _Saying) -> None:
        self._orders = orders
        self._said = said
        self._saying = saying

    @classmethod
    async def connect(cls) -> _Supervisor:
        """Take standard input and output."""
        loop = asyncio.get_running_loop()
        orders = asyncio.StreamReader(limit=2**26)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        return cls(orders, *await loop.connect_write_pipe(_Saying, sys.stdout))

    async def orders(self) -> bytes:
        """Return the next line; nothing at the end."""
        return await self._orders.readline()

    @property
    def reads(self) -> bool:
        """Whether it keeps up with what it is told."""
        return self._said.get_write_buffer_size() < UNREAD

    def say(self, message: object) -> None:
        """Tell it something, without waiting; nothing once it is gone."""
        if not self._said.is_closing():
            self._said.write(msgspec.json.encode(message) + b"\n")

    async def close(self) -> None:
        """Return when all was taken, or the other side is gone."""
        self._said.close()
        await asyncio.wait([self._saying.over], timeout=GRACE)


async def _supervised() -> None:
    supervisor = await _Supervisor.connect()
    orders = msgspec.json.decode(await supervisor.orders(), type=Orders)
    plans = [compile_graph(load_raw(raw)) for raw in orders.graphs]
    ledger = Path(orders.ledger) if orders.ledger else None
    worker = Worker(
        plans,
        orders.listen,
        orders.egress,
        ledger=ledger,
        bodies=orders.bodies,
        limits=orders.limits,
        tracing=orders.tracing,
    )
    gc.freeze()  # what was imported stays: a full collection that looks at it again takes tens of milliseconds
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.run())
        listening = group.create_task(_obey(supervisor, worker))
        reporting = group.create_task(_report(supervisor, worker))
        await running
        listening.cancel()
        reporting.cancel()
    _tell(supervisor, worker)
    await supervisor.close()


async def _obey(supervisor: _Supervisor, worker: Worker) -> None:
    await worker.listening
    while line := await supervisor.orders():
        order = msgspec.json.decode(line, type=Reload)
        worker.reload(order.graphs)
        supervisor.say({"generation": order.generation})
    worker.ended.set()


async def _report(supervisor: _Supervisor, worker: Worker) -> None:
    await worker.listening
    supervisor.say({"ready": True})
    while True:
        await asyncio.sleep(REPORT_EVERY)
        if supervisor.reads:
            _tell(supervisor, worker)


def _tell(supervisor: _Supervisor, worker: Worker) -> None:
    if changes := worker.changed():
        supervisor.say({"counts": changes})
    if windows := worker.arena.windows():
        supervisor.say({"windows": windows})


def main() -> None:
    """Run one worker under a supervisor."""
    configure_as_told("worker")
    uvloop.run(_supervised())


if __name__ == "__main__":
    main()
