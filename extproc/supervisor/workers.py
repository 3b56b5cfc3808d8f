"""The workers, kept alive: each is started, watched, and started again with a growing pause when it ends."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.errors import StartError
from extproc.supervisor.backoff import Backoff
from extproc.supervisor.spawn import end, spawn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence
    from pathlib import Path

    from extproc.telemetry.counters import Key

START_TIMEOUT = 30.0  # a worker is up in well under a second; a loaded machine may need many
STOP_PATIENCE = 3.0

log = logging.getLogger(__name__)


class Said(msgspec.Struct):
    """A line of a worker's."""

    ready: bool = False
    counts: list[tuple[tuple[str, ...], int]] = []


class WorkerProcess:
    """One worker under watch; its counts stay when it is replaced."""

    def __init__(self, number: int, socket: Path, egress: str, graphs: Sequence[dict[str, Any]]) -> None:
        self.number = number
        self.socket = socket
        self.ready = asyncio.Event()
        self.starts = 0
        self._listened = False
        self._orders = {"listen": [f"unix:{socket}"], "egress": egress, "graphs": graphs}
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
        process = self._process = await spawn(
            [sys.executable, "-m", "extproc.supervisor.worker"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
        )
        try:
            await self._talk(process)
        finally:
            self.ready.clear()
            await end(process, STOP_PATIENCE)
            self._ended.update(self._current)
            self._current = {}
            self._process = None

    async def _talk(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise StartError("a worker without pipes")
        process.stdin.write(msgspec.json.encode(self._orders) + b"\n")
        while line := await process.stdout.readline():
            said = msgspec.json.decode(line, type=Said)
            self._current.update(said.counts)
            if said.ready:
                self._listened = True
                self.ready.set()


class Workers:
    """All workers of this supervisor."""

    def __init__(self, folder: Path, count: int, egress: str, graphs: Sequence[dict[str, Any]]) -> None:
        self.all = tuple(WorkerProcess(n, folder / f"worker-{n}.sock", egress, graphs) for n in range(count))

    def __repr__(self) -> str:
        """Say how many are ready."""
        return f"<Workers {sum(worker.ready.is_set() for worker in self.all)}/{len(self.all)} ready>"

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

    def counts(self) -> Counter[Key]:
        """Return what all workers counted, those long gone included."""
        return sum((worker.counts() for worker in self.all), Counter())
