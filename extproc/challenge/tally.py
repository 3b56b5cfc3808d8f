"""One challenge's sums in one worker since its last window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.evidence import Evidence, Record, Window
from extproc.challenge.limits import OTHER_SEGMENT, Limits

if TYPE_CHECKING:
    from extproc.challenge.ledger import Entry, Ledger

WHOLE = ""  # the segment of all that is not segmented, and of requests nobody compared


class Tally:
    """Sums by challenger and segment. ``window`` takes them away; what nobody takes goes on being summed."""

    def __init__(self, entry: Entry, ledger: Ledger, limits: Limits) -> None:
        self._entry = entry
        self._limits = limits
        self._eligible = ledger.open(entry)
        self._told = 0
        self._segments: set[str] = {WHOLE}
        self._evidence: dict[str, dict[str, Evidence]] = {}
        self._records: list[Record] = []
        self._kept = 0
        self._dropped: dict[str, int] = {}

    def __repr__(self) -> str:
        """Say challenge and requests."""
        return f"<Tally {self._entry.graph} {self._entry.challenge} eligible={self._eligible.value}>"

    def reached(self) -> None:
        """Count a request."""
        self._eligible.add()

    def of(self, challenger: str, segment: str = WHOLE) -> Evidence:
        """Return the sums of a challenger in a segment."""
        name = self.segment(segment)
        mine = self._evidence.setdefault(challenger, {})
        found = mine.get(name)
        if found is None:
            found = mine[name] = Evidence()
        return found

    def segment(self, segment: str) -> str:
        """Return under which name a segment is summed."""
        if segment not in self._segments:
            if len(self._segments) > self._limits.segments:  # WHOLE is none of them
                return OTHER_SEGMENT
            self._segments.add(segment)
        return segment

    def keep(self, record: Record) -> None:
        """Keep a pair for labels and as an example, as long as there is room."""
        size = self._kept + len(record.champion) + len(record.challenger_said) + len(record.body or "")
        if len(self._records) < self._limits.records and size <= self._limits.kept:
            self._records.append(record)
            self._kept = size
        else:
            self.drop("records")

    def drop(self, reason: str) -> None:
        """Count a record that is not kept."""
        self._dropped[reason] = self._dropped.get(reason, 0) + 1

    def window(self) -> Window | None:
        """Return what came since the last one, None where nothing did."""
        if not (self._evidence or self._records or self._dropped) and self._told == self._eligible.value:
            return None
        self._told = self._eligible.value
        window = Window(
            self._entry.challenge,
            self._entry.graph,
            self._told,
            self._entry.challengers,
            self._evidence,
            self._records,
            self._dropped,
        )
        self._evidence, self._records, self._dropped = {}, [], {}
        self._kept = 0
        return window
