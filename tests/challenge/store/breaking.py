"""Ways to break a store's transaction at a chosen place, the same for both databases."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extproc.challenge.store.store import Store


class Break:
    """What breaks, and how many statements came so far; 0 breaks nothing."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.statements = 0

    def __call__(self, cursor: Any, *_: object) -> None:
        """Counts a statement, and breaks the connection before it when it is the one."""
        self.statements += 1
        if self.statements == self.at:
            broken(cursor)


def broken(cursor: Any) -> None:
    """PostgreSQL's server ends the connection; SQLite's disk fails."""
    if isinstance(cursor, sqlite3.Cursor):
        raise sqlite3.OperationalError("disk I/O error")
    found = cursor.connection.info
    with psycopg.connect(host=found.host, dbname=found.dbname, user=found.user, autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [found.backend_pid]).fetchone() == (True,)


@contextmanager
def breaking(store: Store, at: int) -> Iterator[Break]:
    """Breaks the connection before a statement, counted from 1."""
    listener = Break(at)
    for name in ("do_execute", "do_executemany"):
        event.listen(store._engine, name, listener)
    try:
        yield listener
    finally:
        for name in ("do_execute", "do_executemany"):
            event.remove(store._engine, name, listener)


@contextmanager
def unheard(store: Store, how: Callable[[Any], None] | None = None) -> Iterator[None]:
    """Lets the next commit reach the database, and breaks the connection before its answer is heard."""
    dialect: Any = store._engine.dialect
    commit = dialect.do_commit

    def do_commit(connection: Any) -> None:
        dialect.do_commit = commit
        commit(connection)
        (how or broken)(connection.cursor())
        connection.cursor().execute("SELECT 1")

    dialect.do_commit = do_commit
    try:
        yield
    finally:
        dialect.do_commit = commit
