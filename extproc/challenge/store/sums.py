"""One writer's evidence, summed up since it first wrote: in memory, and never ahead of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, select, update

from extproc.challenge.evidence import Evidence, merged
from extproc.challenge.store.failure import Raced
from extproc.challenge.store.put import put, put_new
from extproc.challenge.store.tables import evidence, writers

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Place(NamedTuple):
    """Where evidence belongs."""

    challenge: str
    challenger: str
    segment: str


_ADVANCE = (  # built once: every batch runs it
    update(writers)
    .where((writers.c.writer == bindparam("a_writer")) & (writers.c.revision == bindparam("known")))
    .values(revision=writers.c.revision + 1)
)
_decode = msgspec.json.Decoder(Evidence).decode


class Sums:
    """What one writer has seen, by challenge and place.

    A challenge's rows are read when it is first met, and written as a whole when they changed. ``save`` is the last
    thing in a transaction; after one that failed, ``forget`` makes the next one read again what the database holds.
    """

    def __init__(self, writer: str) -> None:
        self._writer = writer
        self._revision: int | None = None
        self._kept: dict[str, dict[Place, Evidence]] = {}
        self._changed: set[Place] = set()

    def __repr__(self) -> str:
        return f"<Sums {self._writer} revision={self._revision} challenges={len(self._kept)}>"

    def add(self, connection: Connection, place: Place, more: Evidence) -> None:
        """Add evidence at a place."""
        if self._revision is None:  # before any sums are read: who changes them in between is noticed
            self._revision = self._read_revision(connection)
        if place.challenge not in self._kept:
            self._kept[place.challenge] = self._read(connection, place.challenge)
        merged(self._kept[place.challenge].setdefault(place, Evidence()), more)
        self._changed.add(place)

    def save(self, connection: Connection) -> None:
        """Write what changed; raise Raced where another process has written this writer's rows meanwhile."""
        if not self._changed:
            return
        put(connection, evidence, [self._row(place) for place in sorted(self._changed)], _replaced)
        self._advance(connection)
        self._changed.clear()

    def forget(self) -> None:
        """Read everything again before the next change."""
        self._revision = None
        self._kept.clear()
        self._changed.clear()

    def _read_revision(self, connection: Connection) -> int:
        put_new(connection, writers, [{"writer": self._writer, "revision": 0}])
        found = connection.scalar(select(writers.c.revision).where(writers.c.writer == self._writer))
        return int(found or 0)

    def _read(self, connection: Connection, challenge: str) -> dict[Place, Evidence]:
        mine = (evidence.c.challenge == challenge) & (evidence.c.writer == self._writer)
        found = connection.execute(select(evidence.c.challenger, evidence.c.segment, evidence.c.sums).where(mine))
        return {Place(challenge, row.challenger, row.segment): _decode(row.sums) for row in found}

    def _row(self, place: Place) -> dict[str, Any]:
        sums = msgspec.json.encode(self._kept[place.challenge][place])
        return {**place._asdict(), "writer": self._writer, "sums": sums}

    def _advance(self, connection: Connection) -> None:
        """Say that the sums changed. A killed supervisor's last transaction may still have been under way till now."""
        if connection.execute(_ADVANCE, {"a_writer": self._writer, "known": self._revision}).rowcount != 1:
            raise Raced(f"another process writes as {self._writer}: give each supervisor a state folder of its own")
        self._revision = (self._revision or 0) + 1


def _replaced(new: Any) -> dict[str, Any]:
    return {"sums": new.sums}
