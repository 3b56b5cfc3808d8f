"""Several machines on one PostgreSQL: nothing is lost, nothing is twice, whoever comes when."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from extproc.challenge.evidence import INTERRUPTED, PAIRED
from extproc.challenge.store import joins
from extproc.challenge.store.feedback import Feedback, Taken
from tests.challenge.store.building import CHALLENGE, GBM, Opener, outcomes, record, recorded, truth, window

MACHINES = 4


def at_once(*calls):
    """Makes calls at the same moment, each in a thread of its own, and returns what they return."""
    ready = threading.Barrier(len(calls))

    def made(call):
        ready.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result(60) for done in [pool.submit(made, call) for call in calls]]


def test_a_label_sent_to_the_other_machine(shared):
    """A label reaches the record that another machine booked, and the record one that another machine took."""
    one, other = shared("w1"), shared("w2")
    one.book("a", 1, [recorded(record("r"))])
    assert other.feedback([Feedback("r", 1), Feedback("s", 1)]) == Taken(accepted=1, unknown=1)
    one.book("a", 2, [recorded(record("s"))])
    assert other.feedback([Feedback("s", 1)]) == Taken(duplicate=1)
    for store in (one, other):
        assert truth(store.read(CHALLENGE)).joined == 2


def test_record_and_label_at_the_same_moment(shared):
    """A record and its label that come to two machines at the same moment are joined, and once."""
    one, other = shared("w1"), shared("w2")
    rounds = 60
    for number in range(1, rounds + 1):
        batch = [recorded(record(f"r{number}"), record(f"r{number}", challenger="svm"))]
        label = [Feedback(f"r{number}", 1)]
        at_once(
            lambda number=number, batch=batch: one.book("a", number, batch), lambda label=label: other.feedback(label)
        )
    standing = one.read(CHALLENGE)
    assert (truth(standing).joined, truth(standing, "svm").joined) == (rounds, rounds)
    assert standing.waiting == 0


def test_neither_sees_the_other(shared, monkeypatch):
    """Where both transactions end before either machine looks again, both find the pair, and one of them gets it."""
    one, other = shared("w1"), shared("w2")
    committed = threading.Barrier(2)
    pairs = joins._pairs

    def both_committed(turn, requests):
        if requests is not None:
            committed.wait(10)
        found = pairs(turn, requests)
        if requests is not None:
            committed.wait(10)
            assert len(found) == 1
        return found

    monkeypatch.setattr(joins, "_pairs", both_committed)
    at_once(lambda: one.book("a", 1, [recorded(record("r"))]), lambda: other.feedback([Feedback("r", 1)]))
    assert truth(one.read(CHALLENGE)).joined == 1


def test_everyone_sends_the_same_labels(shared):
    """Of the same label sent to all machines at once, one is accepted and the others are duplicates."""
    stores = [shared(f"w{number}") for number in range(MACHINES)]
    ids = [f"r{number}" for number in range(100)]
    stores[0].book("a", 1, [recorded(*(record(name) for name in ids))])
    orders = [random.Random(number).sample(ids, len(ids)) for number in range(MACHINES)]
    taken = at_once(
        *(
            lambda store=store, order=order: [
                store.feedback([Feedback(name, 1) for name in order[start : start + 10]]) for start in range(0, 100, 10)
            ]
            for store, order in zip(stores, orders, strict=True)
        )
    )
    every = [one for each in taken for one in each]
    assert sum(one.accepted for one in every) == len(ids)
    assert sum(one.duplicate for one in every) == (MACHINES - 1) * len(ids)
    assert truth(stores[0].read(CHALLENGE)).joined == len(ids)


def test_everything_at_once(shared):
    """Machines that book, label, read, retain and close at the same time end with every request in one count."""
    stores = [shared(f"w{number}") for number in range(MACHINES)]
    rounds = 15

    def machine(store, name):
        for number in range(1, rounds + 1):
            records = [record(f"{name}-{number}-{each}", each / 4) for each in range(4)]
            store.book(str(name), number, [window(4, 4 * number, *records)])
            neighbour = (name + 1) % MACHINES
            store.feedback([Feedback(f"{neighbour}-{number}-{each}", 1) for each in range(4)])
            standing = store.read(CHALLENGE)
            assert sum(outcomes(standing).values()) + standing.pending[GBM] == standing.eligible
            store.retain()
        store.close_life(str(name), {CHALLENGE: (4 * rounds + 1, (GBM,))})

    at_once(*(lambda store=store, name=name: machine(store, name) for name, store in enumerate(stores)))
    standing = stores[0].read(CHALLENGE)
    assert outcomes(standing) == {PAIRED: 4 * rounds * MACHINES, INTERRUPTED: MACHINES}
    assert truth(standing).joined == 4 * rounds * MACHINES
    assert (standing.eligible, standing.pending, standing.waiting) == ((4 * rounds + 1) * MACHINES, {GBM: 0}, 0)


def test_a_life_is_closed_by_two(shared):
    """A life that two machines close at the same moment is closed once."""
    one, other = shared("w1"), shared("w2", silence=-1.0)
    for number in range(20):
        life = f"life{number}"
        one.book(life, 1, [window(1, 3)])
        at_once(lambda life=life: one.close_life(life, {CHALLENGE: (5, (GBM,))}), other.retain)
        one.close_life(life, {CHALLENGE: (5, (GBM,))})
    assert outcomes(one.read(CHALLENGE)) == {PAIRED: 20, INTERRUPTED: 80}


def test_writers_wait_for_each_other(opened):
    """Writers that read before they write, at the same time, wait for each other on SQLite too, and none fails."""
    stores = [opened("w1"), opened("w2")]

    def tell(store):
        taken = [store.feedback([Feedback(f"r{number}", 1)]) for number in range(40)]
        return sum(one.unknown for one in taken)

    assert at_once(*(lambda store=store: tell(store) for store in stores)) == [40, 40]
    assert stores[0].read(CHALLENGE).waiting == 40


def test_a_reader_sees_one_moment(opened):
    """While batches are booked, every reading has all of a batch or nothing of it."""
    writer, reader = opened("w1"), opened("w2")
    ended = threading.Event()

    def book():
        for number in range(1, 60):
            batch = window(1, number, record(f"r{number}", 0.0), dropped={"records": 1})
            writer.book("a", number, [batch])
        ended.set()

    def read():
        readings = []
        while not ended.is_set():
            standing = reader.read(CHALLENGE)
            readings.append((outcomes(standing).get(PAIRED, 0), standing.eligible, standing.dropped.get("records", 0)))
        return readings

    _, readings = at_once(book, read)
    assert len(set(readings)) > 1
    assert all(paired == eligible == dropped for paired, eligible, dropped in readings)


def test_tables_are_created_by_all_at_once(server):
    """Machines that open an empty database at the same moment all find its tables."""
    for _ in range(5):
        openers = [Opener(server.empty())] * MACHINES
        stores = at_once(*(lambda opener=opener, name=name: opener(f"w{name}") for name, opener in enumerate(openers)))
        assert [store.read(CHALLENGE).eligible for store in stores] == [0] * MACHINES
        for store in stores:
            store.close()


@pytest.mark.parametrize("limit", [1, 5])
def test_examples_of_many(shared, limit):
    """Machines that keep examples at the same moment show the newest of all, and no more than the limit."""
    stores = [shared(f"w{number}", examples=limit) for number in range(MACHINES)]

    def keep(store, name):
        for number in range(1, 11):
            at = float(number * MACHINES + name)
            store.book(str(name), number, [recorded(record(f"r{at:g}", 0.0, at=at))])

    at_once(*(lambda store=store, name=name: keep(store, name) for name, store in enumerate(stores)))
    newest = sorted(
        (float(number * MACHINES + name) for number in range(1, 11) for name in range(MACHINES)), reverse=True
    )
    assert [one.at for one in stores[0].read(CHALLENGE).examples[GBM][""]] == newest[:limit]
