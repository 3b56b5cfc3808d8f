"""How a challenge stands at one moment, over all writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, select

from extproc.challenge.evidence import Evidence, Record, merged
from extproc.challenge.store.history import Decision, Point, read_decisions, read_points
from extproc.challenge.store.tables import counts, dropped, evidence, examples, feedback, past
from extproc.challenge.store.turn import EXPIRED

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from extproc.challenge.store.limits import Limits

_evidence = msgspec.json.Decoder(Evidence).decode
_record = msgspec.json.Decoder(Record).decode


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge's figures, all of one moment. Each challenger's outcomes and ``pending`` add up to ``eligible``.

    ``evidence`` and ``examples`` are by challenger, then by segment; the newest example comes first, the oldest point
    and decision. ``waiting`` and ``expired`` are of the whole store: what they tell of belongs to no known challenge.
    """

    challenge: str
    eligible: int = 0
    pending: dict[str, int] = {}  # by challenger: requests under way, or told by a worker and not yet booked
    evidence: dict[str, dict[str, Evidence]] = {}
    examples: dict[str, dict[str, list[Record]]] = {}
    points: dict[str, list[Point]] = {}
    decisions: list[Decision] = []
    dropped: dict[str, int] = {}  # records and windows not kept, by reason
    waiting: int = 0  # feedback of requests that are not known, yet
    expired: int = 0  # feedback that waited in vain


def read(connection: Connection, challenge: str, limits: Limits) -> Standing:
    """Read a challenge's standing in one transaction, which must see one moment."""
    eligible, pending = _requests(connection, challenge)
    return Standing(
        challenge=challenge,
        eligible=eligible,
        pending=pending,
        evidence=_merged(connection, challenge),
        examples=_examples(connection, challenge, limits.examples),
        points=read_points(connection, challenge),
        decisions=read_decisions(connection, challenge),
        dropped=_dropped(connection, challenge),
        waiting=connection.scalar(select(func.count()).where(feedback.c.joined.is_(False))) or 0,
        expired=_dropped(connection, "").get(EXPIRED, 0),
    )


def _requests(connection: Connection, challenge: str) -> tuple[int, dict[str, int]]:
    """Return how many requests were eligible, and by challenger how many of these are not booked yet."""
    its = select(past.c.challenger, past.c.eligible).where(past.c.challenge == challenge)
    eligible: dict[str, int] = {row.challenger: row.eligible for row in connection.execute(its)}
    sums = select(counts.c.challenger, func.sum(counts.c.eligible), func.sum(counts.c.booked))
    pending: dict[str, int] = {}
    for challenger, told, booked in connection.execute(
        sums.where(counts.c.challenge == challenge).group_by(counts.c.challenger)
    ):
        eligible[challenger] = eligible.get(challenger, 0) + int(told)
        pending[challenger] = int(told) - int(booked)
    return max(eligible.values(), default=0), {challenger: pending.get(challenger, 0) for challenger in eligible}


def _merged(connection: Connection, challenge: str) -> dict[str, dict[str, Evidence]]:
    its = select(evidence.c.challenger, evidence.c.segment, evidence.c.sums).where(evidence.c.challenge == challenge)
    whole: dict[str, dict[str, Evidence]] = {}
    for challenger, segment, sums in connection.execute(its):
        merged(whole.setdefault(challenger, {}).setdefault(segment, Evidence()), _evidence(sums))
    return whole


def _examples(connection: Connection, challenge: str, limit: int) -> dict[str, dict[str, list[Record]]]:
    """Return the newest examples; writers that kept theirs at the same moment left a few more."""
    found = [
        _record(pair) for pair in connection.scalars(select(examples.c.pair).where(examples.c.challenge == challenge))
    ]
    whole: dict[str, dict[str, list[Record]]] = {}
    for record in sorted(found, key=lambda record: (record.at, record.request), reverse=True):
        segment = whole.setdefault(record.challenger, {}).setdefault(record.segment, [])
        if len(segment) < limit:
            segment.append(record)
    return whole


def _dropped(connection: Connection, challenge: str) -> dict[str, int]:
    sums = select(dropped.c.reason, func.sum(dropped.c.times)).where(dropped.c.challenge == challenge)
    return {reason: int(times) for reason, times in connection.execute(sums.group_by(dropped.c.reason))}
