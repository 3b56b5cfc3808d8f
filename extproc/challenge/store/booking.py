"""A batch of windows of one life becomes evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.store import lives, records
from extproc.challenge.store.lives import Batch
from extproc.challenge.store.sums import Place
from extproc.challenge.store.turn import LATE, LATE_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Window
    from extproc.challenge.store.turn import Turn


def book(turn: Turn, life: str, number: int, windows: Sequence[Window]) -> tuple[str, ...]:
    """Book a batch once; return the ids of the requests that may have feedback now."""
    match lives.heard(turn, life, number):
        case Batch.REPEATED:
            return ()
        case Batch.LATE:
            for window in windows:
                turn.drop(window.challenge, {LATE_WINDOWS: 1, LATE: len(window.records)})
            return ()
        case Batch.NEW:
            lives.count(turn, life, windows)
            for window in windows:
                _add(turn, window)
            return records.keep(turn, windows)


def _add(turn: Turn, window: Window) -> None:
    turn.drop(window.challenge, window.dropped)
    for challenger, segments in window.evidence.items():
        for segment, evidence in segments.items():
            kept = turn.segment(window.challenge, challenger, segment)
            turn.add(Place(window.challenge, challenger, kept), evidence)
