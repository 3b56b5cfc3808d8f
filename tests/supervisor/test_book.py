"""What workers told gets into the store: once, all of it, and whatever happens to the store meanwhile."""

import asyncio
import logging
import os
import threading
from pathlib import Path

import pytest

from extproc.challenge.evidence import INTERRUPTED, PAIRED
from extproc.challenge.ledger import Entry, Ledger
from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.store import Store
from extproc.supervisor import book as book_module
from extproc.supervisor.book import Book
from extproc.supervisor.state import State
from tests.challenge.store.building import CHALLENGE, GBM, adds_up, outcomes, record, window
from tests.supervisor.building import AWAY, WAIT, opened, until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch):
    """A store that failed is tried again at once."""
    monkeypatch.setattr(book_module, "RETRY", 0.01)


def standing(folder: Path):
    """How the challenge stands for whoever opens the store now."""
    state = State(folder)
    store = Store.open(state.store, state.writer)
    try:
        found = store.read(CHALLENGE)
    finally:
        store.close()
    assert adds_up(found)
    return found


def files(folder: Path) -> list[Path]:
    """The database's files."""
    return list(folder.glob("evidence.db*"))


def counted(book: Book, life: str, count: int) -> None:
    """Write a life's ledger, as its worker does."""
    ledger = Ledger(book.ledger(life))
    one = ledger.open(Entry(CHALLENGE, "fraud", (GBM,)))
    for _ in range(count):
        one.add()
    ledger.close()


async def test_what_was_told_is_booked(tmp_path: Path):
    """Windows are in the store when the book says that it has settled, batches numbered one after the other."""
    async with opened(tmp_path) as (book, store):
        for number in range(1, 4):
            book.took("l1", [window(2, 2 * number, record(f"r{number}"))])
            await book.settled(WAIT)
        assert [(life, number) for life, number, _ in store.batches] == [("l1", 1), ("l1", 2), ("l1", 3)]
        assert outcomes(store.read(CHALLENGE)) == {PAIRED: 6}
    assert standing(tmp_path).eligible == 6


async def test_a_life_that_ended(tmp_path: Path):
    """What its ledger counted and nobody told was interrupted; then the ledger is gone."""
    async with opened(tmp_path) as (book, _):
        counted(book, "l1", 10)
        book.took("l1", [window(7, 8)])
        book.ended("l1")
        await book.settled(WAIT)
        assert not book.ledger("l1").exists()
    assert outcomes(standing(tmp_path)) == {PAIRED: 7, INTERRUPTED: 3}


async def test_last_words_that_come_while_another_life_is_booked(tmp_path: Path):
    """A life that tells its last and ends just then is booked before it is closed: nothing of it is interrupted."""
    async with opened(tmp_path) as (book, store):
        for life in ("l1", "l2"):
            counted(book, life, 5)
            book.took(life, [window(1, 1)])
        await book.settled(WAIT)
        store.gate = threading.Event()
        book.took("l2", [window(4, 5)])
        await until(lambda: len(store.batches) == 3)
        book.took("l1", [window(4, 5)])
        book.ended("l1")
        book.ended("l2")
        store.gate.set()
        await book.settled(WAIT)
    assert outcomes(standing(tmp_path)) == {PAIRED: 10}


async def test_it_has_settled_only_when_nothing_is_left(tmp_path: Path):
    """What comes while a batch is booked keeps it from saying that all is."""
    async with opened(tmp_path) as (book, store):
        book.took("l1", [window(1, 1)])
        await book.settled(WAIT)
        first, second = threading.Event(), threading.Event()
        store.gate = first
        book.took("l2", [window(1, 1)])
        await until(lambda: len(store.batches) == 2)
        book.took("l1", [window(1, 2)])
        settling = asyncio.create_task(book.settled(WAIT))
        store.gate = second
        first.set()
        await until(lambda: len(store.batches) == 3)
        assert not settling.done()
        second.set()
        await settling
        assert outcomes(store.read(CHALLENGE)) == {PAIRED: 3}


