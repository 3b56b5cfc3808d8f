"""What is too old or too much goes, in pieces that are a transaction each; what waited in vain is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, tuple_, update

from extproc.challenge.store.lives import close
from extproc.challenge.store.put import Row, put
from extproc.challenge.store.tables import counts, decisions, feedback, lives, past, records
from extproc.challenge.store.turn import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Table

    from extproc.challenge.store.turn import Turn


def retain_records(turn: Turn) -> None:
    """Delete records that are too old, or too many of one challenge."""
    turn.connection.execute(delete(records).where(records.c.at < turn.now - turn.limits.record_age))
    for challenge in _challenges(turn, records):
        _newest(turn, records, records.c.challenge == challenge, turn.limits.records)


def retain_feedback(turn: Turn) -> None:
    """Delete feedback that is too old, or too much; count what no record came for."""
    is_old = feedback.c.at < turn.now - turn.limits.feedback_age
    turn.connection.execute(delete(feedback).where(feedback.c.joined.is_(True) & is_old))
    _newest(turn, feedback, feedback.c.joined.is_(True), turn.limits.feedback)
    waits = feedback.c.joined.is_(False)
    expired = turn.connection.execute(delete(feedback).where(waits & is_old)).rowcount
    expired += _newest(turn, feedback, waits, turn.limits.feedback)
    turn.drop("", {EXPIRED: expired})


def retain_decisions(turn: Turn) -> None:
    """Delete each challenge's oldest decisions."""
    for challenge in _challenges(turn, decisions):
        _newest(turn, decisions, decisions.c.challenge == challenge, turn.limits.decisions)


def close_lost_lives(turn: Turn) -> None:
    """Say that this writer is there, and close the lives of writers that were not for long: their machines are gone."""
    mine = (lives.c.writer == turn.writer) & lives.c.closed_at.is_(None)
    turn.connection.execute(update(lives).where(mine).values(heard_at=turn.now))
    silent = lives.c.closed_at.is_(None) & (lives.c.heard_at < turn.now - turn.limits.silence)
    closed = update(lives).where(silent).values(closed_at=turn.now).returning(lives.c.life)
    for life in sorted(turn.connection.scalars(closed)):
        close(turn, life, {})


def forget_lives(turn: Turn) -> None:
    """Add up closed lives that are too old, or too many of this writer: from then on they are not told apart."""
    is_closed = lives.c.closed_at.is_not(None)
    mine = select(lives.c.life).where(is_closed & (lives.c.writer == turn.writer))
    kept = mine.order_by(lives.c.closed_at.desc(), lives.c.life).limit(turn.limits.lives)
    is_old = is_closed & (lives.c.closed_at < turn.now - turn.limits.life_age)
    is_much = is_closed & (lives.c.writer == turn.writer) & lives.c.life.not_in(kept)
    gone = delete(lives).where(is_old | is_much).returning(lives.c.life)
    for life in sorted(turn.connection.scalars(gone)):
        _add_up(turn, life)


PIECES: tuple[Callable[[Turn], None], ...] = (
    close_lost_lives,
    forget_lives,
    retain_records,
    retain_feedback,
    retain_decisions,
)


def _challenges(turn: Turn, table: Table) -> list[str]:
    return list(turn.connection.scalars(select(table.c.challenge).distinct()))


def _newest(turn: Turn, table: Table, which: ColumnElement[bool], limit: int) -> int:
    """Delete all but the newest rows of those that ``which`` says; return how many were deleted."""
    order = tuple_(table.c.at, *(column for column in table.primary_key if column is not table.c.at))
    newest = select(*order.clauses).where(which).order_by(*(column.desc() for column in order.clauses))
    last = turn.connection.execute(newest.offset(limit).limit(1)).one_or_none()
    if last is None:
        return 0
    return turn.connection.execute(delete(table).where(which & (order <= tuple_(*last)))).rowcount


def _add_up(turn: Turn, life: str) -> None:
    gone = delete(counts).where(counts.c.life == life).returning(counts)
    rows = [
        {"challenge": row.challenge, "challenger": row.challenger, "eligible": row.eligible}
        for row in turn.connection.execute(gone).all()
    ]
    put(turn.connection, past, sorted(rows, key=_key), _added)


def _key(row: Row) -> tuple[str, str]:
    return row["challenge"], row["challenger"]


def _added(new: Any) -> dict[str, Any]:
    return {"eligible": past.c.eligible + new.eligible}
