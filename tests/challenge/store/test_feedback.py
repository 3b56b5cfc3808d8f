"""Feedback: each record joined once, whichever came first, and every one counted as one thing."""

from __future__ import annotations

import msgspec
import pytest

from extproc.challenge.evidence import Truth
from extproc.challenge.store.feedback import AT_ONCE, Feedback, Taken
from extproc.challenge.truth import join
from extproc.errors import BadRequest
from tests.challenge.store.building import CHALLENGE, GBM, record, recorded, truth, window


def test_a_label_of_a_known_request(opened):
    """A label joins the record that is there."""
    store = opened()
    store.book("a", 1, [recorded(record("r"), record("s"))])
    assert store.feedback([Feedback("r", 1)]) == Taken(accepted=1)
    assert truth(store.read(CHALLENGE)) == Truth(joined=1, champion_accuracy={10_000: 1})


def test_a_label_that_comes_first(opened):
    """A label of a request that is not known waits, and joins its record when that is booked."""
    store = opened()
    assert store.feedback([Feedback("r", 1)]) == Taken(unknown=1)
    assert store.read(CHALLENGE).waiting == 1
    store.book("a", 1, [recorded(record("r"))])
    standing = store.read(CHALLENGE)
    assert (truth(standing).joined, standing.waiting) == (1, 0)


def test_the_first_label_counts(opened):
    """A second label of a request is a duplicate and changes nothing, in one call or later, also one that waited."""
    store = opened()
    store.book("a", 1, [recorded(record("r"))])
    assert store.feedback([Feedback("r", 1), Feedback("r", 2)]) == Taken(accepted=1, duplicate=1)
    assert store.feedback([Feedback("r", 2, reward=1)]) == Taken(duplicate=1)
    assert store.feedback([Feedback("s", 1), Feedback("s", 2)]) == Taken(unknown=2)
    assert store.feedback([Feedback("s", 2)]) == Taken(unknown=1)
    assert store.read(CHALLENGE).waiting == 1
    store.book("a", 2, [recorded(record("s"))])
    assert store.feedback([Feedback("s", 2)]) == Taken(duplicate=1)
    assert truth(store.read(CHALLENGE)) == Truth(joined=2, champion_accuracy={10_000: 2})


def test_several_challengers_share_a_request(opened):
    """One label joins the record of each challenger and challenge, also those that are booked after it."""
    store = opened()
    store.book("a", 1, [recorded(record("r"), record("r", challenger="svm"))])
    assert store.feedback([Feedback("r", 1)]) == Taken(accepted=1)
    later = window(0, 0, record("r", challenger="knn"), challenge="other")
    store.book("a", 2, [later])
    standing = store.read(CHALLENGE)
    assert (truth(standing).joined, truth(standing, "svm").joined) == (1, 1)
    assert truth(store.read("other"), "knn").joined == 1
    assert store.feedback([Feedback("r", 1)]) == Taken(duplicate=1)


def test_the_records_own_segment(opened):
    """What a label says is added in the segment of its record."""
    store = opened()
    store.book("a", 1, [recorded(record("r", segment="x"))])
    store.feedback([Feedback("r", 1)])
    standing = store.read(CHALLENGE)
    assert (truth(standing, GBM, "x").joined, set(standing.evidence[GBM])) == (1, {"x"})


@pytest.mark.parametrize("label", [None, False, 0, "", [1, [None]], {"a": 2**70}, 1.5])
def test_any_label_comes_as_it_was_sent(opened, label):
    """A label is any JSON value, null too, and reaches the join as it is, with its reward."""
    seen = []

    def seeing(_, feedback):
        seen.append(feedback)
        return Truth(joined=1)

    store = opened(join=seeing)
    store.book("a", 1, [recorded(record("r"))])
    store.feedback([Feedback("r", label, 2**65)])
    assert [(one.label, type(one.label), one.reward) for one in seen] == [(label, type(label), 2**65)]


