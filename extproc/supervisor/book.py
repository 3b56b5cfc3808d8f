"""What workers saw of their challenges, on its way into the store: one thread writes, and nothing waits for it.

While the store cannot be reached what comes is summed up here, and booked when it can again.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from extproc.challenge import ledger
from extproc.challenge.evidence import Evidence, Window, merged
from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.limits import DEFAULTS, Limits
from extproc.challenge.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extproc.challenge.store.lives import Told

P = ParamSpec("P")
T = TypeVar("T")

RETRY = 1.0  # seconds before a store that failed is tried again
RETAIN_EVERY = 60.0
MOST_RECORDS = 20_000  # of one life, kept while the store is away: some twenty seconds of a busy worker

log = logging.getLogger(__name__)


class Life:
    """One run of a worker: what it told and is not booked yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.booked = 0  # batches
        self.waiting: dict[str, Window] = {}
        self.batch: list[Window] = []  # being booked: as it is until it is

    def __repr__(self) -> str:
        """Say what waits."""
        return f"<Life {self.name} {len(self.waiting)} windows wait, {self.booked} batches booked>"

    def take(self, windows: Sequence[Window]) -> None:
        """Sum up what came."""
        for window in windows:
            known = self.waiting.get(window.challenge)
            if known is None:
                self.waiting[window.challenge] = window
            else:
                _add(known, window)

    def next_batch(self) -> list[Window]:
        """Return what is to be booked next, the same until it is booked."""
        if not self.batch:
            self.batch, self.waiting = list(self.waiting.values()), {}
        return self.batch


class Book:
    """Books into a store; every method may be called from the event loop."""

    def __init__(self, url: str, writer: str, ledgers: Path, limits: Limits = DEFAULTS) -> None:
        self._limits = limits
        self._url = url
        self._writer = writer
        self._ledgers = ledgers
        self._thread = ThreadPoolExecutor(1, "store")
        self._lives: dict[str, Life] = {}
        self._ended: list[str] = []
        self._came = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._well = True
        self._store: Store | None = None

    def __repr__(self) -> str:
        """Say the store and whether it answers."""
        return f"<Book {self._store!r} {'well' if self._well else 'away'} {len(self._lives)} lives>"

    async def open(self) -> None:
        """Open the store, and book what workers of an earlier supervisor saw and did not tell. Raises StoreError."""
        self._store = await self._in_thread(Store.open, self._url, self._writer, self._limits)
        for file in self._ledgers.glob("*.ledger"):
            await self._close_life(file.stem)
        for life in await self._in_thread(self._store.open_lives):
            await self._close_life(life)

    def ledger(self, life: str) -> Path:
        """Return where a life's worker counts."""
        return self._ledgers / f"{life}.ledger"

    def took(self, life: str, windows: Sequence[Window]) -> None:
        """Take what a worker told."""
        self._lives.setdefault(life, Life(life)).take(windows)
        self._wake()

    def ended(self, life: str) -> None:
        """A worker is gone, and told all it could."""
        self._lives.setdefault(life, Life(life))
        self._ended.append(life)
        self._wake()

    def _wake(self) -> None:
        self._idle.clear()
        self._came.set()

    async def run(self) -> None:
        """Book what comes until cancelled."""
        retaining = asyncio.create_task(self._retain())
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                await self._until_booked()
                self._idle.set()
        finally:
            retaining.cancel()

    async def _until_booked(self) -> None:
        while not await self._tried(self._all):
            await asyncio.sleep(RETRY)

    async def _all(self) -> None:
        for life in list(self._lives.values()):
            while batch := life.next_batch():
                await self._in_thread(self.store.book, life.name, life.booked + 1, batch)
                life.booked += 1
                life.batch = []
        while self._ended:
            await self._close_life(self._ended[0])
            self._lives.pop(self._ended.pop(0), None)

    async def _tried(self, work: Callable[[], object]) -> bool:
        """Do something with the store; tell people once that it failed, and once that it is well again."""
        try:
            await work()  # type: ignore[misc]
        except StoreError as error:
            if self._well:
                log.error("%s; what challenges see is kept, and booked when it can be", error)  # noqa: TRY400 - it says all
            self._well = False
            return False
        if not self._well:
            log.warning("the store answers again")
        self._well = True
        return True

    async def _close_life(self, life: str) -> None:
        file = self.ledger(life)
        told: Told = {}
        if file.exists():
            told = {entry.challenge: (count, entry.challengers) for entry, count in ledger.read(file)}
        await self._in_thread(self.store.close_life, life, told)
        file.unlink(missing_ok=True)

    async def _retain(self) -> None:
        while True:
            await asyncio.sleep(RETAIN_EVERY)
            await self._tried(lambda: self._in_thread(self.store.retain))

    @property
    def store(self) -> Store:
        """The store, once it is open."""
        if self._store is None:
            raise AssertionError(self)
        return self._store

    async def call(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do something with the store in its thread."""
        return await self._in_thread(work, *arguments, **named)

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*arguments, **named))

    async def settled(self, patience: float) -> None:
        """Return when all that came is booked, or after ``patience`` seconds: what is not then counts as interrupted."""
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            log.error("the store took nothing for %.0f s: what was not booked is interrupted", patience)  # noqa: TRY400

    async def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            await self._in_thread(self._store.close)
        self._thread.shutdown(wait=False)


def _add(known: Window, window: Window) -> None:
    """Add a later window of the same life and challenge."""
    known.eligible = window.eligible
    for challenger, segments in window.evidence.items():
        mine = known.evidence.setdefault(challenger, {})
        for segment, evidence in segments.items():
            merged(mine.setdefault(segment, Evidence()), evidence)
    room = max(0, MOST_RECORDS - len(known.records))
    known.records += window.records[:room]
    if lost := len(window.records[room:]):
        known.dropped["records"] = known.dropped.get("records", 0) + lost
    for reason, times in window.dropped.items():
        known.dropped[reason] = known.dropped.get(reason, 0) + times
