"""Labels and rewards joined with what both legs had said."""

from __future__ import annotations

from math import inf, nan

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.evidence import Record, Truth, merged, units
from extproc.challenge.histogram import grain
from extproc.challenge.truth import Feedback, join
from tests.challenge.legs import MANY, QUICK
from tests.protocol.bodies import VALUE

HUGE = 10**400


def record(kind, champion, challenger, tolerance=0.0, agreement=0.0):
    ours, theirs = (msgspec.Raw(msgspec.json.encode(said)) for said in (champion, challenger))
    return Record("id", "gbm", "", 0.0, kind, tolerance, agreement, ours, theirs)


def joined(kind, champion, challenger, label, tolerance=0.0):
    return join(record(kind, champion, challenger, tolerance), Feedback(label))


def only(histogram):
    """The share in a histogram that counted one; None of an empty one."""
    assert sum(histogram.values()) in {0, 1}
    return next((key / 10_000 for key in histogram), None)


ACCURACY = [
    ("number", [1.0], [1.1], 1, 0.05, 1.0, 0.0),
    ("number", [1.05], [0.95], 1, 0.05, 1.0, 1.0),
    ("number", [1, 2], [1, 3], [1, 3], 0.0, 0.5, 1.0),
    ("number", [0.9], [1], True, 0.0, 0.0, 1.0),
    ("number", [0], [1], False, 0.0, 1.0, 0.0),
    ("number", [2**60], [2**60 + 1], 2**60 + 1, 0.0, 0.0, 1.0),
    ("number", [HUGE], [1], HUGE, 0.0, 1.0, 0.0),
    ("number", [1], [2], [[2]], 0.0, 0.0, 1.0),
    ("label", ["cat"], ["dog"], "cat", 0.0, 1.0, 0.0),
    ("label", ["cat", 1], ["cat", "1"], ["cat", 1.0], 0.0, 1.0, 0.5),
    ("label", [True], [1], True, 0.0, 1.0, 0.0),
    ("label", [None], [0], None, 0.0, 1.0, 0.0),
    ("label", [{"a": 1, "b": 2}], [{"a": 1}], {"b": 2, "a": 1.0}, 0.0, 1.0, 0.0),
    ("label", [["a", "b"]], [["b", "a"]], ["a", "b"], 0.0, 1.0, 0.0),
    ("label", ["cat"], ["dog"], 7, 0.0, 0.0, 0.0),
    ("text", [" yes"], ["no"], "yes\n", 0.0, 1.0, 0.0),
    ("vector", [[0.2, 0.8]], [[0.8, 0.2]], 1, 0.0, 1.0, 0.0),
    ("vector", [[0.2, 0.8]], [[0.8, 0.2]], 1.0, 0.0, 1.0, 0.0),
    ("vector", [[0.2, 0.8]], [[0.8, 0.2]], False, 0.0, 0.0, 1.0),
    ("vector", [[0.2, 0.8]], [[0.8, 0.2]], [0, 1], 0.0, 1.0, 0.0),
    ("vector", [[0.2, 0.8]], [[0.8, 0.2]], [[0, 1]], 0.0, 1.0, 0.0),
    ("vector", [[2.5, -1, 7]], [[2.5, -1, 0]], 2, 0.0, 1.0, 0.0),
    ("vector", [[0.5, 0.5]], [[0.4, 0.6]], 0, 0.0, 1.0, 0.0),
    ("vector", [[1, 0], [0, 1]], [[0, 1], [0, 1]], [0, 1], 0.0, 1.0, 0.5),
    ("vector", [{"cat": 0.9, "dog": 0.1}], [{"dog": 0.6, "cat": 0.4}], "dog", 0.0, 0.0, 1.0),
    ("vector", [{"0": 0.9, "1": 0.1}], [{"0": 0.4, "1": 0.6}], 1, 0.0, 0.0, 1.0),
    ("vector", [{"true": 0.9, "false": 0.1}], [{"true": 0.4, "false": 0.6}], True, 0.0, 1.0, 0.0),
    ("vector", [{"a": 0.9, "b": 0.1}], [{"a": 0.4, "b": 0.6}], {"a": 0, "b": 1}, 0.0, 0.0, 1.0),
    ("vector", [[1.0, 2.0]], [[1.0, 2.1]], [[1.0, 2.15]], 0.05, 0.0, 1.0),
    ("vector", [[1.0, 2.0]], [[1.0, 2.2]], [[1.0, 2.05]], 0.05, 1.0, 0.0),
    ("vector", [[[0.1, 0.9], [0, 0]]], [[[0, 1], [0, 0]]], [[[0, 1], [0, 0]]], 0.0, 0.0, 1.0),
    ("vector", [[0.0, 3.0]], [[0.0, 1.0]], [[0, 1]], 0.5, 0.0, 1.0),
    ("vector", [[[1, 2], [3, 4]]], [[[1, 2], [3, 5]]], [[[1, 2], [3, 4]]], 0.0, 1.0, 0.0),
    ("vector", [{"a": 1, "b": 2}], [{"a": 1, "b": 3}], {"b": 3, "a": 1}, 0.0, 0.0, 1.0),
    ("vector", [[1, 2], 5], [[1, 2], 6], [[1, 2], 5], 0.0, 1.0, 0.5),
]


