"""Labels meet their records: each record once, whichever came first, and on whichever machine.

Two machines may book a record and its label at the same moment, and neither sees the other's. So both look again after
their transaction is in the store: whoever was later finds both. A record is claimed by its row, which one of them gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from sqlalchemy import bindparam, select, tuple_, update

from extproc.challenge.evidence import Evidence, Record, Truth
from extproc.challenge.store.feedback import AT_ONCE
from extproc.challenge.store.sums import Place
from extproc.challenge.store.tables import feedback, records
from extproc.challenge.truth import Feedback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Row

    from extproc.challenge.store.turn import Turn

Join: TypeAlias = "Callable[[Record, Feedback], Truth]"
"""What a label says of a pair."""

_KEY = (records.c.request, records.c.challenge, records.c.challenger)
_TOLD = select(feedback.c.request).where(feedback.c.request.in_(bindparam("requests", expanding=True)))
_record = msgspec.json.Decoder(Record).decode
_feedback = msgspec.json.Decoder(Feedback).decode


def join_some(turn: Turn, join: Join, requests: Sequence[str] | None) -> bool:
    """Join records with feedback, of at most ``AT_ONCE`` requests or of any; return whether there may be more."""
    pairs = _pairs(turn, requests)
    claimed = _claim(turn, pairs)
    for pair in pairs:
        if (pair.request, pair.challenge, pair.challenger) in claimed:
            truth = join(_record(pair.pair), _feedback(pair.told))
            turn.add(Place(pair.challenge, pair.challenger, pair.segment), Evidence(truth=truth))
    return len(pairs) == AT_ONCE


def _pairs(turn: Turn, requests: Sequence[str] | None) -> Sequence[Row[Any]]:
    """Return records that can be joined. Few requests have feedback: those are found first, by their key."""
    both = select(records, feedback.c.told).join(feedback, feedback.c.request == records.c.request)
    waiting = both.where(records.c.joined.is_(False)).limit(AT_ONCE)
    if requests is not None:
        told = turn.connection.scalars(_TOLD, {"requests": requests}).all()
        if not told:
            return []
        waiting = waiting.where(records.c.request.in_(told))
    return turn.connection.execute(waiting).all()


def _claim(turn: Turn, pairs: Sequence[Row[Any]]) -> set[tuple[str, str, str]]:
    """Mark as joined what nobody else marked; return their keys."""
    keys = [(pair.request, pair.challenge, pair.challenger) for pair in pairs]
    if not keys:
        return set()
    free = records.c.joined.is_(False) & tuple_(*_KEY).in_(keys)
    found = turn.connection.execute(update(records).where(free).values(joined=True).returning(*_KEY))
    claimed = {(row.request, row.challenge, row.challenger) for row in found}
    requests = sorted({request for request, _, _ in claimed})
    its = feedback.c.joined.is_(False) & feedback.c.request.in_(requests)
    turn.connection.execute(update(feedback).where(its).values(joined=True))
    return claimed
