"""Writes log lines without ever making whoever logs wait: a thread writes, and what it cannot keep up with is counted.

Standard error may be a pipe that nobody reads. The reader then misses lines; requests do not notice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
from queue import SimpleQueue
from threading import Thread

ROOM = 256 * 1024  # bytes of lines that wait: four times what a pipe holds, some thousand lines
PATIENCE = 1.0  # seconds that the last lines have at the end: a reader takes them at once, or not at all


class Lines(logging.Handler):
    """Writes records to a file descriptor, each as its formatter says."""

    def __init__(self, descriptor: int, room: int = ROOM) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._room = room
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._writer: Thread | None = None
        # Each of these has one writer: those who log, of whom ``handle`` lets in one at a time, or the thread.
        self._taken = 0  # bytes
        self._left = 0
        self._refused = 0  # lines
        self._failed = 0
        self._told = 0

    def __repr__(self) -> str:
        """Say what waits and what was dropped."""
        return f"<Lines {self._taken - self._left} bytes wait, {self.dropped} dropped>"

    @property
    def dropped(self) -> int:
        """How many lines were not written."""
        return self._refused + self._failed

    def emit(self, record: logging.LogRecord) -> None:
        """Have a record written."""
        try:
            line = self._line(record)
            if self._writer is None:
                self._writer = Thread(target=self._write, name="log lines", daemon=True)
                self._writer.start()
        except Exception:  # noqa: BLE001 - a log breaks nothing of what it tells
            self._refused += 1
            return
        if self._taken - self._left + len(line) > self._room:
            self._refused += 1
            return
        self._taken += len(line)
        self._waiting.put(line)

    def close(self) -> None:
        """Write what waits, if that is possible soon."""
        if self._writer is not None:
            self._waiting.put(None)
            self._writer.join(PATIENCE)
        super().close()

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("utf-8", "backslashreplace") + b"\n"

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                if (refused := self._refused) > self._told:
                    _write(self._descriptor, self._line(_missing(refused - self._told)))
                    self._told = refused
                _write(self._descriptor, line)
            except OSError:  # there is nobody any more
                self._failed += 1
            self._left += len(line)


def _write(descriptor: int, line: bytes) -> None:
    """Write a line whole, waiting for its reader; the descriptor may not block, where another process wants that."""
    while line:
        with contextlib.suppress(BlockingIOError):
            line = line[os.write(descriptor, line) :]
            continue
        waiting = select.poll()
        waiting.register(descriptor, select.POLLOUT)
        waiting.poll()


def _missing(lines: int) -> logging.LogRecord:
    text = "%d log lines are missing here: they came faster than they were read"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (lines,), None)
