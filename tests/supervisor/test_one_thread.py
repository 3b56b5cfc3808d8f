"""A thread that does one thing after the other, and that nobody has to wait for."""

import asyncio
import subprocess
import sys
import threading
from functools import partial

import pytest

from extproc.supervisor.one_thread import OneThread

HANGS = """
import asyncio, threading
from extproc.supervisor.one_thread import OneThread

async def main():
    hanging = OneThread("x").call(threading.Event().wait)
    try:
        await asyncio.wait_for(hanging, 0.05)
    except TimeoutError:
        print("left behind")

asyncio.run(main())
"""


async def test_one_after_the_other():
    """Work is done in the order in which it was asked for, in one thread, and its result or error comes back."""
    thread = OneThread("x")
    done: list[int] = []
    where: set[int] = set()

    def work(number: int) -> int:
        done.append(number)
        where.add(threading.get_ident())
        if number == 3:
            raise KeyError(number)
        return number * 2

    asked = [asyncio.create_task(thread.call(partial(work, number))) for number in range(6)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert done == list(range(6))
    assert len(where) == 1
    assert where != {threading.get_ident()}
    assert [str(one) for one in found] == ["0", "2", "4", "3", "8", "10"]
    assert isinstance(found[3], KeyError)
    thread.end()


async def test_what_nobody_waits_for_any_more_is_not_begun():
    """Whoever is cancelled while another thing is done prevents his own; the thread goes on."""
    thread = OneThread("x")
    gate, began = threading.Event(), threading.Event()

    def first() -> None:
        began.set()
        gate.wait()

    held = asyncio.create_task(thread.call(first))
    done: list[str] = []
    given_up = asyncio.create_task(thread.call(lambda: done.append("given up")))
    kept = asyncio.create_task(thread.call(lambda: done.append("kept")))
    await asyncio.to_thread(began.wait)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    gate.set()
    await asyncio.gather(held, kept)
    assert done == ["kept"]
    thread.end()


def test_one_that_hangs_does_not_hold_up_the_end():
    """A process ends although something in the thread never does."""
    done = subprocess.run([sys.executable, "-c", HANGS], check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout == "left behind\n"
    assert done.stderr == ""