async def test_a_store_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Windows are summed up meanwhile, and booked in few batches when it is back; people are told twice."""
    async with opened(tmp_path) as (book, store):
        store.failure = AWAY
        for number in range(1, 51):
            book.took("l1", [window(1, number, record(f"r{number}"))])
            book.took("l2", [window(0, number, challenge="other")])
        book.took("l3", [window(1, 1)])
        book.ended("l3")
        await until(lambda: len(store.batches) > 3)
        with pytest.raises(StoreError, match="connection refused"):
            await book.call(store.read, CHALLENGE)
        assert "away" in repr(book)
        store.failure = None
        await book.settled(WAIT)
        assert {(life, number) for life, number, _ in store.batches} <= {("l1", 1), ("l1", 2), ("l2", 1), ("l3", 1)}
        assert "well" in repr(book)
        found = store.read(CHALLENGE)
        assert (found.eligible, outcomes(found)) == (51, {PAIRED: 51})
        assert store.read("other").eligible == 50
    assert caplog.messages == [
        f"{AWAY}; what challenges see is kept, and booked when it can be",
        "the store answers again",
    ]


async def test_what_was_booked_before_the_store_could_say_so(tmp_path: Path):
    """A batch that got in although the call failed is not booked twice."""
    async with opened(tmp_path) as (book, store):
        booked = type(store).book
        failed: list[int] = []

        def fails_afterwards(life: str, number: int, windows) -> None:
            booked(store, life, number, windows)
            if not failed:
                failed.append(number)
                raise AWAY

        store.__dict__["book"] = fails_afterwards
        book.took("l1", [window(3, 3)])
        await book.settled(WAIT)
        assert failed == [1]
        assert len(store.batches) == 2
    assert outcomes(standing(tmp_path)) == {PAIRED: 3}


async def test_whatever_fails_booking_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """An error that nobody thought of is told with its trace, and does not end the booking."""
    async with opened(tmp_path) as (book, store):
        store.failure = ZeroDivisionError("nobody thought of it")
        book.took("l1", [window(1, 1)])
        await until(lambda: len(store.batches) > 2)
        store.failure = None
        await book.settled(WAIT)
    assert outcomes(standing(tmp_path)) == {PAIRED: 1}
    (told,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert told.exc_info is not None
    assert "nobody thought of it" in caplog.text


async def test_a_ledger_that_cannot_be_read(tmp_path: Path):
    """It is tried again, and what it counts is booked when it can be."""
    async with opened(tmp_path) as (book, _):
        counted(book, "l1", 4)
        aside = tmp_path / "aside"
        book.ledger("l1").rename(aside)
        book.ledger("l1").mkdir()
        book.took("l1", [window(1, 1)])
        book.ended("l1")
        await until(lambda: "away" in repr(book))
        book.ledger("l1").rmdir()
        aside.rename(book.ledger("l1"))
        await book.settled(WAIT)
    assert outcomes(standing(tmp_path)) == {PAIRED: 1, INTERRUPTED: 3}


async def test_a_supervisor_that_was_killed(tmp_path: Path):
    """Its successor books, before it does anything else, what ledgers counted and what open lives had told."""
    async with opened(tmp_path) as (book, store):
        counted(book, "l1", 10)
        counted(book, "l2", 3)
        book.took("l1", [window(6, 7)])
        book.took("l3", [window(1, 4)])  # whose ledger is gone
        await book.settled(WAIT)
        assert set(store.open_lives()) == {"l1", "l3"}
    async with opened(tmp_path) as (book, store):
        found = store.read(CHALLENGE)
        assert outcomes(found) == {PAIRED: 7, INTERRUPTED: 4 + 3 + 3}
        assert (adds_up(found), found.eligible) == (True, 17)
        assert store.open_lives() == ()
        assert list(State(tmp_path).ledgers.iterdir()) == []


async def test_a_ledger_that_was_cut_off(tmp_path: Path):
    """What a killed process left half written keeps nobody from starting."""
    state = State(tmp_path)
    (state.ledgers / "l1.ledger").write_bytes(b"\x01\x02")
    (state.ledgers / "l2.ledger").write_bytes(b"")
    async with opened(tmp_path) as (_, store):
        assert store.read(CHALLENGE).eligible == 0
    assert list(state.ledgers.iterdir()) == []


async def test_a_store_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever asks is told after a while, the end is not held up, and what was told is booked by the next one."""
    monkeypatch.setattr(book_module, "CALL_PATIENCE", 0.05)
    monkeypatch.setattr(book_module, "CLOSE_PATIENCE", 0.05)
    state = State(tmp_path)
    async with opened(tmp_path) as (book, store):
        gate = store.gate = threading.Event()
        counted(book, "l1", 2)
        book.took("l1", [window(2, 2)])
        with pytest.raises(StoreError, match="the store did not answer within 0 s"):
            await book.call(store.read, CHALLENGE)
        await book.settled(0.05)
        await asyncio.wait_for(book.close(), 1)
        with pytest.raises(StoreError, match="the store is closed"):
            await book.call(store.read, CHALLENGE)
        assert state.ledgers.joinpath("l1.ledger").exists()
        gate.set()


