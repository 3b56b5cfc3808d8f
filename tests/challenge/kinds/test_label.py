"""Labels: which are the same, and the confusion matrix that they make."""

from __future__ import annotations

import json
from math import inf, nan

import msgspec
import pytest
from hypothesis import example, given

from extproc.challenge.kinds.label import text_of_label
from extproc.expr import compile_expression
from extproc.protocol import Member, NotPredictions, vote
from extproc.protocol.predictions import unwrap
from tests.challenge.legs import MANY, compared, evidence
from tests.protocol.bodies import VALUE, v1

SAME = compile_expression("a == b", ("a", "b"))
EQUAL = [
    (1, 1.0),
    (0.0, -0.0),
    (10**20, 1e20),
    (2**70, 2.0**70),
    (int(1e308), 1e308),
    ([1, 2.0], [1.0, 2]),
    ({"a": 1, "b": [1.0]}, {"b": [1], "a": 1.0}),
    (None, None),
    ("é", "é"),
]
OTHERS = [
    (1, True),
    (0, False),
    (1, "1"),
    (None, "null"),
    (None, False),
    (2**53, 2**53 + 1),
    (2**53 + 1, 2.0**53),
    ("a", "A"),
    ("a", "a "),
    ([1], 1),
    ([1, 2], [2, 1]),
    ({"a": 1}, {"a": True}),
    ({"a": 1}, ["a", 1]),
    ({}, []),
    (0.1, 0.1 + 1e-17 + 2e-17),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=range(len(EQUAL)))
def test_labels_are_the_same(one, other):
    """By value, however their numbers are written and their fields are ordered."""
    assert text_of_label(one) == text_of_label(other)


@pytest.mark.parametrize(("one", "other"), OTHERS, ids=str)
def test_labels_are_not_the_same(one, other):
    """True is no 1, a number is no text, and integers are exact."""
    assert text_of_label(one) != text_of_label(other)


@MANY
@given(VALUE, VALUE)
@example([True], [1])
@example({"a": 2}, {"a": 2.0})
def test_labels_are_the_same_where_expressions_and_votes_say_so(one, other):
    """A vote of two labels against a third that weighs more than each alone is won by them if they are the same."""
    one, other = unwrap(one), unwrap(other)
    same = text_of_label(one) == text_of_label(other)
    assert same is SAME({"a": one, "b": other})
    ballots: list[Member] = [(v1([said, 0]), "v1", weight) for said, weight in ((one, 2), ("neither", 3), (other, 2))]
    assert same is (json.loads(vote(ballots))["predictions"][0] != "neither")


@pytest.mark.parametrize(
    "value", [nan, inf, [nan], "\ud800", object(), {1: 2}, {"a": object()}, 10**5000], ids=range(8)
)
def test_what_is_no_json_is_no_label(value):
    """NaN, infinities, half a character, keys that are no text, and integers that nobody writes."""
    with pytest.raises(NotPredictions):
        text_of_label(value)


def test_labels_fill_the_confusion_matrix():
    """A cell for each pair of labels, the champion's first, named by their JSON texts."""
    found = evidence(compared(["cat", "cat", "dog"], ["cat", "dog", "dog"]), compared(["cat"], ["dog"]))
    assert found.confusion == {'["cat","cat"]': 1, '["cat","dog"]': 2, '["dog","dog"]': 1}
    mixed = evidence(compared([1, True, None, 2.0, "a"], [1.0, 1, 0.5, 2, {"b": 1, "a": "é"}], kind="label"))
    assert list(mixed.confusion) == ["[1,1]", "[true,1]", "[null,0.5]", "[2,2]", '["a",{"a":"é","b":1}]']
    assert [msgspec.json.decode(name)[0] for name in mixed.confusion] == [1, True, None, 2, "a"]
