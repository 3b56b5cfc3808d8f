"""How many requests reached each challenge, in a memory-mapped file: it says so when its worker was killed, too.

Entries stand one behind the other: a count of 8 bytes, the length of what follows in 8, and JSON padded to 8. Only counts
ever change, and numbers are in the machine's own order: each is written in one piece, so that nobody is killed amid one.
The kernel keeps what was written to the mapping, however the process ended.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

GROWTH = 64 * 1024  # a few hundred challenges; a file grows by as much when they do not fit
PRIVATE = 0o600
log = logging.getLogger(__name__)
_HEAD = struct.Struct("@QQ")
_COUNT = struct.Struct("@Q")


class Entry(msgspec.Struct, frozen=True):
    """A challenge as the file names it."""

    challenge: str
    graph: str
    challengers: tuple[str, ...]


class Ledger:
    """A worker's file. Without a path it is memory alone, for a worker that nobody asks when it is gone.

    Where the disk has no room it goes on in memory: a challenge must not keep its worker from serving.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._end = 0
        self._file = None if path is None else os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE)
        self._map = self._mapped()
        self._spare: Ledger | None = None

    def __repr__(self) -> str:
        """Say where it is."""
        return f"<Ledger {self._path or 'in memory'} {self._end} bytes>"

    def open(self, entry: Entry) -> Count:
        """Add a challenge and return its count, which is 0."""
        text = msgspec.json.encode(entry)
        text += b" " * (-len(text) % 8)
        at, end = self._end, self._end + _HEAD.size + len(text)
        while end + _HEAD.size > len(self._map):
            if not self._grown(len(self._map) + GROWTH):
                self._spare = self._spare or Ledger()
                return self._spare.open(entry)
        self._map[at + _HEAD.size : end] = text
        _HEAD.pack_into(self._map, at, 0, len(text))  # last: without its length an entry is not there
        self._end = end
        return Count(self, at)

    def _mapped(self) -> mmap.mmap:
        if self._file is None or not self._allocated(GROWTH):
            # Not shared: the kernel enlarges what is shared only as far as addresses go, and who writes there is killed.
            return mmap.mmap(-1, GROWTH, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return mmap.mmap(self._file, GROWTH)

    def _grown(self, size: int) -> bool:
        if not self._allocated(size):
            return False
        self._map.resize(size)
        return True

    def _allocated(self, size: int) -> bool:
        """Allocate, not only enlarge: who writes to a hole of a full disk is killed. Return whether there is room."""
        if self._file is not None:
            try:
                os.posix_fallocate(self._file, 0, size)
            except OSError as error:
                log.warning("%s: %s: should this worker be killed, its challenges' counts are lost", self._path, error)
                return False
        return True

    def write(self, at: int, value: int) -> None:
        """Set a count."""
        _COUNT.pack_into(self._map, at, value)

    def close(self) -> None:
        """Unmap the file, which stays."""
        self._map.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Count:
    """One count of a ledger."""

    __slots__ = ("_at", "_ledger", "value")

    def __init__(self, ledger: Ledger, at: int) -> None:
        self._ledger = ledger
        self._at = at
        self.value = 0

    def __repr__(self) -> str:
        """Say the count."""
        return f"<Count {self.value}>"

    def add(self) -> None:
        """Count one more."""
        self.value += 1
        self._ledger.write(self._at, self.value)


def read(path: Path) -> list[tuple[Entry, int]]:
    """Return the entries of a file and their counts, as far as they are well-formed: its worker may have been killed."""
    data = path.read_bytes()
    found = []
    at = 0
    while at + _HEAD.size <= len(data):
        count, length = _HEAD.unpack_from(data, at)
        start, at = at + _HEAD.size, at + _HEAD.size + length
        if not length or at > len(data):
            break
        try:
            found.append((msgspec.json.decode(data[start:at], type=Entry), count))
        except msgspec.DecodeError:
            break
    return found
