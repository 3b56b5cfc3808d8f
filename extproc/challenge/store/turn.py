"""One transaction of one writer, and what it works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extproc.challenge.store.put import put
from extproc.challenge.store.tables import dropped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy import Connection

    from extproc.challenge.evidence import Evidence
    from extproc.challenge.store.limits import Limits
    from extproc.challenge.store.segments import Segments
    from extproc.challenge.store.sums import Place, Sums

# Why something was not kept, besides the reasons that workers give.
REPEATED_ID = "repeated_id"  # records: another request of the challenge had the same id
LATE = "late"  # records of windows that came after their life was closed
LATE_WINDOWS = "late_windows"  # those windows: what they counted was booked as interrupted
EXPIRED = "expired"  # feedback whose record did not come


@dataclass(frozen=True, slots=True)
class Turn:
    """A transaction under way; ``now`` is its time in seconds since the epoch."""

    connection: Connection
    writer: str
    now: float
    limits: Limits
    sums: Sums
    segments: Segments

    def add(self, place: Place, more: Evidence) -> None:
        """Add to the writer's evidence."""
        self.sums.add(self.connection, place, more)

    def segment(self, challenge: str, challenger: str, segment: str) -> str:
        """Return the segment under which something is kept."""
        return self.segments.kept(self.connection, challenge, challenger, segment)

    def drop(self, challenge: str, reasons: Mapping[str, int]) -> None:
        """Count what is not kept."""
        rows = [
            {"challenge": challenge, "reason": reason, "writer": self.writer, "times": times}
            for reason, times in sorted(reasons.items())
            if times
        ]
        put(self.connection, dropped, rows, _added)


def _added(new: Any) -> dict[str, Any]:
    return {"times": dropped.c.times + new.times}
