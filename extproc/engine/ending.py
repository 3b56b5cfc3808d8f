"""What a run starts ends with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what is not done, and wait until all have ended, also when this is cancelled meanwhile.

    Nothing is raised for how they ended: that is for whoever asks them.
    """
    if all(task.done() for task in tasks):
        for task in tasks:
            if not task.cancelled():
                task.exception()  # asked here, in case that nobody else does: asyncio complains of what is never asked
        return
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
