"""Rates: bounds that hold however often one looks, at any number of trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from extproc.challenge.rates import PRIOR, log_above, log_below, log_evidence, low, two_sided
from tests.challenge.simulations import QUICK, allowed, events, least, most

ENOUGH = -math.log(0.05)
# What confseq 0.0.11 (Howard et al., the authors' own library) says: beta_binomial_log_mixture with g = h = 1/2 and the
# v_opt for which its prior is beta(1/2, 1/2); events, trials, two-sided, one-sided.
CONFSEQ = [
    (0, 1, 0.0, -1.012305533877254),
    (1, 1, 0.0, 0.4926330004066005),
    (7, 10, -0.5823328142196573, 0.0032119193421623615),
    (3, 10, -0.5823328142196573, -2.1718163649841347),
    (60, 100, -0.5173944830150952, 0.15301772719052897),
    (540, 1_000, -0.4764979640836906, 0.21094548931109947),
    (460, 1_000, -0.4764979640836906, -4.952836720787375),
    (5_100, 10_000, -2.830853190638762, -2.1607161568456816),
    (501_500, 1_000_000, -2.6335401317283944, -1.9417437522572967),
    (50_003_000, 100_000_000, -9.256131667289182, -8.883538460046383),
]
# With 50 digits, by quadrature (mpmath): events, trials, rate, two-sided, one-sided.
EXACT = [
    (1, 1, 0.5, 0.0, 0.4926330004066005),
    (3, 10, 0.1, 0.13147426876781274, 0.32881602083004857),
    (10, 10, 0.9, -0.682547140018189, 0.7503838316242021),
    (0, 20, 0.01, -1.8754737120773581, -2.4568787292478484),
    (30, 1_000, 0.01, 9.480579098082325, 9.546471551647167),
    (12, 1_000, 0.01, -3.49338507159873, -3.7183545941284417),
    (970, 1_000, 0.95, 1.2031115030869515, 3.143107114787519),
    (5_100, 10_000, 0.5, -2.8308531906308723, -2.160716156837911),
    (10_300, 1_000_000, 0.01, -2.6324285769420355, -2.567877936332917),
    (950_500, 1_000_000, 0.95, -4.493616479453095, -2.563523289583059),
    (1_000_400, 100_000_000, 0.01, -9.355334350162574, -9.710709812934002),
    (50_003_000, 100_000_000, 0.5, -9.25613172701291, -8.883538518587411),
    (1, 100_000_000, 1e-09, -8.073267399666783, -8.095912905799457),
    (99_999_999, 100_000_000, 0.9999999, -2.7784371894420485, 5.732023568155756),
]
TRIALS = st.integers(0, 5_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


def by_quadrature(events_, trials, rate):
    """The mixture over the rates above, integrated: the prior in terms of an angle has no poles."""

    def likelihood(angle):
        theta = math.sin(angle) ** 2
        return math.exp(stats.binom.logpmf(events_, trials, theta) - stats.binom.logpmf(events_, trials, rate))

    first, last = math.asin(math.sqrt(rate)), math.pi / 2
    middle = min(max(math.asin(math.sqrt(events_ / trials)), first), last)
    pieces = [integrate.quad(likelihood, *ends, limit=200)[0] for ends in ((first, middle), (middle, last))]
    return math.log(sum(pieces) / (last - first))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.95])
def test_false_alarms(rate):
    """Of 10,000 streams watched at each of 800 steps no more than alpha ever show more, or less, than their rate."""
    seen = events(11, rate, 800)
    above = least(800, lambda count, trials: log_above(count, trials, rate) >= ENOUGH)
    below = most(800, lambda count, trials: log_below(count, trials, rate) >= ENOUGH)
    assert (seen >= above).any(axis=1).sum() <= allowed(0.05)
    assert (seen <= below).any(axis=1).sum() <= allowed(0.05)


def test_two_sided_false_alarms():
    """Of 10,000 streams watched at each of 60 steps no more than alpha are ever outside their two-sided bounds."""
    seen = events(12, 0.3, 60)
    above = least(60, lambda count, trials: two_sided(count, trials, 0.1)[0] > 0.3)
    below = most(60, lambda count, trials: two_sided(count, trials, 0.1)[1] < 0.3)
    assert 0 < ((seen >= above) | (seen <= below)).any(axis=1).sum() <= allowed(0.1)


def test_less_than_the_rate_raises_fewer():
    """Streams whose rate is below the one in question are no evidence for more."""
    above = least(800, lambda count, trials: log_above(count, trials, 0.1) >= ENOUGH)
    assert (events(13, 0.07, 800) >= above).any(axis=1).sum() <= allowed(0.05) / 4
    assert (events(13, 0.2, 800) >= above).any(axis=1).mean() > 0.95


@pytest.mark.parametrize(("count", "trials", "both", "above"), CONFSEQ)
def test_the_authors_library_agrees(count, trials, both, above):
    """Two-sided and one-sided evidence are those of the authors' own implementation, up to a hundred million trials."""
    assert log_evidence(count, trials, 0.5) == pytest.approx(both, abs=1e-6)
    assert log_above(count, trials, 0.5) == pytest.approx(above, abs=1e-6)
    assert log_below(trials - count, trials, 0.5) == pytest.approx(above, abs=1e-6)


