"""One challenger's legs: what runs, what waits, what is shed, and what is held."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.challenge.legs import Legs
from extproc.challenge.limits import Limits
from tests.challenge.arenas import turn
from tests.engine.virtual import run


class Work:
    """Legs that note when they begin and end; each takes the seconds it was given."""

    def __init__(self, concurrency: int, queue: int) -> None:
        self.legs = Legs(Limits(concurrency=concurrency, queue=queue))
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.running = 0
        self.most = 0

    def start(self, number: int, seconds: float) -> bool:
        """Start a leg, if it may."""
        return self.legs.start(lambda: self._run(number, seconds))

    async def _run(self, number: int, seconds: float) -> None:
        self.begun.append(number)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.running -= 1
        self.ended.append(number)


def test_the_line():
    """Legs above the concurrency wait in the order in which they came, and begin as soon as one has ended."""

    async def main() -> None:
        work = Work(2, 2)
        assert [work.start(number, seconds) for number, seconds in enumerate([0.1, 0.3, 0.1, 0.1, 0.1])] == [
            True, True, True, True, False,
        ]  # fmt: skip
        await turn()
        assert (work.begun, repr(work.legs)) == ([0, 1], "<Legs 2 under way, 2 in line, 0 bytes>")
        await asyncio.sleep(0.15)
        assert work.begun == [0, 1, 2]
        assert work.start(5, 0.1)
        await asyncio.sleep(1)
        assert (work.begun, work.ended) == ([0, 1, 2, 3, 5], [0, 2, 1, 3, 5])
        assert work.legs.free

    run(main())


def test_no_concurrency_at_all():
    """Where no leg may run none waits for its turn, which would never come."""
    assert not Work(0, 5).start(0, 1)


def test_stopping():
    """What runs is cut off, what waits never begins."""

    async def main() -> None:
        work = Work(1, 5)
        for number in range(3):
            work.start(number, 1)
        await turn()
        work.legs.stop()
        await turn()
        assert (work.begun, work.ended, work.running) == ([0], [], 0)
        assert work.legs.free

    run(main())


def test_memory():
    """Bytes are held up to the limit exactly, and what was refused is not counted."""
    legs = Legs(Limits(memory=100))
    assert legs.hold(60)
    assert not legs.hold(41)
    assert legs.hold(40)
    assert not legs.hold(1)
    assert legs.hold(0)
    assert not legs.free
    legs.give_back(60)
    assert legs.hold(60)
    legs.give_back(100)
    assert legs.free


@settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(
    st.integers(1, 4),
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5]), st.sampled_from([0.0, 0.05, 0.1, 1.0])), max_size=20),
)
def test_whenever_they_come(concurrency, queue, arrivals):
    """Never more than allowed run, every leg that was taken runs, and one is shed only when all places are taken."""

    async def main() -> None:
        work = Work(concurrency, queue)
        taken: list[Any] = []
        for number, (pause, seconds) in enumerate(arrivals):
            await asyncio.sleep(pause)
            full = len(work.legs._running) == concurrency and len(work.legs._waiting) == queue
            if work.start(number, seconds):
                taken.append(number)
                assert not full
            else:
                assert full
        await asyncio.sleep(30)
        assert work.most <= concurrency
        assert work.begun == taken
        assert sorted(work.ended) == taken
        assert work.legs.free

    run(main())
