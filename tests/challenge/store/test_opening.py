"""Opening a store: its URL, its file, its tables, and what is said when that does not work."""

from __future__ import annotations

import gc
import re
import sqlite3
import stat
import sys
from contextlib import closing

import pytest
from sqlalchemy import update

from extproc.challenge.evidence import PAIRED
from extproc.challenge.store import connect
from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.store import Store
from extproc.challenge.store.tables import VERSION, schema
from extproc.errors import ExtprocError
from tests.challenge.store.building import CHALLENGE, Opener, outcomes, window


@pytest.fixture
def lite(tmp_path):
    """Opens stores of an SQLite file."""
    with Opener(f"sqlite:///{tmp_path}/challenge.db") as opener:
        yield opener


def test_the_file_is_its_owners(lite, tmp_path):
    """The file and those that SQLite puts beside it can be read by their owner alone."""
    lite().book("a", 1, [window(1)])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["challenge.db", "challenge.db-wal", "challenge.db-shm"], 0o600)


def test_what_is_committed_is_on_the_disk(lite):
    """SQLite writes ahead, and waits for the disk at every commit; it waits for another writer, but not for ever."""
    with lite()._engine.begin() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": connect.BUSY_SECONDS * 1000}


def test_one_file_is_left(lite, tmp_path):
    """A store that was closed is one file again."""
    store = lite()
    store.book("a", 1, [window(1)])
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["challenge.db"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_schemes_of_postgresql(server, scheme):
    """PostgreSQL's URLs may begin as people write them."""
    with Opener(re.sub("^postgresql", re.escape(scheme).replace("\\", ""), server.empty())) as opener:
        opener().book("a", 1, [window(1)])
        assert outcomes(opener().read(CHALLENGE)) == {PAIRED: 1}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://localhost/x", "sqlite:// or postgresql://, not mysql://"),
        ("postgresql+asyncpg://localhost/x", "not postgresql+asyncpg://"),
        ("challenge.db", "cannot be read: sqlite:///FILE"),
        ("postgresql://me:hush@host:port/x", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:////no/such/folder/challenge.db", "folder /no/such/folder does not exist: create it"),
        ("sqlite:////proc/challenge.db", "must be writable"),
        ("postgresql://127.0.0.1:1/x", "check that the server runs"),
    ],
)
def test_what_cannot_be_opened(url, said):
    """What is no store, or none that can be reached, is refused with what to do."""
    with pytest.raises(StoreError, match=re.escape(said)) as caught:
        Store.open(url, "w1")
    assert "hush" not in str(caught.value)


def test_a_database_that_does_not_exist(server):
    """A server without the database says so, and the store what to do."""
    with pytest.raises(StoreError, match='"nowhere" does not exist: create what is missing'):
        Store.open(server.url("nowhere"), "w1")


def test_without_the_driver(monkeypatch):
    """PostgreSQL without its driver is told by what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=re.escape("pip install 'extproc[postgres]'")):
        Store.open("postgresql://127.0.0.1/x", "w1")


def test_an_old_sqlite(monkeypatch, tmp_path):
    """An SQLite that cannot tell which rows it changed is refused."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreError, match=re.escape("needs SQLite 3.35")):
        Store.open(f"sqlite:///{tmp_path}/challenge.db", "w1")


def test_a_later_version(opened):
    """A store with tables of a later version is refused, and left as it is."""
    store = opened()
    store.book("a", 1, [window(1)])
    with store._engine.begin() as connection:
        connection.execute(update(schema).values(version=VERSION + 1))
    with pytest.raises(StoreError, match=f"version {VERSION + 1}.*knows version {VERSION}: update extproc") as caught:
        opened("w2")
    gc.collect()  # a connection that was left open would be told, and warnings are errors
    assert isinstance(caught.value, ExtprocError)
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 1}


def test_a_store_that_may_not_write(server):
    """A database user who may not create tables is told so."""
    server.ask("CREATE ROLE reader LOGIN")
    with pytest.raises(StoreError, match="must own or create tables"):
        Store.open(server.url(user="reader"), "w1")


def test_it_is_plain_sqlite(lite, tmp_path):
    """What is in the file can be read with SQLite's own means."""
    lite().book("a", 1, [window(2, 3)])
    with closing(sqlite3.connect(tmp_path / "challenge.db")) as plain:
        assert plain.execute("SELECT eligible, booked FROM extproc_counts").fetchall() == [(3, 2)]
