"""Pairs, kept for labels that come later; and those that disagree, kept as examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, delete, select

from extproc.challenge.store.keys import key_of
from extproc.challenge.store.put import Row, put_new
from extproc.challenge.store.tables import examples, records
from extproc.challenge.store.turn import REPEATED_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Record, Window
    from extproc.challenge.store.turn import Turn


def keep(turn: Turn, windows: Sequence[Window]) -> tuple[str, ...]:
    """Keep the records of windows; of several pairs with one request id the first. Return the request ids."""
    requests: set[str] = set()
    for window in windows:
        kept = [_kept(turn, window.challenge, record) for record in window.records]
        requests.update(record.request for record in kept)
        rows = sorted((_row(window.challenge, record) for record in kept), key=_request)
        turn.drop(window.challenge, {REPEATED_ID: len(rows) - put_new(turn.connection, records, rows)})
        _keep_examples(turn, window.challenge, [record for record in kept if record.agreement < 1])
    return tuple(sorted(requests))


def _kept(turn: Turn, challenge: str, record: Record) -> Record:
    segment = turn.segment(challenge, record.challenger, record.segment)
    return msgspec.structs.replace(record, request=key_of(record.request), segment=segment)


def _request(row: Row) -> str:
    """In this order every writer inserts, so that none waits for another that waits for it."""
    return str(row["request"])


def _row(challenge: str, record: Record) -> dict[str, Any]:
    """A record's row; its body is for people to read, and stays with the examples."""
    pair = msgspec.structs.replace(record, body=None) if record.body is not None else record
    return {"joined": False, **_example(challenge, record), "pair": msgspec.json.encode(pair)}


def _example(challenge: str, record: Record) -> dict[str, Any]:
    return {
        "challenge": challenge,
        "challenger": record.challenger,
        "segment": record.segment,
        "request": record.request,
        "at": record.at,
        "pair": msgspec.json.encode(record),
    }


def _keep_examples(turn: Turn, challenge: str, disagreeing: Sequence[Record]) -> None:
    """Keep the newest of each segment."""
    put_new(turn.connection, examples, sorted((_example(challenge, one) for one in disagreeing), key=_request))
    places = sorted({(one.challenger, one.segment) for one in disagreeing})
    rows = [
        {"a_challenge": challenge, "a_challenger": challenger, "a_segment": segment, "newest": turn.limits.examples}
        for challenger, segment in places
    ]
    if rows:
        turn.connection.execute(_ALL_BUT_NEWEST, rows)


_PLACE = (
    (examples.c.challenge == bindparam("a_challenge"))
    & (examples.c.challenger == bindparam("a_challenger"))
    & (examples.c.segment == bindparam("a_segment"))
)
_NEWEST = (
    select(examples.c.request)
    .where(_PLACE)
    .order_by(examples.c.at.desc(), examples.c.request.desc())
    .limit(bindparam("newest"))
)
_ALL_BUT_NEWEST = delete(examples).where(_PLACE & examples.c.request.not_in(_NEWEST))
