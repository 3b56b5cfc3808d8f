"""An asyncio event loop whose time jumps to the next timer as soon as nothing is ready: no test sleeps."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

START = 1000.0  # not 0: who mistakes a moment for a duration is found out


class DeadlockError(Exception):
    """Nothing is ready and nothing is scheduled, but the main task waits."""


class _Jumping(selectors.SelectSelector):
    """A selector that never waits and never sees anything: it moves the loop's time instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time that somebody would sleep have passed."""
        if timeout is None:
            raise DeadlockError("nothing is ready, and nothing ever will be")
        self.loop.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; ``complaints`` are what asyncio would have logged: exceptions that nobody asked for and the like."""

    def __init__(self) -> None:
        selector = _Jumping()
        selector.loop = self
        self._virtual = START
        super().__init__(selector)
        self.complaints: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._virtual

    def jump(self, seconds: float) -> None:
        """Move to the next timer exactly, or by as much as the loop would have slept."""
        if seconds > 0:
            scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
            self._virtual = max(self._virtual, scheduled[0].when()) if scheduled else self._virtual + seconds


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; fail where a task is left behind, or asyncio complained."""
    loop = VirtualLoop()
    try:
        found = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, f"left behind: {left}"
    finally:
        _sweep(loop)
    assert not loop.complaints, loop.complaints
    return found


def _sweep(loop: VirtualLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True)) if left else None
    loop.close()
