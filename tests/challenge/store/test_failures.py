"""What breaks in the middle: the store says so, has all of a call or nothing, and the call can be made again."""

from __future__ import annotations

import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import text, update

from extproc.challenge.evidence import INTERRUPTED, PAIRED, Evidence
from extproc.challenge.store import connect
from extproc.challenge.store.failure import Raced, StoreError
from extproc.challenge.store.feedback import Feedback, Taken
from extproc.challenge.store.history import Decision
from extproc.challenge.store.store import ATTEMPTS
from extproc.challenge.store.sums import Place
from extproc.challenge.store.tables import lives
from tests.challenge.store.breaking import breaking, unheard
from tests.challenge.store.building import CHALLENGE, GBM, NOON, Opener, outcomes, record, recorded, truth, window
from tests.kit.postgres import postgres_server

PROMOTION = Decision(at=NOON, challenge=CHALLENGE, graph="g", generation="1", challenger=GBM, event="promoted")


@pytest.fixture(scope="module")
def fragile():
    """A server that tests stop."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def stopped(fragile):
    """Opens stores on a server that tests stop."""
    with Opener(fragile.empty()) as opener:
        yield opener


@pytest.fixture
def lite(tmp_path):
    """Opens stores of an SQLite file."""
    with Opener(f"sqlite:///{tmp_path}/challenge.db") as opener:
        yield opener


def booked_broken(store, at, name):
    """Books the second batch of a life, broken before a statement, and again; returns whether that failed."""
    store.feedback([Feedback(f"r{at}", 1)])
    store.book(f"life{at}", 1, [window(1, challenge=name)])
    batch = [window(2, 4, record(f"r{at}", 0.0, segment="new"), challenge=name, dropped={"records": 1})]
    failed = False
    with breaking(store, at):
        try:
            store.book(f"life{at}", 2, batch)
        except StoreError:
            failed = True
    assert outcomes(store.read(name)) == {PAIRED: 1 if failed else 3}
    store.book(f"life{at}", 2, batch)
    store.retain()
    return failed


def test_wherever_booking_breaks(opened):
    """Broken before any of its statements, a batch is booked whole or not at all; made again, it is booked once."""
    store = opened()
    failures = []
    for at in range(1, 20):
        failures.append(booked_broken(store, at, f"challenge{at}"))
        standing = store.read(f"challenge{at}")
        assert outcomes(standing) == {PAIRED: 3}
        assert standing.pending == {GBM: 1}
        assert standing.dropped == {"records": 1}
        assert [one.request for one in standing.examples[GBM]["new"]] == [f"r{at}"]
        assert truth(standing, GBM, "new").joined == 1
    assert failures == sorted(failures, reverse=True)  # what breaks after the commit is no failure
    assert 8 <= sum(failures) < 19


def test_a_segment_that_was_not_booked(opened):
    """A segment of a batch that failed takes no other's room."""
    store = opened(segments=1)
    store.book("a", 1, [window(1)])
    x, y = ([window(0, 1, evidence={GBM: {name: Evidence(outcomes={PAIRED: 1})}})] for name in "xy")
    with breaking(store, 5), pytest.raises(StoreError):
        store.book("a", 2, x)
    store.book("a", 3, y)
    assert set(store.read(CHALLENGE).evidence[GBM]) == {"", "y"}


def test_a_commit_that_nobody_heard_of(opened):
    """A batch that reached the database, though the answer was lost, is booked once when it comes again."""
    store = opened()
    store.book("a", 1, [window(1)])
    with unheard(store), pytest.raises(StoreError):
        store.book("a", 2, [window(2, 3, record("r"))])
    store.book("a", 2, [window(2, 3, record("r"))])
    store.book("a", 3, [window(4, 7)])
    standing = store.read(CHALLENGE)
    assert (outcomes(standing), standing.eligible, standing.dropped) == ({PAIRED: 7}, 7, {})


def test_a_closing_that_nobody_heard_of(opened):
    """A life that was closed, though the answer was lost, is closed once."""
    store = opened()
    with unheard(store), pytest.raises(StoreError):
        store.close_life("a", {CHALLENGE: (4, (GBM,))})
    assert store.close_life("a", {CHALLENGE: (4, (GBM,))}) == {}
    assert outcomes(store.read(CHALLENGE)) == {INTERRUPTED: 4}


def test_feedback_that_nobody_heard_of(opened):
    """Feedback that was taken, though the answer was lost, is joined once, and a duplicate when it comes again."""
    store = opened()
    store.book("a", 1, [recorded(record("r"))])
    with unheard(store), pytest.raises(StoreError):
        store.feedback([Feedback("r", 1)])
    assert store.feedback([Feedback("r", 1)]) == Taken(duplicate=1)
    assert truth(store.read(CHALLENGE)).joined == 1


def test_a_decision_that_nobody_heard_of(opened):
    """A decision that was noted, though the answer was lost, is noted once."""
    store = opened()
    with unheard(store), pytest.raises(StoreError):
        store.note(PROMOTION)
    store.note(PROMOTION)
    assert len(store.read(CHALLENGE).decisions) == 1