@pytest.mark.parametrize("case", ACCURACY, ids=range(len(ACCURACY)))
def test_accuracy_is_by_the_challenge_s_own_kind_and_tolerance(case):
    """A class is right when it is the likeliest; a lone label is a batch of one; the gain is the challenger's."""
    *said, ours, theirs = case
    truth = joined(*said)
    assert (truth.joined, truth.unusable) == (1, 0)
    assert only(truth.champion_accuracy) == ours
    assert only(truth.challenger_accuracy) == theirs
    assert only(truth.accuracy_gain) == (theirs - ours + 1) / 2


UNUSABLE = [
    ("number", [1], [1], "1"),
    ("number", [1], [1], None),
    ("number", [1], [1], {"a": 1}),
    ("number", [1], [1], nan),
    ("number", [1], [1], inf),
    ("number", [1], [1], [1, 1]),
    ("number", [1, 2], [1, 2], 1),
    ("number", [1, 2], [1], [1, 2]),
    ("number", [1, 2], [1, 2], [1, "a"]),
    ("number", [], [], []),
    ("number", [None], [1], 1),
    ("number", [True], [1], 1),
    ("text", ["a"], ["a"], 1),
    ("text", [1], ["a"], "a"),
    ("label", ["a"], ["a"], nan),
    ("label", ["a"], ["a"], "\ud800"),
    ("label", ["a"], ["a"], []),
    ("vector", [[1, 2]], [[1, 2]], 2),
    ("vector", [[1, 2]], [[1, 2]], -1),
    ("vector", [[1, 2]], [[1, 2]], 0.5),
    ("vector", [[1, 2]], [[1, 2]], HUGE),
    ("vector", [[1, 2]], [[1, 2]], nan),
    ("vector", [[1, 2]], [[1, 2]], "a"),
    ("vector", [[1, 2]], [[1, 2]], None),
    ("vector", [[1, 2, 3]], [[1, 2, 3]], True),
    ("vector", [[1, 2]], [[1, 2]], [1, 2, 3]),
    ("vector", [[1, 2]], [[1, 2]], [1, HUGE]),
    ("vector", [[0.2, 0.8]], [[0.2, 0.8]], [0, 1, 0]),
    ("vector", [{"a": 0.2, "b": 0.8}], [{"a": 0.2, "b": 0.8}], {"a": 0, "c": 1}),
    ("vector", [{"a": [1, 2], "b": 3}], [{"a": [1, 2], "b": 3}], "a"),
    ("vector", [[1, 2]], [[1, 2, 3]], 1),
    ("vector", [{"a": 1, "b": 2}], [{"a": 1, "b": 2}], "c"),
    ("vector", [{"a": 1, "b": 2}], [{"a": 1, "b": 2}], {"a": 1}),
    ("vector", [[[1, 2], [3, 4]]], [[[1, 2], [3, 4]]], 1),
    ("vector", [["a"]], [["a"]], 0),
    ("vector", [{}], [{}], "a"),
    ("unknown", [1], [1], 1),
]


@pytest.mark.parametrize(("kind", "champion", "challenger", "label"), UNUSABLE, ids=range(len(UNUSABLE)))
def test_a_label_that_fits_in_no_way_is_unusable(kind, champion, challenger, label):
    """It is counted, and says nothing else."""
    assert joined(kind, champion, challenger, label) == Truth(unusable=1)


@pytest.mark.parametrize("text", [b"", b"[1", b"[\xff]", b'["\xff"]', b"1", b"[" * 5000 + b"]" * 5000])
def test_a_broken_record_is_unusable(text):
    """Whatever a store gives back."""
    broken = Record("id", "gbm", "", 0.0, "number", 0.0, 1.0, msgspec.Raw(text), msgspec.Raw(b"[1]"))
    assert join(broken, Feedback(1)) == Truth(unusable=1)