def test_a_reward_alone(opened):
    """Without a label the join sees none, which is not null."""
    seen = []

    def seeing(_, feedback):
        seen.append(feedback)
        return Truth(joined=1)

    store = opened(join=seeing)
    store.feedback([Feedback("r", reward=0.5)])
    store.book("a", 1, [recorded(record("r"))])
    assert [(one.label, one.reward) for one in seen] == [(msgspec.UNSET, 0.5)]


def test_the_projects_own_join(opened):
    """Without another, labels are joined as ``truth`` has it."""
    store = opened(join=join)
    store.book("a", 1, [recorded(record("r", 0.0))])
    store.feedback([Feedback("r", 2)])
    found = truth(store.read(CHALLENGE))
    assert (found.joined, found.champion_error_sum, found.challenger_error_sum) == (1, 2**64, 0)


def test_large_feedback_is_refused_whole(opened):
    """A label above the limit is the client's error, and nothing of its call is kept."""
    store = opened(feedback_bytes=20)
    with pytest.raises(BadRequest, match="20 bytes") as caught:
        store.feedback([Feedback("r", 1), Feedback("s", "x" * 20)])
    assert caught.value.status == 413
    assert store.read(CHALLENGE).waiting == 0


def test_text_that_is_no_unicode(opened):
    """A label with half a surrogate is the client's error."""
    with pytest.raises(BadRequest, match="Unicode") as caught:
        opened().feedback([Feedback("r", "\ud800")])
    assert caught.value.status == 400


def test_nothing_at_all(opened):
    """No feedback is none."""
    assert opened().feedback([]) == Taken()


def test_more_than_one_query_takes(opened):
    """A call with thousands of ids is one transaction, and joins all of them."""
    store = opened()
    ids = [f"r{number}" for number in range(2 * AT_ONCE + 3)]
    both = [record(name, challenger=challenger) for name in ids for challenger in (GBM, "svm")]
    store.book("a", 1, [recorded(*both)])
    taken = store.feedback([Feedback(name, 1) for name in [*ids, "unknown", *ids[:5]]])
    assert taken == Taken(accepted=len(ids), duplicate=5, unknown=1)
    standing = store.read(CHALLENGE)
    assert (truth(standing).joined, truth(standing, "svm").joined) == (len(ids), len(ids))


def test_many_labels_that_wait(opened):
    """Thousands of labels that came first are joined by the batch that brings their records."""
    store = opened()
    ids = [f"r{number}" for number in range(2 * AT_ONCE + 3)]
    store.feedback([Feedback(name, 1) for name in ids])
    store.book("a", 1, [recorded(*(record(name) for name in ids))])
    standing = store.read(CHALLENGE)
    assert (truth(standing).joined, standing.waiting) == (len(ids), 0)


def test_labels_live_through_the_supervisor(opened):
    """A label that waits and a record that waits are found again by the next supervisor."""
    first = opened()
    first.feedback([Feedback("r", 1)])
    first.book("a", 1, [recorded(record("s"))])
    first.close()
    second = opened()
    second.book("b", 1, [recorded(record("r"))])
    assert second.feedback([Feedback("s", 1)]) == Taken(accepted=1)
    assert truth(second.read(CHALLENGE)).joined == 2


def test_a_pair_that_was_left(opened, monkeypatch):
    """What a supervisor could not join before it was killed is joined by whoever opens the store next, once."""
    first = opened()
    monkeypatch.setattr(first, "_join_these", lambda _: None)
    first.book("a", 1, [recorded(record("r"))])
    first.feedback([Feedback("r", 1)])
    assert truth(first.read(CHALLENGE)).joined == 0
    second = opened("w2")
    assert truth(second.read(CHALLENGE)).joined == 1
    first.retain()
    assert truth(second.read(CHALLENGE)).joined == 1


def test_a_pair_that_another_left(opened, monkeypatch):
    """What another machine left is joined when limits are applied."""
    first, other = opened("w1"), opened("w2")
    monkeypatch.setattr(first, "_join_these", lambda _: None)
    first.book("a", 1, [recorded(record("r"))])
    first.feedback([Feedback("r", 1)])
    other.retain()
    assert truth(other.read(CHALLENGE)).joined == 1