def test_a_restarted_server(fragile, stopped):
    """A server that was restarted between two calls is not noticed."""
    store = stopped()
    store.book("a", 1, [window(1)])
    for number, how in enumerate((signal.SIGINT, signal.SIGQUIT), 2):
        fragile.stop(how)
        fragile.start()
        store.book("a", number, [window(1)])
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 3}


def test_a_server_that_is_away(fragile, stopped):
    """While a server is away every call says so; when it is back, the same calls give what they would have given."""
    store = stopped()
    store.book("a", 1, [window(1)])
    fragile.stop()
    try:
        for call in (lambda: store.book("a", 2, [window(2)]), lambda: store.read(CHALLENGE), store.retain, stopped):
            with pytest.raises(StoreError, match="check that the server runs"):
                call()
    finally:
        fragile.start()
    store.book("a", 2, [window(2)])
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 3}


def test_a_full_disk(lite):
    """Where the disk is full the store says so, and goes on as if nothing had been when there is room again."""
    store = lite()
    store.book("a", 1, [window(1)])
    batch = [window(2, 3, *(record(f"r{number}", body="x" * 4000, agreement=0.5) for number in range(50)))]
    limit_pages(store, 1)
    for _ in range(2):
        with pytest.raises(StoreError, match="make room"):
            store.book("a", 2, batch)
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 1}
    limit_pages(store, 1_000_000)
    store.book("a", 2, batch)
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 3}


def limit_pages(store, pages):
    """Let the database grow to so many pages, or to those it has."""
    with store._engine.begin() as connection:
        connection.execute(text(f"PRAGMA max_page_count={pages}"))


def test_a_file_that_another_holds(lite, tmp_path, monkeypatch):
    """A file that another process writes to for longer than the store waits is told; reading goes on meanwhile."""
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.01)
    store = lite()
    with closing(sqlite3.connect(tmp_path / "challenge.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="only one supervisor"):
            store.book("a", 1, [window(1)])
        assert store.read(CHALLENGE).evidence == {}
    store.book("a", 1, [window(1)])
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 1}


def test_a_damaged_file(lite, tmp_path):
    """A file that is no database is named, and left as it is."""
    (tmp_path / "challenge.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"challenge\.db.*move it away"):
        lite()
    assert (tmp_path / "challenge.db").read_bytes().startswith(b"not a database")


def test_one_writer_in_two_processes(opened):
    """Where two processes write as one, which a killed one may do for a moment, neither's sums are lost."""
    one, other = opened("w1"), opened("w1")
    for number in (1, 2, 3):
        one.book("a", number, [window(1)])
        other.book("b", number, [window(1)])
    assert outcomes(one.read(CHALLENGE)) == {PAIRED: 6}


def test_others_come_in_between_for_ever(opened, monkeypatch):
    """A call that others come in between again and again gives up and says so."""
    store = opened()
    tried = []

    def always(_):
        tried.append(1)
        raise Raced("another process writes as w1")

    monkeypatch.setattr(store, "_attempt", always)
    with pytest.raises(StoreError, match="writes as w1"):
        store.book("a", 1, [window(1)])
    assert len(tried) == ATTEMPTS


def test_a_deadlock(shared):
    """Of two writers that wait for each other, PostgreSQL stops one, which runs again and books once."""
    stores = [shared("w1"), shared("w2")]
    for life, store in zip("ab", stores, strict=True):
        store.book(life, 1, [window(1)])
    both_hold = threading.Barrier(2)
    attempts = []

    def cross(store, *order):
        def work(turn):
            attempts.append(turn.writer)
            turn.add(Place(CHALLENGE, GBM, ""), Evidence(outcomes={PAIRED: 1}))
            for life in order:
                turn.connection.execute(update(lives).where(lives.c.life == life).values(number=lives.c.number + 1))
                if len(attempts) <= 2 and life == order[0]:
                    both_hold.wait(10)

        store._write(work)

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(cross, stores[0], "a", "b"), pool.submit(cross, stores[1], "b", "a")]:
            done.result(20)
    assert len(attempts) == 3
    assert outcomes(stores[0].read(CHALLENGE)) == {PAIRED: 4}


def test_a_join_that_fails(opened):
    """An error in the join is no store's error: it is not hidden, and what it interrupted is in no sum."""
    broken = [True]

    def join(*_):
        if broken:
            raise ZeroDivisionError
        return Evidence().truth

    store = opened(join=join)
    store.book("a", 1, [window(1, 1, record("r"))])
    with pytest.raises(ZeroDivisionError):
        store.feedback([Feedback("r", 1)])
    broken.clear()
    store.book("a", 2, [window(1)])
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 2}


@pytest.mark.parametrize(
    "url", ["postgresql://me:hush@127.0.0.1:1/x", "postgres://127.0.0.1:1/x?user=me&password=hush"]
)
def test_passwords_are_not_told(url):
    """What is told of a server that cannot be reached names it, and not the password."""
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as caught:
        Opener(url)()
    assert "hush" not in str(caught.value)
