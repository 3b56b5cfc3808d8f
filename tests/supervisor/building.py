"""Graphs with a challenge, state folders, books on SQLite, and stores that fail when they are told to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.store import Store
from extproc.supervisor.book import Book
from extproc.supervisor.state import State
from tests.plan.building import graph

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from extproc.graph import Graph

DUEL = """
timeout: 2
models:
  v1: {url: "http://v1/m"}
  v2: {url: "http://v2/m", timeout: 0.3}
  v3: {url: "http://v3/m"}
nodes:
  root:
    challenge:
      champion: v1
      challengers: [{name: gbm, to: v2, sample: 0.25}, {name: mlp, to: {chain: {steps: [{name: one, to: v1}, {name: two, to: v3}]}}}]
      guardrails: {errors: {max: 0.5}}
"""
WAIT = 10.0  # seconds for something that takes milliseconds


def duel(old: str = "", new: str = "", name: str = "fraud") -> Graph:
    """A graph with two challengers, with a text of it replaced, which must be there."""
    assert old in DUEL
    return graph(DUEL.replace(old, new), name)


def raw_node(found: Graph) -> dict[str, Any]:
    """The challenge as it is written."""
    node: dict[str, Any] = found.raw["spec"]["nodes"]["root"]["challenge"]
    return node


class FailingStore(Store):
    """A store that can be told to fail, or to wait, before it does anything, and that notes what is booked."""

    failure: Exception | None = None
    gate: threading.Event | None = None
    batches: list[tuple[str, int, list[int]]]  # life, number, eligible requests

    def _attempt(self, work: Callable[..., Any]) -> Any:
        self._trouble()
        return super()._attempt(work)

    def _read(self, work: Callable[..., Any]) -> Any:
        self._trouble()
        return super()._read(work)

    def book(self, life: str, number: int, windows: Any) -> None:
        """Note what is asked for, and book it."""
        self.batches.append((life, number, [window.eligible for window in windows]))
        super().book(life, number, windows)

    def _trouble(self) -> None:
        if self.gate is not None:
            self.gate.wait()
        if self.failure is not None:
            raise self.failure


AWAY = StoreError("the store x: connection refused: check that the server runs")


@contextlib.asynccontextmanager
async def opened(folder: Path, url: str | None = None) -> AsyncIterator[tuple[Book, FailingStore]]:
    """A book that books, with its store; at the end it is closed as a supervisor closes it."""
    state = State(folder)
    book = Book(url or state.store, state.writer, state.ledgers)
    await book.open()
    running = asyncio.create_task(book.run())
    store = book.store
    store.__class__ = FailingStore
    assert isinstance(store, FailingStore)
    store.batches = []
    try:
        yield book, store
    finally:
        store.failure = store.gate = None
        await book.settled(WAIT)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await book.close()


async def until(holds: Callable[[], Any], within: float = WAIT) -> Any:
    """Wait until something holds, and return what it was then."""
    async with asyncio.timeout(within):
        while not (found := holds()):
            await asyncio.sleep(0.005)
    return found
