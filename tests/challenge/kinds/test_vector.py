"""Vectors: their largest difference, their cosine, and when they agree."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from extproc.challenge.histogram import bucket, grain
from extproc.challenge.kinds import vector
from tests.challenge.legs import FINITE, MANY, compared, evidence

BIG = 1.7e308
SIDES = st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(FINITE, min_size=n, max_size=n)] * 2))
MODEST = st.floats(-1e6, 1e6).filter(lambda one: not one or abs(one) > 1e-6)
MODEST_SIDES = st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(MODEST, min_size=n, max_size=n)] * 2))

COSINES = [
    ([1.0, 0.0], [1.0, 0.0], 1.0),
    ([1.0, 0.0], [0.0, 1.0], 0.0),
    ([1.0, 2.0], [-2.0, -4.0], -1.0),
    ([3.0, 4.0], [4.0, 3.0], 0.96),
    ([BIG, BIG], [BIG, BIG], 1.0),
    ([BIG, 0.0], [-BIG, 0.0], -1.0),
    ([5e-324, 0.0], [5e-324, 0.0], 1.0),
    ([1e-200, 1e-200], [1e200, 1e200], 1.0),
    ([0.0, 0.0], [0.0, 0.0], None),
    ([0.0, 0.0], [1.0, 0.0], None),
    ([], [], None),
    ([nan, 1.0], [1.0, 1.0], None),
    ([inf, 1.0], [1.0, 1.0], None),
]


@pytest.mark.parametrize(("one", "other", "cosine"), COSINES, ids=str)
def test_the_cosine_of_two_vectors(one, other, cosine):
    """Of any size; none where one has no direction."""
    found = vector.cosine(one, other)
    assert found == (cosine if cosine is None else pytest.approx(cosine, rel=1e-15))
    assert vector.cosine(other, one) == found


@MANY
@given(MODEST_SIDES)
def test_the_cosine_is_numpy_s(sides):
    """To the rounding of doubles."""
    one, other = map(np.array, sides)
    assume(np.any(one) and np.any(other))
    expected = np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
    assert vector.cosine(*sides) == pytest.approx(expected, abs=1e-12)


@MANY
@given(SIDES)
@example(([BIG], [-BIG]))
def test_the_largest_difference_is_numpy_s(sides):
    """None where that is infinite."""
    one, other = map(np.array, sides)
    with np.errstate(over="ignore"):
        expected = np.max(np.abs(other - one))
    assert vector.furthest(*sides) == (expected if np.isfinite(expected) else None)


@MANY
@given(SIDES, st.floats(0, 1e300))
def test_figures_are_symmetric_and_in_their_ranges(sides, tolerance):
    """Whoever is the champion."""
    one, other = sides
    cosine = vector.cosine(one, other)
    assert cosine is None or -1.0 <= cosine <= 1.0
    assert vector.cosine(other, one) == cosine
    assert vector.furthest(other, one) == vector.furthest(one, other)
    assert vector.agree(other, one, tolerance) is vector.agree(one, other, tolerance)


AGREED = [
    ([1.0, 1.0], [1.0, 1.05], 0.05, True),
    ([1.0, 1.0], [1.051, 1.0], 0.05, False),
    ([1e9, 1.0], [1e9, 1.0500001], 0.05, False),
    ([0.3], [0.1 + 0.2], 0.0, False),
    ([0.0], [-0.0], 0.0, True),
    ([], [], 0.0, True),
    ([nan], [nan], 1.0, False),
    ([BIG], [-BIG], 1e308, False),
]


@pytest.mark.parametrize(("one", "other", "tolerance", "agreed"), AGREED, ids=str)
def test_vectors_agree_when_every_component_does(one, other, tolerance, agreed):
    """Each with the rounding of its own size, not of the largest's."""
    assert vector.agree(one, other, tolerance) is agreed
    assert vector.agree(other, one, tolerance) is agreed


def test_vectors_are_counted_by_difference_and_cosine():
    """What has no difference, no finite one, or no direction is in no histogram of it."""
    champion = [[1, 0], [0, 0], [3, 4], [BIG, 1]]
    challenger = [[0, 1], [0, 0], [3, 4], [-BIG, 1]]
    found = compared(champion, challenger, tolerance=0.5)
    summed = evidence(found)
    assert found.agreement == 0.5
    assert summed.furthest == {bucket(1): 1}
    assert (summed.same_vectors, summed.boundless) == (2, 1)
    assert summed.cosine == {grain(0.5): 1, grain(1.0): 1, grain(0.0): 1}


def test_objects_are_vectors_whatever_the_order_of_their_fields():
    """Component by component, by name."""
    found = compared([{"a": 1, "b": 2}], [{"b": 2, "a": 1}])
    assert (found.kind, found.agreement) == ("vector", 1.0)


def test_a_batch_of_lists_and_scalars_is_compared_by_structure():
    """Nested lists are flattened in order."""
    found = compared([[[1, 2], [3, 4]], 5], [[[1, 2], [3, 4.5]], 5])
    assert found.agreement == 0.5
    assert evidence(found).furthest == {bucket(0.5): 1}
