"""Child processes that never outlive this one."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Run in the child: the kernel kills it when its parent is gone, however that ended."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)  # Ctrl-C in a terminal is for the supervisor alone, which drains first


async def spawn(command: Sequence[str], *, stdin: int | None, stdout: int | None, stderr: int | None) -> Process:
    """Start a process that dies with this one and does not see the terminal's Ctrl-C."""
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=stderr, preexec_fn=_die_with_parent, limit=2**26
    )


async def end(process: Process, patience: float) -> None:
    """Ask a process to stop, and kill it when it does not within ``patience`` seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        process.kill()
        await process.wait()