BRIER = [
    ("number", [0.8], [0.4], 1, 0.04, 0.36),
    ("number", [0.8], [0.4], False, 0.64, 0.16),
    ("number", [0.8, 0.1], [1, 0], [1, 0.0], 0.025, 0.0),
    ("number", [0.8], [1.1], 1, None, None),
    ("number", [0.8], [-0.1], 1, None, None),
    ("number", [0.8], [0.4], 0.5, None, None),
    ("number", [0.8, 0.5], [0.8, 0.5], [1, 2], None, None),
    ("vector", [[0.2, 0.8]], [[1, 0]], 1, 0.04, 1.0),
    ("vector", [[0.2, 0.8]], [[1, 0]], [[0, 1]], 0.04, 1.0),
    ("vector", [[0.5, 0.3, 0.2]], [[0, 0, 1]], 2, 0.49, 0.0),
    ("vector", [[0.2, 0.8], [0.2, 0.8]], [[1, 0], [1, 0]], [1, 0], 0.34, 0.5),
    ("vector", [{"cat": 0.9, "dog": 0.1}], [{"cat": 0.4, "dog": 0.6}], "dog", 0.81, 0.16),
    ("vector", [[0.333, 0.333, 0.333]], [[0.3, 0.3, 0.4]], 0, 0.3333, 0.37),
    ("vector", [[0.2, 0.8]], [[0.9, 0.8]], 1, None, None),
    ("vector", [[0.2, 0.8]], [[-0.5, 1.5]], 1, None, None),
    ("label", ["cat"], ["dog"], "cat", None, None),
    ("text", ["cat"], ["dog"], "cat", None, None),
]


@pytest.mark.parametrize("case", BRIER, ids=range(len(BRIER)))
def test_the_brier_score_is_there_where_both_legs_tell_probabilities(case):
    """Divided by its largest value, a batch's as a mean; it is a loss: the gain is the champion's minus the challenger's."""
    *said, ours, theirs = case
    truth = joined(*said)
    assert truth.joined == 1
    found = [only(one) for one in (truth.champion_brier, truth.challenger_brier, truth.brier_gain)]
    assert found == [ours, theirs, None if ours is None else pytest.approx((ours - theirs + 1) / 2, abs=5e-5)]


ERRORS = [
    ([1.5], [3], 1, 0.5, 2, (0.5 - 1 + 1) / 2),
    ([1.5], [1.25], 1, 0.5, 0.25, (0.5 - 0.25 + 1) / 2),
    ([1, 4], [1, 2], [1, 2], 1, 0, 1.0),
    ([9], [1], 1.0, 8, 0, 1.0),
]


@pytest.mark.parametrize("case", ERRORS)
def test_the_absolute_error_is_there_for_numbers(case):
    """Exactly in its sum, a batch's as a mean; as a gain it counts as at most 1."""
    *said, ours, theirs, gain = case
    truth = joined("number", *said)
    assert (truth.errors, truth.champion_error_sum, truth.challenger_error_sum) == (1, units(ours), units(theirs))
    assert only(truth.error_gain) == gain


@pytest.mark.parametrize(
    ("champion", "challenger", "label"), [([HUGE], [0], 0), ([1.7e308, 1.7e308], [0, 0], [0, 0]), ([0], [0], HUGE)]
)
def test_an_error_beyond_doubles_is_in_no_sum(champion, challenger, label):
    """As a gain it counts like any other that is large."""
    truth = joined("number", champion, challenger, label)
    assert (truth.joined, truth.errors, truth.champion_error_sum) == (1, 0, 0)
    assert only(truth.error_gain) == (0.5 if label == HUGE else 1.0)


@pytest.mark.parametrize(("kind", "said", "label"), [("label", [1], 1), ("number", [1], True), ("vector", [[1, 2]], 0)])
def test_no_absolute_error_of_what_is_no_number(kind, said, label):
    """Neither of labels and vectors, nor against true and false."""
    truth = joined(kind, said, said, label)
    assert truth.joined == 1
    assert (truth.errors, truth.error_gain) == (0, {})


