"""A worker process: one event loop, one processor, told what to do over its standard input.

Lines of JSON. The supervisor says ``{"listen": [...], "egress": ..., "graphs": [...]}`` once, the worker says ``{"ready": true}`` when
it listens, and from then on ``{"counts": [[[name, label, ...], n], ...]}`` with all that changed, once a second at most.
The end of standard input is the end of the supervisor, and so of the worker.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop

from extproc.calls import EnvoyCaller
from extproc.engine.seams import Seams
from extproc.graph import load_raw
from extproc.plan.compile import compile_graph
from extproc.server.generations import Generations
from extproc.server.listen import Server, TransportName
from extproc.server.processor import Processor
from extproc.telemetry.counters import Counters, Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.plan.plan import Plan

GRACE = 1.0  # seconds that streams have at the end: by then Envoy was drained, and few are left
REPORT_EVERY = 0.5  # what the admin address shows is at most a second old


class Orders(msgspec.Struct, frozen=True):
    """What a worker is told at its start; ``graphs`` are as ``Graph.raw``."""

    listen: tuple[str, ...]
    egress: str
    graphs: tuple[dict[str, Any], ...]


class Worker:
    """A processor that listens, with its counters."""

    def __init__(
        self, plans: Sequence[Plan], listen: Sequence[str], egress: str, transport: TransportName = "native"
    ) -> None:
        self.counters = Counters()
        self.generations = Generations()
        self.generations.load(plans)
        loop = asyncio.get_running_loop()
        self.caller = EnvoyCaller(egress, random.Random())
        seams = Seams(random.Random(), self.counters, self.caller, loop.time)
        self.server = Server(Processor(self.generations, seams), listen, transport)
        self.listening: asyncio.Future[None] = loop.create_future()
        self.ended = asyncio.Event()
        self._reported: dict[Key, int] = {}

    async def run(self) -> None:
        """Serve until ``ended``, SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ended.set)
        await self.server.start()
        self.listening.set_result(None)
        await self.ended.wait()
        self.server.drain()
        await self.server.stop(GRACE)
        await self.caller.close()

    def changed(self) -> list[tuple[Key, int]]:
        """Return the counts that changed since this was last asked."""
        changes = [(key, count) for key, count in self.counters.counts.items() if self._reported.get(key) != count]
        self._reported.update(changes)
        return changes


async def _supervised() -> None:
    orders_from = await _standard_input()
    orders = msgspec.json.decode(await orders_from.readline(), type=Orders)
    plans = [compile_graph(load_raw(raw)) for raw in orders.graphs]
    worker = Worker(plans, orders.listen, orders.egress)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.run())
        listening = group.create_task(_until_the_end(orders_from, worker))
        reporting = group.create_task(_report(worker))
        await running
        listening.cancel()
        reporting.cancel()


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _until_the_end(orders: asyncio.StreamReader, worker: Worker) -> None:
    while await orders.readline():
        pass
    worker.ended.set()


async def _report(worker: Worker) -> None:
    await worker.listening
    _say({"ready": True})
    while True:
        await asyncio.sleep(REPORT_EVERY)
        if changes := worker.changed():
            _say({"counts": changes})


def _say(message: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Run one worker under a supervisor."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s worker %(process)d %(levelname)s %(message)s")
    uvloop.run(_supervised())


if __name__ == "__main__":
    main()
