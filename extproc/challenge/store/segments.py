"""Which segments a challenger has: so many that a report can show them, the rest in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from extproc.challenge.limits import OTHER_SEGMENT
from extproc.challenge.store.keys import key_of
from extproc.challenge.store.tables import evidence

if TYPE_CHECKING:
    from sqlalchemy import Connection

WHOLE = ""  # the segment of all that is not segmented, and of what no worker told


class Segments:
    """The segments of each challenger, as far as they are known: those that came first, of all writers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[tuple[str, str], set[str]] = {}

    def kept(self, connection: Connection, challenge: str, challenger: str, segment: str) -> str:
        """Return the segment under which something is kept: its own, or ``OTHER_SEGMENT`` when there are too many."""
        name = key_of(segment)
        known = self._known.setdefault((challenge, challenger), set())
        if name in known or name in (WHOLE, OTHER_SEGMENT):
            return name
        if len(known) < self._limit:
            known |= _booked(connection, challenge, challenger)
        if name not in known and len(known) >= self._limit:
            return OTHER_SEGMENT
        known.add(name)
        return name

    def forget(self) -> None:
        """Ask the database again."""
        self._known.clear()


def _booked(connection: Connection, challenge: str, challenger: str) -> set[str]:
    its = (evidence.c.challenge == challenge) & (evidence.c.challenger == challenger)
    return set(connection.scalars(select(evidence.c.segment).where(its).distinct())) - {WHOLE, OTHER_SEGMENT}
