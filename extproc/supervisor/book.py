"""What workers saw of their challenges, on its way into the store: one thread writes, and nothing waits for it.

While the store cannot be reached what comes is summed up here, and booked when it can again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from extproc.challenge import ledger
from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.limits import DEFAULTS, Limits
from extproc.challenge.store.store import Store
from extproc.supervisor.life import Life
from extproc.supervisor.one_thread import OneThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from extproc.challenge.evidence import Window
    from extproc.challenge.store.lives import Told

P = ParamSpec("P")
T = TypeVar("T")

RETRY = 1.0  # seconds before a store that failed is tried again
RETAIN_EVERY = 60.0
LAST_PATIENCE = 3.0  # seconds for the store to take what is left at the end
OPEN_PATIENCE = 30.0  # seconds for a store to be opened: a slow disk with much to join, and no server that hangs
CALL_PATIENCE = 10.0  # seconds for whoever asks the store something: less than a client waits for feedback to be taken
CLOSE_PATIENCE = 1.0  # seconds for a store to be closed: one that hangs must not hold up the end

log = logging.getLogger(__name__)


class Book:
    """Books into a store; every method may be called from the event loop."""

    def __init__(self, url: str, writer: str, ledgers: Path, limits: Limits = DEFAULTS) -> None:
        self._limits = limits
        self._url = url
        self._writer = writer
        self._ledgers = ledgers
        self._thread = OneThread("store")
        self._lives: dict[str, Life] = {}
        self._ended: list[str] = []
        self._came = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._well = True
        self._closed = False
        self._store: Store | None = None

    def __repr__(self) -> str:
        """Say the store and whether it answers."""
        return f"<Book {self._store!r} {'well' if self._well else 'away'} {len(self._lives)} lives>"

    async def open(self) -> None:
        """Open the store, and book what workers of an earlier supervisor saw and did not tell. Raises StoreError."""
        try:
            async with asyncio.timeout(OPEN_PATIENCE):
                await self._open()
        except TimeoutError:
            raise StoreError(f"the store did not answer within {OPEN_PATIENCE:.0f} s; see its server's log") from None

    async def _open(self) -> None:
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
        if life not in self._ended:
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
                if not self._came.is_set():
                    self._idle.set()
        finally:
            retaining.cancel()

    async def _until_booked(self) -> None:
        while not await self._tried(self._all):
            await asyncio.sleep(RETRY)

    async def _all(self) -> None:
        for life in list(self._lives.values()):
            await self._book_life(life)
        while self._ended:
            life = self._lives[self._ended[0]]
            await self._book_life(life)  # its last words may have come while another one's were booked
            await self._close_life(life.name)
            self._lives.pop(self._ended.pop(0))

    async def _book_life(self, life: Life) -> None:
        while batch := life.next_batch():
            await self._in_thread(self.store.book, life.name, life.booked + 1, batch)
            life.booked += 1
            life.batch = []

    async def _tried(self, work: Callable[[], Coroutine[object, object, object]]) -> bool:
        """Do something with the store; tell people once that it failed, and once that it is well again.

        Whatever fails, clients are served: so nothing that is raised here ends the system.
        """
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - see above
            self._failed(error)
            return False
        if not self._well:
            log.warning("the store answers again")
        self._well = True
        return True

    def _failed(self, error: Exception) -> None:
        if self._well:
            trace = None if isinstance(error, StoreError) else error  # a StoreError says all
            log.error("%s; what challenges see is kept, and booked when it can be", error, exc_info=trace)
        self._well = False

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
        """Do something with the store in its thread. Raises StoreError, also where it takes too long."""
        if self._closed:
            raise StoreError("the store is closed: this extproc ends")
        try:
            async with asyncio.timeout(CALL_PATIENCE):
                return await self._in_thread(work, *arguments, **named)
        except TimeoutError:
            late = StoreError(f"the store did not answer within {CALL_PATIENCE:.0f} s; see its server's or disk's log")
            self._failed(late)
            raise late from None

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await self._thread.call(lambda: work(*arguments, **named))

    async def settled(self, patience: float = LAST_PATIENCE) -> None:
        """Return when all that came is booked, or after ``patience`` seconds: what is not then counts as interrupted."""
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            log.error("the store took nothing for %.0f s: what was not booked is interrupted", patience)  # noqa: TRY400

    async def close(self) -> None:
        """Close the store; one that hangs is left behind."""
        self._closed = True
        if self._store is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._in_thread(self._store.close), CLOSE_PATIENCE)
        self._thread.end()
