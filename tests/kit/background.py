"""One event loop in a daemon thread, shared by all stubs.

A test may block, or run on any loop of its own, and the stubs still answer.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

START_SECONDS = 10.0  # a loop on a crowded machine starts within this, or never


class Background:
    """A running event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="kit-stubs", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine there and blocks until it has ended."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine there and awaits its end here."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def call(self, function: Callable[[], object]) -> None:
        """Calls a function there, soon."""
        self._loop.call_soon_threadsafe(function)


@functools.cache
def background() -> Background:
    """The process's one background loop."""
    return Background()
