"""Booking: windows become evidence, once, and stay."""

from __future__ import annotations

import pytest

from extproc.challenge.evidence import FAILED, PAIRED, SHED, UNSAMPLED, Evidence, Truth
from extproc.challenge.store.feedback import Feedback
from tests.challenge.store.building import CHALLENGE, GBM, NOON, adds_up, outcomes, record, recorded, window


def by_tolerance(record, _):
    """A join that tells which record it got."""
    return Truth(joined=int(record.tolerance))


def segmented(*segments, times=1):
    """A window with so many pairs in each segment."""
    evidence = {GBM: {segment: Evidence(outcomes={PAIRED: times}) for segment in segments}}
    return window(0, times * len(segments), evidence=evidence)


def test_nothing(opened):
    """A challenge that nobody knows stands at nothing."""
    standing = opened().read("unknown")
    assert (standing.eligible, standing.evidence, standing.pending, standing.examples) == (0, {}, {}, {})


def test_windows_add_up(opened):
    """Windows of several lives and challengers add up, and the last ``eligible`` of each life counts."""
    store = opened()
    both = {GBM: {"": Evidence(outcomes={PAIRED: 2, SHED: 1})}, "svm": {"": Evidence(outcomes={UNSAMPLED: 3})}}
    store.book("a", 1, [window(0, 3, evidence=both, challengers=(GBM, "svm"))])
    store.book("a", 2, [window(0, 6, evidence=both, challengers=(GBM, "svm"))])
    store.book("b", 1, [window(0, 4, evidence=both, challengers=(GBM, "svm"))])
    standing = store.read(CHALLENGE)
    assert standing.eligible == 10
    assert outcomes(standing) == {PAIRED: 6, SHED: 3}
    assert outcomes(standing, "svm") == {UNSAMPLED: 9}
    assert standing.pending == {GBM: 1, "svm": 1}
    assert adds_up(standing)


def test_challenges_are_apart(opened):
    """One batch holds windows of several challenges, and each has its own figures."""
    store = opened()
    store.book("a", 1, [window(1), window(5, challenge="other")])
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 1}
    assert outcomes(store.read("other")) == {PAIRED: 5}


def test_large_sums_stay_exact(opened):
    """Sums beyond 64 bits, of either sign, come back to the last digit."""
    store = opened()
    huge = window(0, 0, evidence={GBM: {"": Evidence(difference_sum=-(2**90) + 1)}})
    for number in (1, 2, 3):
        store.book("a", number, [huge])
    assert store.read(CHALLENGE).evidence[GBM][""].difference_sum == 3 * (1 - 2**90)


def test_a_batch_is_booked_once(opened):
    """A batch that comes again, or an older one, changes nothing; the next one does."""
    store = opened()
    for number in (1, 3, 3, 2, 1, 4):
        store.book("a", number, [window(1, number, record(f"r{number}", 0.0))])
    standing = store.read(CHALLENGE)
    assert outcomes(standing) == {PAIRED: 3}
    assert {one.request for one in standing.examples[GBM][""]} == {"r1", "r3", "r4"}
    assert standing.dropped == {}


def test_numbers_are_each_lifes_own(opened):
    """The first batch of a second life is no repetition of the first life's."""
    store = opened()
    store.book("a", 1, [window(1)])
    store.book("b", 1, [window(1)])
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 2}


def test_a_writer_goes_on(opened):
    """A store that is opened again goes on from what it had."""
    first = opened()
    first.book("a", 1, [window(2)])
    first.close()
    second = opened()
    second.book("b", 1, [window(3)])
    assert outcomes(second.read(CHALLENGE)) == {PAIRED: 5}


def test_writers_are_merged(opened):
    """What another writer booked is read with one's own, segment by segment."""
    opened("w1").book("a", 1, [segmented("x", "y")])
    opened("w2").book("b", 1, [segmented("y", "z")])
    standing = opened("w3").read(CHALLENGE)
    assert {name: one.outcomes[PAIRED] for name, one in standing.evidence[GBM].items()} == {"x": 1, "y": 2, "z": 1}
    assert standing.eligible == 4


def test_a_worker_that_miscounts(opened):
    """More outcomes than eligible requests make these eligible, so that counts still add up."""
    store = opened()
    store.book("a", 1, [window(3, 1)])
    assert (store.read(CHALLENGE).eligible, store.read(CHALLENGE).pending) == (3, {GBM: 0})
    store.book("a", 2, [window(2, 2)])
    standing = store.read(CHALLENGE)
    assert (standing.eligible, standing.pending) == (5, {GBM: 0})
    assert store.close_life("a", {CHALLENGE: (4, (GBM,))}) == {}
    assert adds_up(store.read(CHALLENGE))


def test_an_older_eligible_does_not_count(opened):
    """``eligible`` only grows, in whatever order windows tell it."""
    store = opened()
    store.book("a", 1, [window(1, 9), window(1, 4)])
    assert store.read(CHALLENGE).eligible == 9


def test_a_challenger_without_outcomes(opened):
    """A challenger of which nothing is booked yet has all its requests pending."""
    store = opened()
    store.book("a", 1, [window(0, 4)])
    assert store.read(CHALLENGE).pending == {GBM: 4}


