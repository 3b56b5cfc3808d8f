"""The store: one writer's calls, each of them a transaction that is in the database when it returns."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from extproc.challenge import truth
from extproc.challenge.store import booking, feedback, history, joins, lives, retention, standing
from extproc.challenge.store.connect import connected, prepared, shown, snapshot
from extproc.challenge.store.failure import Raced, StoreError, failure
from extproc.challenge.store.limits import Limits
from extproc.challenge.store.segments import Segments
from extproc.challenge.store.sums import Sums
from extproc.challenge.store.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from sqlalchemy import Connection, Engine

    from extproc.challenge.evidence import Window
    from extproc.challenge.store.feedback import Feedback, Taken
    from extproc.challenge.store.history import Decision
    from extproc.challenge.store.joins import Join
    from extproc.challenge.store.lives import Told
    from extproc.challenge.store.standing import Standing

T = TypeVar("T")

ATTEMPTS = 5  # of a transaction that others came in between: each time one of them got through


class Store:
    """A challenge's evidence, written by one writer. Calls block, and are made one at a time.

    A call that raises StoreError has changed nothing, or everything where the server vanished before it could say so.
    It may be made again, as often as it takes, and what it books is booked once.
    """

    def __init__(self, engine: Engine, writer: str, limits: Limits, clock: Callable[[], float], join: Join) -> None:
        self._engine = engine
        self._writer = writer
        self._limits = limits
        self._clock = clock
        self._join = join
        self._sums = Sums(writer)
        self._segments = Segments(limits.segments)

    @classmethod
    def open(
        cls,
        url: str,
        writer: str,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
        join: Join = truth.join,
    ) -> Store:
        """Open a store, and create its tables where they are missing.

        ``url`` is ``sqlite:///FILE`` or ``postgresql://USER@HOST/DATABASE``; ``writer`` is this supervisor's own id, as
        long as its state folder lives; ``clock`` tells seconds since the epoch. Raises StoreError.
        """
        store = cls(connected(url), writer, limits, clock, join)
        try:
            prepared(store._engine)
            store._join_all()
        except BaseException:
            store.close()
            raise
        return store

    def __repr__(self) -> str:
        return f"<Store {shown(self._engine)} writer={self._writer}>"

    def book(self, life: str, number: int, windows: Sequence[Window]) -> None:
        """Book what a worker has seen. When it returns, it lives through a kill and a power cut.

        ``number`` counts the batches of a life, ascending from 1: one that is not above the last is booked already, and
        ignored. Windows of a closed life are counted as late and not booked; what they tell of was interrupted.
        """
        requests = self._write(lambda turn: booking.book(turn, life, number, windows))
        self._join_these(requests)

    def close_life(self, life: str, told: Told) -> dict[str, dict[str, int]]:
        """Close a life, and book as interrupted what its worker saw and did not tell.

        ``told`` is what the worker's file says by challenge: eligible requests, and the challengers' names; where there
        is none, its last window counts. Returns what was interrupted, by challenge and challenger; nothing the second
        time.
        """
        return self._write(lambda turn: lives.close(turn, life, told))

    def open_lives(self) -> tuple[str, ...]:
        """Return this writer's lives that are not closed: of its workers now, and of those before that nobody closed."""
        return self._read(lambda connection: lives.open_lives(connection, self._writer))

    def feedback(self, items: Sequence[Feedback]) -> Taken:
        """Take feedback; what is of an unknown request waits for it. Raises BadRequest for a label that is too large."""
        checked = feedback.checked(items, self._limits)
        taken = self._write(lambda turn: feedback.take(turn, checked))
        self._join_these(sorted({item.request for item in checked}))
        return taken

    def read(self, challenge: str) -> Standing:
        """Return how a challenge stands, over all writers: everything of one moment."""
        return self._read(lambda connection: standing.read(connection, challenge, self._limits))

    def note(self, decision: Decision) -> None:
        """Keep a decision. The same one of this writer, noted again, stays one."""
        self._write(lambda turn: history.note(turn, decision))

    def point(self, challenge: str, challenger: str, at: float, figures: Any) -> None:
        """Keep a challenger's figures at one time. As many as ``Limits.points`` stay, spread over all the time."""
        self._write(lambda turn: history.point(turn, challenge, challenger, history.Point(at, figures)))

    def retain(self) -> None:
        """Apply the limits, say that this writer is there, and join what a machine that died left. Once a minute is fine."""
        for piece in retention.PIECES:
            self._write(piece)
        self._join_all()

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _write(self, work: Callable[[Turn], T]) -> T:
        """Run a transaction, again where another one came in between."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(Raced):
                return self._attempt(work)
        return self._attempt(work)

    def _attempt(self, work: Callable[[Turn], T]) -> T:
        """Run a transaction; what it summed up is forgotten again when it does not get into the database."""
        try:
            with self._engine.begin() as connection:
                turn = Turn(connection, self._writer, self._clock(), self._limits, self._sums, self._segments)
                result = work(turn)
                self._sums.save(connection)
        except BaseException as error:
            self._sums.forget()
            self._segments.forget()
            if isinstance(error, SQLAlchemyError):
                raise failure(error, shown(self._engine)) from error
            raise
        return result

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with snapshot(self._engine) as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise failure(error, shown(self._engine)) from error

    def _join_these(self, requests: Sequence[str]) -> None:
        """Join after what made it possible is in the store. What fails here, the next ``retain`` makes up for."""
        with contextlib.suppress(StoreError):
            for ids in feedback.pieces(requests):
                self._join_all(ids)

    def _join_all(self, requests: Sequence[str] | None = None) -> None:
        while self._write(lambda turn: joins.join_some(turn, self._join, requests)):
            pass
