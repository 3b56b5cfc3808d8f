"""The test of the sampling ratio."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.rates import log_evidence
from extproc.challenge.sampling import sampling
from tests.challenge.simulations import QUICK, allowed, events, least, most


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.9])
def test_false_alarms(share):
    """Of 10,000 streams watched at each of 800 steps no more than alpha ever raise an alarm."""
    seen = events(31, share, 800)
    above = least(800, lambda count, n: count > share * n and sampling(count, n - count, share, 0.05).mismatch)
    below = most(800, lambda count, n: count < share * n and sampling(count, n - count, share, 0.05).mismatch)
    assert 0 < ((seen >= above) | (seen <= below)).any(axis=1).sum() <= allowed(0.05)


@pytest.mark.parametrize(("share", "true", "requests"), [(0.25, 0.3, 2_500), (0.25, 0.2, 2_500), (0.01, 0.02, 5_000)])
def test_finds_a_difference(share, true, requests):
    """A share that is not the configured one raises an alarm in 19 of 20 cases."""
    chance = np.random.default_rng(32)
    counts = chance.binomial(requests, true, 100).tolist()
    assert sum(sampling(count, requests - count, share, 0.05).mismatch for count in counts) >= 95


@pytest.mark.parametrize(("expected", "sampled", "unsampled"), [(0.0, 1, 10), (1.0, 10, 1), (0.0, 10**8, 0)])
def test_what_cannot_be_is_a_mismatch(expected, sampled, unsampled):
    """A single request sampled at 0 %, or not at 100 %, is an alarm, with an e-value that is a number."""
    found = sampling(sampled, unsampled, expected, 0.05)
    assert found.mismatch
    assert 1e300 < found.e_value < math.inf
    assert "Infinity" not in json.dumps(found.e_value)


@pytest.mark.parametrize("requests", [0, 1, 10**8])
def test_none_and_all(requests):
    """None sampled at 0 %, and all at 100 %, are as it should be."""
    for found in (sampling(0, requests, 0.0, 0.05), sampling(requests, 0, 1.0, 0.05)):
        assert not found.mismatch
        assert 0 < found.e_value <= 1 + 1e-12


def test_what_is_told():
    """The share that was sampled, the one that was expected, and of how many requests."""
    found = sampling(30, 70, 0.25, 0.05)
    assert (found.observed, found.expected, found.samples) == (0.3, 0.25, 100)
    assert sampling(0, 0, 0.25, 0.05).observed is None


@QUICK
@given(st.integers(0, 3_000), st.integers(0, 3_000), st.floats(0.01, 0.99), st.floats(0.001, 0.2))
def test_a_mismatch_is_an_e_value_of_one_over_alpha(sampled, unsampled, expected, alpha):
    """The alarm and the e-value say the same."""
    found = sampling(sampled, unsampled, expected, alpha)
    assert found.mismatch == (log_evidence(sampled, sampled + unsampled, expected) >= -math.log(alpha))
    assert found.e_value == pytest.approx(math.exp(min(log_evidence(sampled, sampled + unsampled, expected), 700)))
