"""How many samples a decision still needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.needed import MOST, needed
from tests.challenge.simulations import QUICK


@QUICK
@given(st.integers(1, MOST // 100), st.floats(1.001, 100))
def test_as_many_as_are_missing(samples, factor):
    """A decision that comes with so many times the samples needs the difference, to a hundredth."""
    found = needed(samples, lambda times: times >= factor)
    assert found is not None
    assert factor * samples <= samples + found <= factor * samples * 1.011 + 1


def test_what_is_decided_needs_none():
    """Nothing more is needed where the decision is there."""
    assert needed(10, lambda _: True) == 0


@pytest.mark.parametrize("samples", [1, 1_000_000, MOST - 1, MOST, 2 * MOST])
def test_never(samples):
    """What the largest number of samples would not decide has no estimate."""
    assert needed(samples, lambda _: False) is None


@pytest.mark.parametrize("samples", [MOST, 3 * MOST])
def test_the_cap_is_on_all_samples(samples):
    """Past the cap there is no estimate, though more samples would decide."""
    assert needed(samples, lambda times: times > 1) is None


def test_nothing_says_nothing():
    """Without samples nobody can say."""
    assert needed(0, lambda _: True) is None
