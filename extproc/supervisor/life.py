"""What one run of a worker told and is not booked yet, summed up while the store cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.evidence import Evidence, merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Record, Window

# Bytes of records of one life, kept while the store is away: a minute of a busy worker, and no danger for the machine.
MOST_KEPT = 32 * 1024 * 1024
_OVERHEAD = 512  # bytes of a record beside what it quotes


class Life:
    """One run of a worker: what it told and is not booked yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.booked = 0  # batches
        self.waiting: dict[str, Window] = {}
        self.kept = 0  # bytes of the records that wait
        self.batch: list[Window] = []  # being booked: as it is until it is

    def __repr__(self) -> str:
        """Say what waits."""
        return f"<Life {self.name} {len(self.waiting)} windows wait, {self.booked} batches booked>"

    def take(self, windows: Sequence[Window]) -> None:
        """Sum up what came."""
        for window in windows:
            self._bound(window)
            known = self.waiting.get(window.challenge)
            if known is None:
                self.waiting[window.challenge] = window
            else:
                _add(known, window)

    def next_batch(self) -> list[Window]:
        """Return what is to be booked next, the same until it is booked."""
        if not self.batch:
            self.batch, self.waiting, self.kept = list(self.waiting.values()), {}, 0
        return self.batch

    def _bound(self, window: Window) -> None:
        """Drop the records for which there is no room, and count them."""
        for number, record in enumerate(window.records):
            self.kept += _size(record)
            if self.kept > MOST_KEPT:
                _drop(window, "records", len(window.records) - number)
                del window.records[number:]
                return


def _add(known: Window, window: Window) -> None:
    """Add a later window of the same life and challenge."""
    known.eligible = window.eligible
    for challenger, segments in window.evidence.items():
        mine = known.evidence.setdefault(challenger, {})
        for segment, evidence in segments.items():
            merged(mine.setdefault(segment, Evidence()), evidence)
    known.records += window.records
    for reason, times in window.dropped.items():
        _drop(known, reason, times)


def _drop(window: Window, reason: str, times: int) -> None:
    window.dropped[reason] = window.dropped.get(reason, 0) + times


def _size(record: Record) -> int:
    return _OVERHEAD + len(record.champion) + len(record.challenger_said) + len(record.body or "")
