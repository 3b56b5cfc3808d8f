"""The virtual loop that the engine's tests stand on."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.engine.virtual import START, DeadlockError, run


def test_time_jumps():
    """An hour passes at once, and timers fire in order at their very moments."""
    fired = []

    async def nap(seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append(asyncio.get_running_loop().time() - START)

    async def main() -> None:
        await asyncio.gather(nap(3600), nap(0.5), nap(60))

    begun = time.monotonic()
    run(main())
    assert fired == [0.5, 60, 3600]
    assert time.monotonic() - begun < 60


def test_a_deadlock_is_found():
    """Waiting for what nobody will ever do is an error, not a test that hangs."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(main())


def test_a_task_left_behind_is_found():
    """A task that outlives the main one fails the test."""
    kept = []

    async def main() -> None:
        kept.append(asyncio.create_task(asyncio.sleep(10)))

    with pytest.raises(AssertionError, match="left behind"):
        run(main())


def test_an_exception_that_nobody_asks_for_is_found():
    """What asyncio would only log fails the test."""

    async def fail() -> None:
        raise ValueError

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        del task

    with pytest.raises(AssertionError, match="never retrieved"):
        run(main())
