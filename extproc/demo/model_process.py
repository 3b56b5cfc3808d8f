"""The model server as a process of its own.

So it is nearer to reality, where models are elsewhere: it trains while this process loads, predicting does not hold up
what is measured and shown here, and it can be stopped, to see what clients get then.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extproc.errors import StartError
from extproc.supervisor.spawn import end, spawn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

START_TIMEOUT: Final = 120.0  # it takes 3 s; a loaded machine, whose disk has not seen scikit-learn yet, many more
STOP_PATIENCE: Final = 3.0


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A model server that listens at ``url``."""

    url: str
    pid: int


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    """Trains and serves every demo model on a free port, until the block ends.

    Raises:
        StartError: The process ended, or did not listen in time.
    """
    command = [sys.executable, "-m", "extproc.demo.model_server", "--port", "0"]
    process = await spawn(command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=None)
    try:
        yield ModelServer(await _url(process), process.pid)
    finally:
        await end(process, STOP_PATIENCE)


async def _url(process: Process) -> str:
    """The line that the server says once it listens."""
    if process.stdout is None:
        raise StartError("a model server without a pipe")
    try:
        async with asyncio.timeout(START_TIMEOUT):
            line = await process.stdout.readline()
    except TimeoutError:
        raise StartError(f"the model server did not start within {START_TIMEOUT:.0f} s") from None
    if not line:
        raise StartError("the model server ended before it listened; see its errors above")
    return line.decode().strip()
