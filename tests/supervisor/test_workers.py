"""A worker as its supervisor hears it: what cannot be read is passed over, and one that hangs is replaced."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from extproc.supervisor import workers as workers_module
from extproc.supervisor.workers import Told, WorkerProcess
from tests.challenge.store.building import window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Window

TOLD = Told("unix:/e", [])


class Kept:
    """A keeper that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def ledger(self, life: str) -> Path:
        """Return a place."""
        return Path(f"/ledgers/{life}")

    def took(self, life: str, windows: Sequence[Window]) -> None:
        """Note windows."""
        self.told.append((life, [one.eligible for one in windows]))

    def ended(self, life: str) -> None:
        """Note an end."""
        self.told.append((life, "ended"))


class Process:
    """A process that says what it is given, and notes what it is told."""

    def __init__(self, *lines: bytes, gone: bool = False, limit: int = 2**16) -> None:
        self.stdout = asyncio.StreamReader(limit=limit)
        self.stdin = self
        self.heard: list[Any] = []
        self.killed = 0
        self._gone = gone
        for line in lines:
            self.stdout.feed_data(line)
        self.stdout.feed_eof()

    def write(self, line: bytes) -> None:
        """Note what it is told."""
        self.heard.append(json.loads(line))

    def kill(self) -> None:
        """Note that it is killed."""
        self.killed += 1
        if self._gone:
            raise ProcessLookupError


def line(**said: object) -> bytes:
    """A line of a worker's."""
    return msgspec.json.encode(said) + b"\n"


async def heard(process: Any) -> tuple[WorkerProcess, Kept]:
    """A worker that listened to a process to its end."""
    keeper = Kept()
    worker = WorkerProcess(0, Path("/w"), TOLD, keeper)
    await worker._listen(process, "life")
    return worker, keeper


async def test_what_it_says():
    """Counts replace each other, windows go to the keeper, and readiness and its generation are known."""
    process = Process(
        line(ready=True),
        line(counts=[[["x", "a"], 1]], windows=[window(2, 2)]),
        line(counts=[[["x", "a"], 5], [["y"], 1]], generation=3),
    )
    worker, keeper = await heard(process)
    assert worker.ready.is_set()
    assert worker.counts() == {("x", "a"): 5, ("y",): 1}
    assert keeper.told == [("life", [2])]
    assert worker._generation == 3


@pytest.mark.parametrize(
    "garbage",
    [b"\n", b"{\n", b'{"counts": 7}\n', b'{"counts": [[["\xff"], 1]]}\n', b"x" * 5000 + b"\n", b"x" * 50_000 + b"\n"],
    ids=["nothing", "half", "other", "no text", "too long", "much too long"],
)
async def test_what_cannot_be_read_is_passed_over(garbage: bytes, caplog: pytest.LogCaptureFixture):
    """A line that is none costs itself: the next one counts, and the log says so."""
    process = Process(garbage, line(windows=[window(2, 2)]), line(ready=True), limit=4096)
    worker, keeper = await heard(process)
    assert worker.ready.is_set()
    assert ("life", [2]) in keeper.told
    assert {one.getMessage() for one in caplog.records} == {"worker 0 said what cannot be read; it counts as not said"}
    assert all(one.levelno == logging.WARNING for one in caplog.records)


async def test_one_that_is_cut_off():
    """A killed worker's last line may be half a line: what was whole counts."""
    whole = line(windows=[window(2, 2)])
    for length in range(1, len(whole) - 1):
        _, keeper = await heard(Process(whole, whole[:length]))
        assert keeper.told == [("life", [2])]


@pytest.mark.parametrize("gone", [False, True], ids=["hangs", "has just ended"])
async def test_one_that_takes_no_graphs_is_replaced(monkeypatch: pytest.MonkeyPatch, *, gone: bool):
    """Who does not confirm a generation in time is killed: whoever starts next has it from the beginning."""
    monkeypatch.setattr(workers_module, "LOAD_PATIENCE", 0.02)
    worker = WorkerProcess(0, Path("/w"), TOLD, None)
    process: Any = Process(gone=gone)
    worker._process = process
    next_told = Told("unix:/e", [{"x": 1}], generation=1)
    await worker.load(next_told)
    assert process.killed == 1
    assert process.heard == [{"generation": 1, "graphs": [{"x": 1}]}]
    later: Any = Process()
    worker._order(later, "life")
    assert [one["graphs"] for one in later.heard] == [[{"x": 1}]] * 2
    assert later.heard[1]["generation"] == 1


async def test_one_that_ends_while_it_takes_graphs_is_not_waited_for():
    """Its successor has them: nobody waits for a dead one."""
    worker = WorkerProcess(0, Path("/w"), TOLD, None)
    process: Any = Process()
    worker._process = process
    loading = asyncio.create_task(worker.load(Told("unix:/e", [], generation=1)))
    while not process.heard:
        await asyncio.sleep(0)
    worker._process = None
    await worker._now_at(-1)
    await asyncio.wait_for(loading, 1)
    assert process.killed == 0
    await worker.load(Told("unix:/e", [], generation=2))
    assert worker.told.generation == 2
