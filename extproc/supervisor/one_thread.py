"""A thread that does one thing after the other, and never holds up the end of its process.

An executor's thread is waited for when Python ends, however long a server keeps it: this one is not.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class OneThread:
    """Runs what blocks, in the order in which it was asked for."""

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        """Say its name, and how much waits."""
        return f"<OneThread {self._thread.name} {self._asked.qsize()} wait>"

    async def call(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns. Whoever stops waiting before it has begun prevents it."""
        future: Future[T] = Future()
        self._asked.put((future, work))
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """End when all that was asked for is done."""
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            future, work = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                future.set_exception(error)
            else:
                future.set_result(result)
