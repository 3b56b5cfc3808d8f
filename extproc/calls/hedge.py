"""Two attempts side by side, the second started when the first is slow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

T = TypeVar("T")


async def hedged(
    start: Callable[[], Coroutine[Any, Any, T]],
    after: float,
    wins: Callable[[T], bool],
    discard: Callable[[T], None],
) -> T:
    """Return the first result that wins; when none does, the last that came.

    A first attempt that ends within ``after`` seconds is the result, whatever it is. ``start`` raises nothing. The loser
    is cancelled at once; a result that is not returned is given to ``discard``, however this ends.
    """
    tasks = [asyncio.create_task(start())]
    kept: asyncio.Task[T] | None = None
    try:
        kept = await _race(tasks, start, after, wins)
        return kept.result()
    finally:
        losers = [task for task in tasks if task is not kept]
        for task in losers:
            task.cancel()
            task.add_done_callback(lambda ended: None if ended.cancelled() else discard(ended.result()))
        if losers:
            await asyncio.wait(losers)


async def _race(
    tasks: list[asyncio.Task[T]], start: Callable[[], Coroutine[Any, Any, T]], after: float, wins: Callable[[T], bool]
) -> asyncio.Task[T]:
    ended, running = await asyncio.wait(tasks, timeout=after)
    if ended:
        return tasks[0]
    tasks.append(asyncio.create_task(start()))
    running.add(tasks[1])
    while True:
        ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        in_order = [task for task in tasks if task in ended]
        winner = next((task for task in in_order if wins(task.result())), None)
        if winner is not None or not running:
            return winner or in_order[-1]
