"""What became true of a request: a label, a reward, or both, by its request id. The first that comes counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from extproc.challenge import truth
from extproc.challenge.store.keys import key_of
from extproc.challenge.store.put import put_new_returning
from extproc.challenge.store.tables import feedback, records
from extproc.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from extproc.challenge.store.limits import Limits
    from extproc.challenge.store.turn import Turn

AT_ONCE = 500  # ids in one query: a claim names three texts for each, and SQLite takes 32,766 of them


class Feedback(msgspec.Struct, frozen=True):
    """What a client tells of a request, by its id: see ``truth.Feedback``."""

    request: str
    label: Any = msgspec.UNSET
    reward: Any = None

    @property
    def told(self) -> bytes:
        """What is kept of it."""
        return msgspec.json.encode(truth.Feedback(self.label, self.reward))


class Taken(msgspec.Struct, frozen=True):
    """How many of a call's feedback found their records, repeated what was known, or wait for a record."""

    accepted: int = 0
    duplicate: int = 0
    unknown: int = 0


class Known(msgspec.Struct, frozen=True):
    """Request ids of which the store holds more than their feedback."""

    recorded: set[str]  # with records that are not joined
    joined: set[str]  # with none that is not, but with some that are, or were until they were too old


def checked(items: Sequence[Feedback], limits: Limits) -> list[Feedback]:
    """Return feedback by the ids under which it is kept; raise BadRequest for what is not kept, before any is."""
    return [_checked(item, limits.feedback_bytes) for item in items]


def take(turn: Turn, items: Sequence[Feedback]) -> Taken:
    """Keep what was not told before, and say how much was what."""
    first = {item.request: item for item in reversed(items)}
    known = _known(turn.connection, sorted(first))
    rows = [_row(first[request], turn.now, joined=request in known.joined) for request in sorted(first)]
    fresh = put_new_returning(turn.connection, feedback, rows, "request")
    outcomes = []
    for item in items:
        outcomes.append(_outcome(item.request, known, fresh))
        fresh.discard(item.request)
    return Taken(*(outcomes.count(name) for name in Taken.__struct_fields__))


def pieces(requests: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut ids into as many as one query takes."""
    for start in range(0, len(requests), AT_ONCE):
        yield requests[start : start + AT_ONCE]


def _checked(item: Feedback, limit: int) -> Feedback:
    try:
        size = len(item.told)
    except UnicodeEncodeError as error:
        raise BadRequest(400, "bad_body", "a label holds text that is not Unicode") from error
    if size > limit:
        raise BadRequest(413, "body_too_large", f"feedback may have {limit} bytes for a request, not {size}")
    return msgspec.structs.replace(item, request=key_of(item.request))


def _outcome(request: str, known: Known, fresh: set[str]) -> str:
    if request in known.recorded:
        return "accepted" if request in fresh else "duplicate"
    return "duplicate" if request in known.joined else "unknown"


def _known(connection: Connection, requests: Sequence[str]) -> Known:
    recorded: set[str] = set()
    joined: set[str] = set()
    for ids in pieces(requests):
        told = feedback.c.joined & feedback.c.request.in_(ids)
        joined.update(connection.scalars(select(feedback.c.request).where(told)))
        found = connection.execute(select(records.c.request, records.c.joined).where(records.c.request.in_(ids)))
        for request, is_joined in found:
            (joined if is_joined else recorded).add(request)
    return Known(recorded, joined - recorded)


def _row(item: Feedback, now: float, *, joined: bool) -> dict[str, Any]:
    return {"request": item.request, "at": now, "joined": joined, "told": item.told}
