"""One challenger's legs: so many at once, so many in line, so many bytes held for them; what is more is shed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from extproc.challenge.limits import Limits


class Legs:
    """Legs under way and in line. Each is a coroutine that raises nothing but its own cancellation."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: deque[Callable[[], Coroutine[None, None, None]]] = deque()
        self.held = 0

    def __repr__(self) -> str:
        """Say what is taken."""
        return f"<Legs {len(self._running)} under way, {len(self._waiting)} in line, {self.held} bytes>"

    @property
    def free(self) -> bool:
        """Whether everything was given back."""
        return not self._running and not self._waiting and not self.held

    def hold(self, size: int) -> bool:
        """Take bytes for a pair, unless that were more than the limit."""
        if self.held + size > self._limits.memory:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """Give a pair's bytes back."""
        self.held -= size

    def start(self, leg: Callable[[], Coroutine[None, None, None]]) -> bool:
        """Start a leg, or let it wait for its turn; return False where it has to be shed."""
        if len(self._running) < self._limits.concurrency:
            self._run(leg)
        elif self._running and len(self._waiting) < self._limits.queue:
            self._waiting.append(leg)
        else:
            return False
        return True

    def _run(self, leg: Callable[[], Coroutine[None, None, None]]) -> None:
        task = asyncio.get_running_loop().create_task(leg())
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting and len(self._running) < self._limits.concurrency:
            self._run(self._waiting.popleft())

    def stop(self) -> None:
        """Forget what waits, and cancel what is under way."""
        self._waiting.clear()
        for task in self._running:
            task.cancel()
