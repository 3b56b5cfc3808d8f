"""Limits: what is too old or too much goes, and what waited in vain is counted."""

from __future__ import annotations

from sqlalchemy import func, select

from extproc.challenge.evidence import PAIRED
from extproc.challenge.store import tables
from extproc.challenge.store.feedback import Feedback, Taken
from tests.challenge.store.building import CHALLENGE, GBM, NOON, outcomes, record, recorded, truth, window

DAY = 86_400.0


def rows(store, table):
    """How many rows a table has."""
    with store._engine.begin() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_old_records(opened):
    """Records above the age go, and their labels come too late; what was summed up stays."""
    store = opened(record_age=DAY)
    store.book("a", 1, [window(2, 2, record("old", at=NOON - DAY - 1), record("new", at=NOON - DAY + 1))])
    store.retain()
    assert store.feedback([Feedback("old", 1), Feedback("new", 1)]) == Taken(accepted=1, unknown=1)
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 2}


def test_too_many_records(opened):
    """Of each challenge the newest records stay, exactly as many as the limit, also of one moment."""
    store = opened(records=3)
    store.book("a", 1, [recorded(*(record(f"r{number}", at=NOON + number) for number in range(6)))])
    store.book("a", 2, [window(0, 0, *(record(f"s{number}") for number in range(6)), challenge="same")])
    store.book("a", 3, [window(0, 0, record("t"), challenge="few")])
    store.retain()
    assert rows(store, tables.records) == 7
    taken = [store.feedback([Feedback(f"r{number}", 1)]).accepted for number in range(6)]
    assert taken == [0, 0, 0, 1, 1, 1]


def test_examples_outlive_records(opened):
    """An example stays when its record is gone."""
    store = opened(records=1, record_age=DAY)
    store.book("a", 1, [recorded(record("r", 0.0, at=NOON - 2 * DAY))])
    store.retain()
    assert rows(store, tables.records) == 0
    assert [one.request for one in store.read(CHALLENGE).examples[GBM][""]] == ["r"]


def test_examples_take_no_more_room(opened):
    """Examples beyond the limit are gone when the batch is booked, and not only out of sight."""
    store = opened(examples=2)
    for number in range(1, 4):
        store.book("a", number, [recorded(*(record(f"r{number}-{each}", 0.0) for each in range(3)))])
    assert rows(store, tables.examples) == 2


def test_old_feedback(opened):
    """Feedback that waited for too long is counted and gone; what was joined is gone and not counted."""
    store = opened(feedback_age=DAY)
    store.book("a", 1, [recorded(record("r"))])
    store.feedback([Feedback("r", 1), Feedback("s", 1), Feedback("t", 1)])
    opened.clock.now += DAY + 1
    store.feedback([Feedback("u", 1)])
    store.retain()
    standing = store.read(CHALLENGE)
    assert (standing.waiting, standing.expired) == (1, 2)
    assert rows(store, tables.feedback) == 1
    assert store.feedback([Feedback("s", 1)]) == Taken(unknown=1)


def test_too_much_feedback(opened):
    """Of the feedback that waits the newest stays, whatever is joined, and what goes is counted."""
    store = opened(feedback=2)
    store.book("a", 1, [recorded(*(record(f"r{number}") for number in range(4)))])
    for number in range(4):
        opened.clock.now += 1
        store.feedback([Feedback(f"r{number}", 1), Feedback(f"s{number}", 1)])
    store.retain()
    standing = store.read(CHALLENGE)
    assert (standing.waiting, standing.expired, truth(standing).joined) == (2, 2, 4)
    assert rows(store, tables.feedback) == 4
    store.book("a", 2, [recorded(*(record(f"s{number}") for number in range(4)))])
    assert truth(store.read(CHALLENGE)).joined == 6


def test_a_label_again_after_its_first_was_forgotten(opened):
    """Of a joined record whose feedback is gone a second label is a duplicate still, and does not wait."""
    store = opened(feedback_age=DAY)
    store.book("a", 1, [recorded(record("r"))])
    store.feedback([Feedback("r", 1)])
    opened.clock.now += DAY + 1
    store.retain()
    assert store.feedback([Feedback("r", 2)]) == Taken(duplicate=1)
    standing = store.read(CHALLENGE)
    assert (truth(standing).joined, standing.waiting) == (1, 0)


def test_a_label_again_for_a_record_that_came_later(opened):
    """A label joins a record that came when the first label was forgotten, and no record twice."""
    store = opened(feedback_age=DAY)
    store.book("a", 1, [recorded(record("r"))])
    store.feedback([Feedback("r", 1)])
    opened.clock.now += DAY + 1
    store.retain()
    store.book("a", 2, [recorded(record("r", challenger="svm"))])
    assert store.feedback([Feedback("r", 1)]) == Taken(accepted=1)
    standing = store.read(CHALLENGE)
    assert (truth(standing).joined, truth(standing, "svm").joined) == (1, 1)


def test_a_label_again_after_its_record_was_forgotten(opened):
    """Of a record that is gone a second label is a duplicate as long as the first is known."""
    store = opened(record_age=DAY)
    store.book("a", 1, [recorded(record("r"))])
    store.feedback([Feedback("r", 1)])
    opened.clock.now += DAY + 1
    store.retain()
    assert store.feedback([Feedback("r", 2)]) == Taken(duplicate=1)


def test_nothing_goes_before_its_time(opened):
    """Within its limits a store keeps everything."""
    store = opened()
    store.book("a", 1, [window(1, 1, record("r", 0.0), record("s"))])
    store.feedback([Feedback("s", 1), Feedback("t", 1)])
    store.close_life("a", {})
    before = store.read(CHALLENGE)
    kept = [rows(store, table) for table in tables.metadata.sorted_tables]
    for _ in range(2):
        store.retain()
    assert store.read(CHALLENGE) == before
    assert [rows(store, table) for table in tables.metadata.sorted_tables] == kept
