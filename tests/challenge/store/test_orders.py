"""However the same windows are divided, ordered and sent, the figures are the same, to the last digit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.challenge.evidence import OUTCOMES, PAIRED, Evidence, Truth, merged
from extproc.challenge.store.feedback import Feedback
from extproc.challenge.store.limits import Limits
from extproc.challenge.store.store import Store
from tests.challenge.store.building import CHALLENGE, GBM, NOON, Clock, joined, record, window

if TYPE_CHECKING:
    from extproc.challenge.evidence import Window
    from extproc.challenge.store.standing import Standing

WRITERS = 4
NAMES = itertools.count()  # of challenges: each example has its own in the same databases
CHALLENGERS = (GBM, "svm")
SEGMENTS = ("", "x", "y")
COUNTS = st.integers(1, 1000)
HISTOGRAMS = st.dictionaries(st.integers(-3, 3), COUNTS, max_size=3)
EVIDENCE = st.builds(
    Evidence,
    outcomes=st.dictionaries(st.sampled_from(OUTCOMES), COUNTS, max_size=3),
    agreement=HISTOGRAMS,
    champion_latency=HISTOGRAMS,
    difference_sum=st.integers(-(2**80), 2**80),
    confusion=st.dictionaries(st.sampled_from(['["a","a"]', '["a","b"]']), COUNTS),
    truth=st.builds(Truth, reward_sum=st.integers(-(2**80), 2**80)),
)
RECORDS = st.builds(
    lambda at, agreement, challenger, segment: record(
        "r", agreement, at=NOON + at, challenger=challenger, segment=segment
    ),
    st.integers(0, 50),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from(CHALLENGERS),
    st.sampled_from(SEGMENTS),
)
WINDOWS = st.builds(
    lambda evidence, records, dropped: window(
        0, 0, *records, evidence=evidence, dropped=dropped, challengers=CHALLENGERS
    ),
    st.dictionaries(st.sampled_from(CHALLENGERS), st.dictionaries(st.sampled_from(SEGMENTS), EVIDENCE), max_size=2),
    st.lists(RECORDS, max_size=3),
    st.dictionaries(st.sampled_from(["records", "body"]), COUNTS, max_size=1),
)
"""Parts of a life: windows without their cumulative ``eligible``, which ``sent`` tells."""


def sent(stores, parts, plan, name):
    """Sends windows as a plan says: for each its life's writer, and whether a new batch begins."""
    batches: dict[int, list[list[Window]]] = {}
    for part, (writer, begins) in zip(parts, plan, strict=True):
        mine = batches.setdefault(writer, [[]])
        if begins:
            mine.append([])
        mine[-1].append(part)
    for writer, mine in batches.items():
        told = 0
        for number, batch in enumerate(mine, 1):
            for one in batch:
                told += eligible(one)
            whole = [msgspec.structs.replace(one, challenge=name, eligible=told) for one in batch]
            stores[writer].book(f"{name}-{writer}", number, whole)


def eligible(part):
    """How many requests a window is about: the most that a challenger of it has outcomes of."""
    return max((sum(sum(one.outcomes.values()) for one in each.values()) for each in part.evidence.values()), default=0)


def figures(standing: Standing):
    """Everything that is said of a challenge but its name."""
    return msgspec.structs.replace(standing, challenge="")


def distinct(parts, name):
    """Windows whose records have ids of their own: which of two with one id comes first depends on the order."""
    numbers = itertools.count()
    for part in parts:
        records = [msgspec.structs.replace(one, request=f"{name}-{next(numbers)}") for one in part.records]
        yield msgspec.structs.replace(part, records=records)


@pytest.fixture(scope="module")
def many(server, tmp_path_factory):
    """Four writers on PostgreSQL, and one on SQLite."""
    url = server.empty()
    limits = Limits(examples=3)
    stores = [Store.open(url, f"w{number}", limits, Clock(), joined) for number in range(WRITERS)]
    lite = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/c.db", "w", limits, Clock(), joined)
    yield stores, lite
    for store in (*stores, lite):
        store.close()


@settings(max_examples=25, deadline=None)
@given(st.data(), st.lists(WINDOWS, max_size=8))
def test_any_order_and_partition(many, data, parts):
    """Windows and labels in any order, divided among lives, batches, writers and databases, give the same standing."""
    stores, lite = many
    name = f"c{next(NAMES)}"
    parts = list(distinct(parts, name))
    labels = [Feedback(one.request, 1) for part in parts for one in part.records]
    plans = st.lists(st.tuples(st.integers(0, WRITERS - 1), st.booleans()), min_size=len(parts), max_size=len(parts))
    early = data.draw(st.integers(0, len(labels)))
    shuffled_labels, shuffled, plan = (
        data.draw(st.permutations(labels)),
        data.draw(st.permutations(parts)),
        data.draw(plans),
    )

    sent([lite], parts, [(0, True)] * len(parts), name)
    lite.feedback(labels)
    label(stores, shuffled_labels[:early])
    sent(stores, shuffled, plan, name)
    label(stores, shuffled_labels[early:])

    alone, together = lite.read(name), stores[0].read(name)
    assert figures(alone) == figures(together)
    assert sum(one.truth.joined for each in alone.evidence.values() for one in each.values()) == len(labels)


def label(stores, labels):
    """Tell labels one by one, each to another store."""
    for number, one in enumerate(labels):
        stores[number % len(stores)].feedback([one])


def test_four_writers_and_one(many):
    """The same windows through four writers on PostgreSQL and one on SQLite give the same figures, read by anyone."""
    stores, lite = many
    parts = [
        window(
            0,
            0,
            record(f"four-{number}", number % 2, at=NOON + number, segment=SEGMENTS[number % 3]),
            evidence={GBM: {SEGMENTS[number % 3]: Evidence(outcomes={PAIRED: 1}, difference_sum=number**20)}},
            challengers=CHALLENGERS,
        )
        for number in range(48)
    ]
    sent([lite], parts, [(0, True)] * len(parts), CHALLENGE)
    sent(stores, parts, [(number % WRITERS, True) for number in range(len(parts))], CHALLENGE)
    for number in range(48):
        for one in (lite, stores[(number + 1) % WRITERS]):
            assert one.feedback([Feedback(f"four-{number}", 1)]).accepted == 1
    expected = Evidence()
    for part in parts:
        for one in part.evidence[GBM].values():
            merged(expected, one)
    alone = lite.read(CHALLENGE)
    assert sum(one.difference_sum for one in alone.evidence[GBM].values()) == expected.difference_sum
    assert alone.eligible == 48
    assert [figures(store.read(CHALLENGE)) for store in stores] == [figures(alone)] * WRITERS