async def test_what_is_not_settled_in_time_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """At the end nobody waits for longer than he was told, and the log says what becomes of the rest."""
    async with opened(tmp_path) as (book, store):
        store.failure = AWAY
        counted(book, "l1", 3)
        book.took("l1", [window(2, 2)])
        await book.settled(0.05)
        assert caplog.messages[-1] == "the store took nothing for 0 s: what was not booked is interrupted"


async def test_a_store_that_cannot_be_opened(tmp_path: Path):
    """What is wrong is said, and a password is not."""
    state = State(tmp_path)
    where = "postgresql://user:hushhush@127.0.0.1:1/db?connect_timeout=1"
    book = Book(where, state.writer, state.ledgers)
    with pytest.raises(StoreError) as told:
        await book.open()
    assert "hushhush" not in f"{told.value} {told.value!r} {book!r}"
    assert "127.0.0.1" in str(told.value)
    await book.close()


async def test_a_database_in_the_way(tmp_path: Path):
    """A folder where the file should be is told, with the file's name."""
    state = State(tmp_path)
    (tmp_path / "evidence.db").mkdir()
    book = Book(state.store, state.writer, state.ledgers)
    with pytest.raises(StoreError, match=r"evidence\.db"):
        await book.open()
    await book.close()


async def test_the_database_goes_away_and_comes_back(tmp_path: Path):
    """A file that cannot be opened for a while loses nothing of what was told meanwhile."""
    async with opened(tmp_path) as (book, store):
        book.took("l1", [window(1, 1)])
        await book.settled(WAIT)
        file, aside = tmp_path / "evidence.db", tmp_path / "aside"
        await book.call(store.close)
        aside.mkdir()
        for one in files(tmp_path):
            one.rename(aside / one.name)
        file.mkdir()
        book.took("l1", [window(2, 3)])
        await until(lambda: "away" in repr(book))
        book.took("l1", [window(3, 6)])
        file.rmdir()
        for one in files(aside):
            one.rename(tmp_path / one.name)
        await book.settled(WAIT)
        assert "well" in repr(book)
    assert outcomes(standing(tmp_path)) == {PAIRED: 6}


async def test_the_store_is_kept_private(tmp_path: Path):
    """The database and what SQLite puts beside it are this user's alone."""
    old = os.umask(0)
    try:
        async with opened(tmp_path) as (book, _):
            book.took("l1", [window(1, 1)])
            await book.settled(WAIT)
            modes = {file.name: oct(file.stat().st_mode)[-3:] for file in files(tmp_path)}
    finally:
        os.umask(old)
    assert modes["evidence.db"] == "600"
    assert set(modes.values()) == {"600"}
