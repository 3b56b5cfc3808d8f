"""The workers, kept alive: each is started, watched, and started again with a growing pause when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from extproc.challenge.evidence import Window  # noqa: TC001 - msgspec reads it
from extproc.challenge.limits import DEFAULTS, Limits
from extproc.errors import StartError
from extproc.otel import Tracing  # noqa: TC001 - msgspec reads it
from extproc.supervisor.backoff import Backoff
from extproc.supervisor.spawn import end, spawn
from extproc.telemetry.counters import GAUGES

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence
    from pathlib import Path

    from extproc.telemetry.counters import Key

START_TIMEOUT = 30.0  # a worker is up in well under a second; a loaded machine may need many
STOP_PATIENCE = 3.0
# A worker takes a generation within milliseconds; one that hangs is replaced by one that has it.
LOAD_PATIENCE = 1.5

log = logging.getLogger(__name__)


class Said(msgspec.Struct):
    """A line of a worker's."""

    ready: bool = False
    counts: list[tuple[tuple[str, ...], int]] = []
    windows: list[Window] = []
    generation: int | None = None


class Keeper(Protocol):
    """Keeps what workers saw of their challenges. A life is one process of a worker."""

    def ledger(self, life: str) -> Path:
        """Return where a life counts."""
        ...

    def took(self, life: str, windows: Sequence[Window]) -> None:
        """Take what a life told."""

    def ended(self, life: str) -> None:
        """A life has told all it could."""


class Told(msgspec.Struct, frozen=True):
    """What every worker is told at its start, whenever that is."""

    egress: str
    graphs: Sequence[dict[str, Any]]
    generation: int = 0
    bodies: bool = False
    limits: Limits = DEFAULTS
    tracing: Tracing | None = None


class WorkerProcess:
    """One worker under watch; its counts stay when it is replaced."""

    def __init__(self, number: int, socket: Path, told: Told, keeper: Keeper | None) -> None:
        self.number = number
        self.socket = socket
        self.ready = asyncio.Event()
        self.starts = 0
        self.told = told
        self._keeper = keeper
        self._listened = False
        self._loaded = asyncio.Condition()
        self._generation = -1
        self._process: Process | None = None
        self._ended: Counter[Key] = Counter()  # what replaced processes had counted
        self._current: dict[Key, int] = {}

    def __repr__(self) -> str:
        """Say number, process and state."""
        state = "ready" if self.ready.is_set() else "starting"
        return f"<WorkerProcess {self.number} pid={self.pid} {state} starts={self.starts}>"

    @property
    def pid(self) -> int | None:
        """The process id, None while none runs."""
        return None if self._process is None else self._process.pid

    def counts(self) -> Counter[Key]:
        """Return all that this worker and its predecessors counted."""
        return self._ended + Counter(self._current)

    async def run(self) -> None:
        """Keep a process running until cancelled. Raises StartError when the very first one never listens."""
        backoff = Backoff()
        while True:
            backoff.started()
            await self._one_life()
            if not self._listened:
                raise StartError("a worker could not start; see its errors above")
            pause = backoff.pause()
            log.warning("worker %d ended; the next one starts in %.1f s", self.number, pause)
            await asyncio.sleep(pause)

    async def _one_life(self) -> None:
        self.starts += 1
        life = uuid.uuid4().hex
        process = self._process = await spawn(
            [sys.executable, "-m", "extproc.supervisor.worker"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
        )
        try:
            self._order(process, life)
            await self._listen(process, life)
        finally:
            self.ready.clear()
            await end(process, STOP_PATIENCE)
            await self._listen(process, life)  # its last words
            if self._keeper is not None:
                self._keeper.ended(life)
            self._ended.update({key: count for key, count in self._current.items() if key[0] not in GAUGES})
            self._current = {}
            self._process = None
            await self._now_at(-1)

    def _order(self, process: Process, life: str) -> None:
        orders = {
            "listen": [f"unix:{self.socket}"],
            "egress": self.told.egress,
            "graphs": self.told.graphs,
            "bodies": self.told.bodies,
            "limits": self.told.limits,
            "tracing": self.told.tracing,
            "ledger": None if self._keeper is None else str(self._keeper.ledger(life)),
        }
        self._say(process, orders)
        # As an order of its own, so that it is confirmed as every other one is.
        self._say(process, {"generation": self.told.generation, "graphs": self.told.graphs})

    def _say(self, process: Process, message: object) -> None:
        if process.stdin is None:
            raise StartError("a worker without pipes")
        process.stdin.write(msgspec.json.encode(message) + b"\n")

    async def _listen(self, process: Process, life: str) -> None:
        if process.stdout is None:
            raise StartError("a worker without pipes")
        while line := await _line(process.stdout):
            try:
                said = msgspec.json.decode(line, type=Said)
            except ValueError:  # what is no JSON, and what is no text
                log.warning("worker %d said what cannot be read; it counts as not said", self.number)
                continue
            self._current.update(said.counts)
            if said.windows and self._keeper is not None:
                self._keeper.took(life, said.windows)
            if said.ready:
                self._listened = True
                self.ready.set()
            if said.generation is not None:
                await self._now_at(said.generation)

    async def _now_at(self, generation: int) -> None:
        async with self._loaded:
            self._generation = generation
            self._loaded.notify_all()

    async def load(self, told: Told) -> None:
        """Return when this worker has a generation: a process that does not take it in time is replaced by one that has."""
        self.told = told
        process = self._process
        if process is None:
            return  # whoever starts next has it
        self._say(process, {"generation": told.generation, "graphs": told.graphs})
        try:
            async with asyncio.timeout(LOAD_PATIENCE), self._loaded:
                await self._loaded.wait_for(lambda: self._generation == told.generation or self._process is not process)
        except TimeoutError:
            log.warning("worker %d did not take the new graphs and is replaced", self.number)
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def _line(said: asyncio.StreamReader) -> bytes:
    """Return the next line; nothing at the end, and an empty line for one that is longer than a line may be."""
    try:
        return await said.readline()
    except ValueError:
        return b"\n"


class Workers:
    """All workers of this supervisor."""

    def __init__(self, folder: Path, count: int, told: Told, keeper: Keeper | None) -> None:
        self.told = told
        self.all = tuple(WorkerProcess(n, folder / f"worker-{n}.sock", told, keeper) for n in range(count))

    def __repr__(self) -> str:
        """Say how many are ready."""
        return f"<Workers {self.listening}/{len(self.all)} ready>"

    @property
    def listening(self) -> int:
        """How many listen."""
        return sum(worker.ready.is_set() for worker in self.all)

    async def run(self) -> None:
        """Keep all of them running until cancelled."""
        async with asyncio.TaskGroup() as group:
            for worker in self.all:
                group.create_task(worker.run())

    async def ready(self) -> None:
        """Return when every worker listens. Raises StartError when one does not."""
        try:
            async with asyncio.timeout(START_TIMEOUT):
                for worker in self.all:
                    await worker.ready.wait()
        except TimeoutError:
            raise StartError(
                f"the workers did not start within {START_TIMEOUT:.0f} s; see their errors above"
            ) from None

    async def load(self, graphs: Sequence[dict[str, Any]]) -> None:
        """Return when no worker is left that lacks these graphs; those before them are kept for requests under way."""
        self.told = msgspec.structs.replace(self.told, graphs=graphs, generation=self.told.generation + 1)
        await asyncio.gather(*(worker.load(self.told) for worker in self.all))

    def counts(self) -> Counter[Key]:
        """Return what all workers counted, those long gone included."""
        return sum((worker.counts() for worker in self.all), Counter())