def test_reasons_add_up(opened):
    """What workers dropped is counted by reason, over writers."""
    opened("w1").book("a", 1, [window(0, 0, dropped={"records": 2, "body": 0}), window(0, 0, dropped={"records": 1})])
    opened("w2").book("b", 1, [window(0, 0, dropped={"records": 4, "large": 1})])
    assert opened("w1").read(CHALLENGE).dropped == {"records": 7, "large": 1}


def test_the_first_record_of_an_id_stays(opened):
    """Of two pairs with one id, in one batch or later, the first is kept for labels, and the others are counted."""
    store = opened(join=by_tolerance)
    store.book("a", 1, [recorded(record("r", tolerance=1.0), record("r", tolerance=2.0))])
    store.book("a", 2, [recorded(record("r", tolerance=3.0), record("r", tolerance=4.0, challenger="svm"))])
    store.feedback([Feedback("r", 1)])
    standing = store.read(CHALLENGE)
    assert standing.dropped == {"repeated_id": 2}
    assert standing.evidence[GBM][""].truth.joined == 1
    assert standing.evidence["svm"][""].truth.joined == 4


def test_too_many_segments(opened):
    """Segments beyond the limit are one, for sums, records and examples alike; those that came first stay."""
    store = opened(segments=2)
    store.book("a", 1, [segmented("x", "", "y", "z")])
    store.book("a", 2, [segmented("x", "w", "(other)"), recorded(record("r", 0.0, segment="w"))])
    store.feedback([Feedback("r", 1)])
    standing = store.read(CHALLENGE)
    found = {name: one.outcomes[PAIRED] for name, one in standing.evidence[GBM].items()}
    assert found == {"x": 2, "y": 1, "": 1, "(other)": 3}
    assert [one.segment for one in standing.examples[GBM]["(other)"]] == ["(other)"]
    assert standing.evidence[GBM]["(other)"].truth.joined == 1


def test_segments_of_all_writers_count(opened):
    """A writer does not tell apart more segments than there may be, whoever named the others, before or after."""
    one, other = opened("w1", segments=2), opened("w2", segments=2)
    other.book("b", 1, [segmented("", "(other)")])
    one.book("a", 1, [segmented("x")])
    other.book("b", 2, [segmented("y")])
    one.book("a", 2, [segmented("z", "y")])
    assert set(one.read(CHALLENGE).evidence[GBM]) == {"", "x", "y", "(other)"}


def test_segments_are_each_challengers_own(opened):
    """One challenger's segments leave the other's room."""
    store = opened(segments=1)
    store.book("a", 1, [segmented("x")])
    store.book("a", 2, [window(0, 1, evidence={"svm": {"y": Evidence(outcomes={FAILED: 1})}})])
    assert set(store.read(CHALLENGE).evidence["svm"]) == {"y"}


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "x" * 5000, "é" * 300, "'; DROP TABLE--", "", "\u2028"])
def test_any_text_is_an_id_and_a_segment(opened, text):
    """Whatever a client sends as id or key is kept, found again by its feedback, and apart from other texts."""
    store = opened()
    store.book("a", 1, [recorded(record(text, segment=text), record(f"{text}~", segment=f"{text}~"))])
    assert store.feedback([Feedback(text, 1)]).accepted == 1
    joined = {name: one.truth.joined for name, one in store.read(CHALLENGE).evidence[GBM].items()}
    assert list(joined.values()) == [1]
    assert store.feedback([Feedback(f"{text}~", 1)]).accepted == 1
    assert len(store.read(CHALLENGE).evidence[GBM]) == 2


def test_examples_are_the_newest(opened):
    """Of each segment the newest disagreements are kept, whenever they were booked; agreement is no example."""
    store = opened(examples=3)
    times = [5, 1, 4, 2, 3, 6]
    for number, at in enumerate(times, 1):
        one = record(f"r{at}", 0.5, at=NOON + at, segment="x")
        store.book("a", number, [recorded(one, record(f"same{at}", 1.0, at=NOON + at, segment="x"))])
    store.book("b", 1, [recorded(record("other", 0.0, segment="y"))])
    examples = store.read(CHALLENGE).examples[GBM]
    assert [one.request for one in examples["x"]] == ["r6", "r5", "r4"]
    assert [one.request for one in examples["y"]] == ["other"]
    fewer = opened("w2", examples=1).read(CHALLENGE).examples[GBM]
    assert [one.request for one in fewer["x"]] == ["r6"]


def test_an_example_is_whole(opened):
    """An example holds the record as the worker sent it, its body too."""
    store = opened()
    whole = record("r", 0.25, body='{"x": 1}', champion_latency=0.5, challenger_latency=None)
    store.book("a", 1, [recorded(whole)])
    assert store.read(CHALLENGE).examples == {GBM: {"": [whole]}}


def test_bodies_are_with_examples_alone(opened):
    """A record that is kept for its label is kept without its body."""
    seen = []

    def join(record, _):
        seen.append(record)
        return Truth(joined=1)

    store = opened(join=join)
    store.book("a", 1, [recorded(record("r", 0.0, body="secret"), record("s", body="secret"))])
    store.feedback([Feedback("r", 1), Feedback("s", 1)])
    assert [one.body for one in seen] == [None, None]


def test_the_state_shows(opened):
    """A store prints where it is and who writes."""
    store = opened("w7")
    assert "writer=w7" in repr(store)
    assert repr(store).startswith("<Store ")
