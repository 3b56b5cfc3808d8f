"""An event loop whose timers are exact to a tenth of a millisecond: epoll's and uvloop's are whole milliseconds."""

from __future__ import annotations

import asyncio
import select
import selectors
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

T = TypeVar("T")


class _Exact(selectors.EpollSelector):
    """Waits with select(2), which counts microseconds, for epoll to have something."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            select.select([self.fileno()], [], [], timeout)
        return super().select(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Exact())) as runner:
        return runner.run(work)
