"""Lives: one worker process's run each. However it ends, every request that it saw is booked once.

For each life and challenger the store keeps how many requests the worker said were eligible and how many of them were
booked. What is missing when the life is closed was interrupted. Closing is arithmetic: closed twice, nothing is missing
the second time.
"""

from __future__ import annotations

from collections import defaultdict
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, func, select, update

from extproc.challenge.evidence import INTERRUPTED, Evidence
from extproc.challenge.store.put import larger, put, put_new
from extproc.challenge.store.segments import WHOLE
from extproc.challenge.store.sums import Place
from extproc.challenge.store.tables import counts, lives

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from sqlalchemy import Connection

    from extproc.challenge.evidence import Window
    from extproc.challenge.store.turn import Turn

    Told: TypeAlias = Mapping[str, tuple[int, tuple[str, ...]]]
    """By challenge: the eligible requests that a worker counted, and the names of its challengers."""


class Batch(Enum):
    """What a batch of windows is to the store."""

    NEW = auto()
    REPEATED = auto()  # booked already
    LATE = auto()  # its life is closed


class Count(NamedTuple):
    """What is known of one life, challenge and challenger."""

    eligible: int = 0
    booked: int = 0


# Statements that every batch runs are built once: building one costs as much as running it.
_NOTE = (
    update(lives)
    .where((lives.c.life == bindparam("a_life")) & (lives.c.number < bindparam("a_number")))
    .values(number=bindparam("a_number"), heard_at=bindparam("now"))
    .returning(lives.c.closed_at)
)


def heard(turn: Turn, life: str, number: int) -> Batch:
    """Note that a batch of a life came; its row stays locked, so that nobody closes the life meanwhile."""
    batch = {"a_life": life, "a_number": number, "now": turn.now}
    found = turn.connection.execute(_NOTE, batch).one_or_none()
    if found is not None:
        return Batch.NEW if found.closed_at is None else Batch.LATE
    first = {"life": life, "writer": turn.writer, "number": number, "heard_at": turn.now, "closed_at": None}
    return Batch.NEW if put_new(turn.connection, lives, [first]) else Batch.REPEATED


def count(turn: Turn, life: str, windows: Sequence[Window]) -> None:
    """Count what a life's windows book, and what they say is eligible."""
    rows = [
        _row(life, window.challenge, challenger, Count(max(window.eligible, booked), booked))
        for window in windows
        for challenger, booked in sorted(_booked(window).items())
    ]
    put(turn.connection, counts, rows, _counted)


def close(turn: Turn, life: str, told: Told) -> dict[str, dict[str, int]]:
    """Close a life: book as interrupted what it saw and did not tell. Return that, by challenge and challenger."""
    _mark_closed(turn, life)
    interrupted: dict[str, dict[str, int]] = defaultdict(dict)
    final = []
    for (challenge, challenger), (eligible, booked) in sorted(_last(turn.connection, life, told).items()):
        final.append(_row(life, challenge, challenger, Count(eligible, eligible)))
        if eligible > booked:
            missing = Evidence(outcomes={INTERRUPTED: eligible - booked})
            turn.add(Place(challenge, challenger, WHOLE), missing)
            interrupted[challenge][challenger] = eligible - booked
    put(turn.connection, counts, final, _settled)
    return dict(interrupted)


def open_lives(connection: Connection, writer: str) -> tuple[str, ...]:
    """Return the lives of a writer that nobody closed."""
    its = (lives.c.writer == writer) & lives.c.closed_at.is_(None)
    return tuple(connection.scalars(select(lives.c.life).where(its).order_by(lives.c.life)))


def _booked(window: Window) -> dict[str, int]:
    """How many requests a window books, by challenger."""
    booked = dict.fromkeys(window.challengers, 0)
    for challenger, segments in window.evidence.items():
        booked[challenger] = sum(sum(one.outcomes.values()) for one in segments.values())
    return booked


def _mark_closed(turn: Turn, life: str) -> None:
    """Close a life's row, and lock it: a batch that is being booked comes before or after."""
    row = {"life": life, "writer": turn.writer, "number": 0, "heard_at": turn.now, "closed_at": turn.now}
    if not put_new(turn.connection, lives, [row]):
        closed = {"closed_at": func.coalesce(lives.c.closed_at, turn.now)}
        turn.connection.execute(update(lives).where(lives.c.life == life).values(closed))


def _last(connection: Connection, life: str, told: Told) -> dict[tuple[str, str], Count]:
    """What is known in the end: the larger of what the worker's file says and what its windows said."""
    found = connection.execute(select(counts).where(counts.c.life == life))
    known = {(row.challenge, row.challenger): Count(row.eligible, row.booked) for row in found}
    for challenge, challenger, eligible in _flat(told):
        before = known.get((challenge, challenger), Count())
        known[challenge, challenger] = Count(max(before.eligible, eligible), before.booked)
    return known


def _flat(told: Told) -> Iterator[tuple[str, str, int]]:
    for challenge, (eligible, challengers) in told.items():
        for challenger in challengers:
            yield challenge, challenger, eligible


def _row(life: str, challenge: str, challenger: str, known: Count) -> dict[str, Any]:
    return {"life": life, "challenge": challenge, "challenger": challenger, **known._asdict()}


def _counted(new: Any) -> dict[str, Any]:
    """Windows add up. No more is booked than is eligible, so that counts add up even where a worker miscounted."""
    booked = counts.c.booked + new.booked
    return {"booked": booked, "eligible": larger(larger(counts.c.eligible, new.eligible), booked)}


def _settled(new: Any) -> dict[str, Any]:
    return {"booked": new.booked, "eligible": new.eligible}