@pytest.mark.parametrize(("count", "trials", "rate", "both", "above"), EXACT)
def test_exact_to_a_hundred_million(count, trials, rate, both, above):
    """Evidence is that of 50 digits to a millionth, for rates near 0 and 1 too."""
    assert log_evidence(count, trials, rate) == pytest.approx(both, abs=1e-6)
    assert log_above(count, trials, rate) == pytest.approx(above, abs=1e-6)


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.9])
@pytest.mark.parametrize(("count", "trials"), [(0, 7), (1, 1), (3, 20), (19, 20), (120, 400)])
def test_evidence_is_the_mixture(count, trials, rate):
    """The evidence for more is the likelihood averaged over the larger rates, over that of the rate."""
    assert log_above(count, trials, rate) == pytest.approx(by_quadrature(count, trials, rate), abs=1e-6)


def test_too_little_to_tell():
    """Evidence that no float can hold counts as none."""
    assert log_above(12, 400, 0.9) == -math.inf
    assert by_quadrature(12, 400, 0.9) < 0


@QUICK
@given(TRIALS, st.sampled_from([0.2, 0.05, 0.001]))
def test_bounds_are_around_the_rate(seen, alpha):
    """The rate that was seen lies within the bounds, and these within 0 and 1."""
    count, trials = seen
    below, above = two_sided(count, trials, alpha)
    assert 0 <= below <= above <= 1
    assert trials == 0 or below <= count / trials <= above
    assert (below == 0) == (count == 0)
    assert (above == 1) == (count == trials)


@QUICK
@given(TRIALS, st.floats(1e-4, 0.9999), st.floats(1e-4, 0.9999))
def test_enough_against_a_rate_is_enough_against_less(seen, one, other):
    """What shows that a rate is larger than one bound shows that it is larger than any smaller one."""
    (count, trials), (smaller, larger) = seen, sorted((one, other))
    if log_above(count, trials, larger) >= ENOUGH:
        assert log_above(count, trials, smaller) >= ENOUGH


@QUICK
@given(TRIALS, st.sampled_from([0.2, 0.05, 0.001]))
def test_a_bound_is_where_evidence_ends(seen, alpha):
    """The evidence against the lower bound is enough, and a little above it is not."""
    count, trials = seen
    bound = low(count, trials, alpha)
    assert bound == 0 or log_above(count, trials, bound) >= -math.log(alpha)
    assert log_above(count, trials, bound + 1e-9) < -math.log(alpha)


@pytest.mark.parametrize("trials", [1, 1_000, 100_000_000])
def test_never_and_always(trials):
    """What never happened has a rate from 0 on, what always did up to 1, and the other bound nears it as trials grow."""
    below, above = two_sided(0, trials, 0.05)
    assert below == 0.0
    assert above < min(5.0 / trials, 1.0)
    assert two_sided(trials, trials, 0.05) == pytest.approx((1 - above, 1.0), abs=1e-12)


def test_without_trials_nothing_is_known():
    """No trials are no evidence against any rate."""
    assert two_sided(0, 0, 0.05) == (0.0, 1.0)
    assert log_above(0, 0, 0.3) == pytest.approx(0, abs=1e-12)
    assert log_evidence(0, 0, 0.0) == 0


def test_the_ends():
    """A rate of 0 is out of the question after an event, and nothing is more than 1."""
    assert log_above(1, 10, 0.0) == math.inf
    assert log_above(0, 10, 0.0) == 0
    assert log_above(10, 10, 1.0) == 0
    assert log_below(9, 10, 1.0) == math.inf
    assert log_below(0, 10, 0.0) == 0


@pytest.mark.parametrize(("rate", "trials"), [(0.002, 2_000), (0.05, 400)])
def test_finds_a_difference(rate, trials):
    """A rate of 0.2 % is shown to be below 1 % in 2,000 trials, and one of 5 % to be above in 400."""
    chance = np.random.default_rng(5)
    shown = log_below if rate < 0.01 else log_above
    found = [shown(int(count), trials, 0.01) >= ENOUGH for count in chance.binomial(trials, rate, 100)]
    assert sum(found) >= 90


def test_the_prior_is_jeffreys():
    """The mixture that the tables were made with."""
    assert PRIOR == 0.5