@pytest.mark.parametrize(("agreement", "agreed"), [(1.0, 1), (0.99999, 0), (0.0, 0)])
def test_a_reward_is_the_champion_s(agreement, agreed):
    """Summed exactly, and again where both legs agreed entirely."""
    truth = join(record("label", ["a"], ["a"], agreement=agreement), Feedback(reward=-0.25))
    expected = Truth(joined=1, rewarded=1, reward_sum=units(-0.25))
    expected.agreed, expected.agreed_reward_sum = agreed, agreed * units(-0.25)
    assert truth == expected


@pytest.mark.parametrize("reward", [nan, inf, -inf, HUGE, True, "1", [1]])
def test_a_reward_that_is_no_finite_number_is_unusable(reward):
    """It is counted, and says nothing else."""
    assert join(record("label", ["a"], ["a"]), Feedback(reward=reward)) == Truth(unusable=1)


def test_a_label_and_a_reward_together_are_joined_once():
    """Each is used, or counted as unusable, by itself."""
    both = join(record("label", ["a"], ["a"], agreement=1.0), Feedback("a", 2))
    assert (both.joined, both.unusable, both.rewarded, only(both.champion_accuracy)) == (1, 0, 1, 1.0)
    half = join(record("number", [1], [1]), Feedback("a", 2))
    assert (half.joined, half.unusable, half.rewarded, half.champion_accuracy) == (1, 1, 1, {})
    none = join(record("number", [1], [1]), Feedback("a", nan))
    assert (none.joined, none.unusable) == (0, 2)


def test_feedback_that_says_nothing_adds_nothing():
    """A label of null says something; no label and no reward do not."""
    assert join(record("number", [1], [1]), Feedback()) == Truth()
    assert join(record("label", [None], [1]), Feedback(None)).joined == 1


KINDS = st.sampled_from(["number", "label", "vector", "text", "?"])
SAID = st.lists(VALUE, max_size=3)
PROBABILITIES = (
    st.lists(st.integers(0, 100), min_size=2, max_size=6)
    .filter(any)
    .map(lambda parts: [part / sum(parts) for part in parts])
)


def shares(truth):
    names = ("champion_accuracy", "challenger_accuracy", "accuracy_gain", "champion_brier", "challenger_brier")
    return [getattr(truth, name) for name in (*names, "brier_gain", "error_gain")]


@MANY
@given(st.builds(record, KINDS, SAID, SAID, st.floats(0, 10)), VALUE, VALUE)
def test_nothing_is_raised_and_all_shares_are_shares(pair, label, reward):
    """Whatever the legs said and the feedback is: a pair counts once at most."""
    truth = join(pair, Feedback(label, reward))
    for histogram in shares(truth):
        assert sum(histogram.values()) <= 1
        assert all(0 <= key <= 10_000 for key in histogram)
    assert 1 <= truth.joined + truth.unusable <= 2


@MANY
@given(st.sampled_from(["number", "label", "vector", "text"]), SAID, SAID, VALUE)
def test_exchanging_the_legs_exchanges_all_figures(kind, champion, challenger, label):
    """And turns the gains around."""
    one, other = joined(kind, champion, challenger, label), joined(kind, challenger, champion, label)
    assert one.champion_accuracy == other.challenger_accuracy
    assert one.champion_brier == other.challenger_brier
    assert one.champion_error_sum == other.challenger_error_sum
    for gain, back in ((one.accuracy_gain, other.accuracy_gain), (one.error_gain, other.error_gain)):
        assert sorted(gain) == [pytest.approx(10_000 - key, abs=1) for key in back]


@QUICK
@given(PROBABILITIES, st.data())
def test_the_brier_score_is_numpy_s(said, data):
    """The squared distance from the class, over 2."""
    place = data.draw(st.integers(0, len(said) - 1))
    expected = float(np.sum((np.array(said) - np.eye(len(said))[place]) ** 2)) / 2
    truth = joined("vector", [said], [said], place)
    assert only(truth.champion_brier) == pytest.approx(expected, abs=1e-4)
    assert only(truth.champion_accuracy) == float(np.argmax(said) == place)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=8))
def test_truth_is_the_same_in_any_order(rows):
    """Merged pair by pair, forwards and backwards."""
    truths = [joined("number", [one], [other], label) for one, other, label in rows]
    totals = []
    for order in (truths, truths[::-1]):
        total = Truth()
        for one in order:
            merged(total, one)
        totals.append(total)
    assert totals[0] == totals[1]
    assert totals[0].joined == len(rows)
    assert totals[0].challenger_accuracy.get(grain(1.0), 0) == sum(other == label for _, other, label in rows)
