"""From a URL to a database that is ready: its driver, its settings, its tables."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, create_engine, event, insert, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from extproc.challenge.store.failure import StoreError, failure
from extproc.challenge.store.tables import VERSION, metadata, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

BUSY_SECONDS = 5.0  # a report by hand reads for less; a writer that holds on for longer is a second supervisor
CONNECT_SECONDS = 5  # a server that is up answers within; windows wait meanwhile
# A server that vanished without a word is noticed within half a minute. libpq's names; they are no more than defaults.
_LIBPQ = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "extproc",
}
_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
_SQLITE = (3, 35, 0)  # the first that tells of the rows it changed
_CREATION = 0x65787470726F63  # "extproc": PostgreSQL's advisory lock while tables are created
_READS = "extproc_reads"
_SNAPSHOT: dict[str, dict[str, Any]] = {
    "sqlite": {_READS: True},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def connected(url: str) -> Engine:
    """Return an engine for a store's URL; its database is not asked yet.

    ``sqlite:///FILE`` or ``postgresql://...`` (or ``postgres://``); a StoreError names what is wrong.
    """
    where = _read(url)
    try:
        return _sqlite(where) if where.drivername.startswith("sqlite") else _postgresql(where)
    except ModuleNotFoundError as error:
        raise StoreError("a store on PostgreSQL needs its driver: pip install 'extproc[postgres]'") from error


def prepared(engine: Engine) -> None:
    """Create the tables that are missing; raise StoreError for a store of a later version than this extproc knows."""
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":  # two that create a table at once would fail
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION})
            metadata.create_all(connection)
            found = connection.scalar(select(schema.c.version))
            if found is None:
                connection.execute(insert(schema), {"version": VERSION})
    except SQLAlchemyError as error:
        raise failure(error, shown(engine)) from error
    if found is not None and found > VERSION:
        raise StoreError(
            f"the store {shown(engine)} has tables of version {found}, and this extproc knows version {VERSION}: "
            "update extproc, or name another store"
        )


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that only reads, all of it of one moment, and waits for no writer."""
    with engine.connect() as connection, connection.execution_options(**_SNAPSHOT[engine.dialect.name]).begin():
        yield connection


def shown(engine: Engine) -> str:
    """Return a store's URL without its passwords."""
    return engine.url.difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)


def _read(url: str) -> URL:
    try:
        where = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError("the store's URL cannot be read: sqlite:///FILE or postgresql://USER@HOST/DATABASE") from error
    if where.drivername in _POSTGRESQL:
        return where.set(drivername="postgresql+psycopg")
    if where.drivername == "sqlite":
        return where
    raise StoreError(f"a store is sqlite:// or postgresql://, not {where.drivername}://")


def _sqlite(where: URL) -> Engine:
    if sqlite3.sqlite_version_info < _SQLITE:
        raise StoreError(f"a store needs SQLite 3.35, and this Python has {sqlite3.sqlite_version}: use PostgreSQL")
    _create_file(where.database)
    engine = create_engine(where, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _settings)
    event.listen(engine, "begin", _begin)
    return engine


def _create_file(database: str | None) -> None:
    """Create the file for its owner alone; SQLite gives the files beside it the same mode."""
    if database in (None, "", ":memory:"):
        raise StoreError("a store on SQLite needs a file: sqlite:///FILE")
    path = Path(str(database))
    if not path.parent.is_dir():
        raise StoreError(f"the store's folder {path.parent} does not exist: create it, or name another store")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"the store {path}: {error.strerror}: its file and folder must be writable") from error


def _settings(connection: sqlite3.Connection, _: object) -> None:
    """Set up a new connection: what was committed lives through a power cut, and transactions begin as we say."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
        raise sqlite3.OperationalError("its file system has no shared memory, which SQLite's WAL needs")


def _begin(connection: Connection) -> None:
    """Begin as a writer, who must not find out later that another one came first, or as a reader, who waits for none."""
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _postgresql(where: URL) -> Engine:
    settings: dict[str, Any] = {name: value for name, value in _LIBPQ.items() if name not in where.query}
    return create_engine(where, hide_parameters=True, connect_args=settings, pool_size=1, pool_pre_ping=True)
