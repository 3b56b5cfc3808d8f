"""The mean of shares: bounds that hold however often one looks, and are near enough to decide something."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.challenge.histogram import GRAINS
from extproc.challenge.means import BETS, KNOTS, STEPS, Shares, high, log_wealth, low, two_sided
from tests.challenge.simulations import QUICK, WEIGHTS, allowed, drawn, ever, histogram_of, mean_of

HISTOGRAMS = st.dictionaries(st.integers(0, GRAINS), st.integers(1, 2000), max_size=12)
ALPHAS = st.sampled_from([0.2, 0.05, 0.025, 0.001])
# Probability by grain.
DISTRIBUTIONS = {
    "agreement of single predictions": {0: 0.03, 10_000: 0.97},
    "even": {0: 0.5, 10_000: 0.5},
    "seldom": {0: 0.98, 10_000: 0.02},
    "batches": {7_500: 0.05, 8_750: 0.15, 10_000: 0.8},
    "gains": {0: 0.05, 5_000: 0.9, 10_000: 0.05},
    "fractions": {100: 0.1, 2_345: 0.2, 5_001: 0.3, 6_789: 0.2, 9_000: 0.2},
}


def of(histogram):
    return Shares.of(histogram)


def written_down(samples, mean):
    """The definition, a sample at a time: the weighted mean of the bets' products."""
    total = 0.0
    for bet, weight in zip(BETS, WEIGHTS, strict=True):
        wealth = 1.0
        for sample in samples:
            wealth *= 1 + bet * (sample / mean - 1)
        total += weight * wealth
    return math.log(total)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("mirrored", [False, True], ids=["above", "below"])
def test_false_alarms(name, mirrored):
    """Of 10,000 streams watched at each of 300 steps no more than alpha ever have enough evidence against their mean."""
    shares = DISTRIBUTIONS[name]
    indices = drawn(7, shares, 300)
    wrong = ever(shares, indices, mean_of(shares), 0.05, mirrored=mirrored)
    assert wrong.sum() <= allowed(0.05)


def test_a_false_mean_raises_alarms():
    """The simulation sees what it is to see: against a mean that is not theirs most streams have evidence."""
    shares = DISTRIBUTIONS["gains"]
    assert ever(shares, drawn(7, shares, 400), 0.44, 0.05).mean() > 0.9


@QUICK
@given(st.lists(st.integers(0, GRAINS), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_wealth_is_what_the_paper_says(grains, mean):
    """The wealth from a histogram is the product over the samples in their order, averaged over the bets."""
    shares = of(histogram_of(grains))
    samples = [grain / GRAINS for grain in grains]
    assert log_wealth(shares.growth(mean)) == pytest.approx(written_down(samples, mean), abs=1e-9)
    mirrored = written_down([1 - sample for sample in samples], 1 - mean)
    assert log_wealth(shares.mirrored.growth(1 - mean)) == pytest.approx(mirrored, abs=1e-9)


@QUICK
@given(HISTOGRAMS, ALPHAS)
def test_a_bound_is_where_evidence_ends(histogram, alpha):
    """The evidence against the lower bound is enough, and against the next step it is not."""
    shares = of(histogram)
    bound = low(shares, alpha)
    assert bound == 0 or log_wealth(shares.growth(bound)) >= -math.log(alpha)
    assert log_wealth(shares.growth(bound + 1 / STEPS)) < -math.log(alpha)


@QUICK
@given(HISTOGRAMS, st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_wealth_falls_with_the_mean(histogram, one, other):
    """There is no less evidence against a smaller mean."""
    smaller, larger = sorted((one, other))
    shares = of(histogram)
    assert log_wealth(shares.growth(smaller)) >= log_wealth(shares.growth(larger)) - 1e-9


@QUICK
@given(HISTOGRAMS, ALPHAS)
def test_bounds_are_around_the_mean(histogram, alpha):
    """The mean of what was seen lies within the bounds, and these within 0 and 1."""
    total = sum(histogram.values())
    mean = sum(grain * times for grain, times in histogram.items()) / total / GRAINS if total else 0.5
    below, above = two_sided(of(histogram), alpha)
    assert 0 <= below <= mean + 1e-12
    assert mean - 1e-12 <= above <= 1
    assert (below, above) == (low(of(histogram), alpha / 2), high(of(histogram), alpha / 2))


@QUICK
@given(HISTOGRAMS, ALPHAS)
def test_order_means_nothing(histogram, alpha):
    """A histogram built in another order has the same bounds, to the last bit."""
    backwards = dict(sorted(histogram.items(), reverse=True))
    assert two_sided(of(histogram), alpha) == two_sided(of(backwards), alpha)


@QUICK
@given(HISTOGRAMS, ALPHAS)
def test_what_is_left_to_one_mirrors_the_bounds(histogram, alpha):
    """The bounds of the rest to 1 are the rest to 1 of the bounds."""
    below, above = two_sided(of(histogram), alpha)
    rest = of({GRAINS - grain: times for grain, times in histogram.items()})
    assert two_sided(rest, alpha) == pytest.approx((1 - above, 1 - below), abs=2 / STEPS)


@pytest.mark.parametrize("histogram", [{}, {5_000: 0}])
def test_nothing_is_known_of_nothing(histogram):
    """Without samples the bounds are 0 and 1."""
    assert two_sided(of(histogram), 0.05) == (0.0, 1.0)


@pytest.mark.parametrize("samples", [10, 1_000, 1_000_000, 100_000_000])
def test_all_equal(samples):
    """Equal samples have a mean near them, the nearer the more there are, and 0 and 1 are bounds where they are seen."""
    ones, zeros, halves = (two_sided(of({grain: samples}), 0.05) for grain in (GRAINS, 0, GRAINS // 2))
    assert ones[1] == 1.0
    assert zeros[0] == 0.0
    assert 1 - ones[0] == pytest.approx(zeros[1], abs=2 / STEPS)
    assert 1 - ones[0] < 6.5 / samples + 2 / STEPS
    assert halves[0] < 0.5 < halves[1]
    assert halves[1] - halves[0] < 8 / samples + 1e-4


def test_the_ends():
    """A mean of 0 is out of the question once there was more; of a mean of 1 nothing is larger."""
    assert log_wealth(of({1: 1}).growth(0.0)) == math.inf
    assert log_wealth(of({0: 9, 1: 0}).growth(0.0)) == pytest.approx(0, abs=1e-12)
    assert log_wealth(of({GRAINS: 1_000}).growth(1.0)) <= 1e-12
    assert log_wealth(of({GRAINS: 1_000}).growth(1.5)) <= 1e-12


@pytest.mark.parametrize(
    ("samples", "half"),
    [(10, 0.45), (100, 0.19), (1_000, 0.067), (10_000, 0.0225), (100_000, 0.0074), (1_000_000, 0.0024)],
)
def test_as_narrow_as_promised(samples, half):
    """From 10 samples to a million the bounds are less than 2.5 times as wide as those for one look."""
    below, above = two_sided(of({0: samples // 2, GRAINS: samples // 2}), 0.05)
    assert (above - below) / 2 < half
    assert half < 2.5 * 1.96 * 0.5 / math.sqrt(samples)


@pytest.mark.parametrize(("shown", "samples"), [(0.97, 1_500), (0.9, 150)])
def test_finds_a_difference(shown, samples):
    """An agreement of 0.99 shows itself to be above 0.97 in 1,500 samples, and above 0.9 in 150."""
    chance = np.random.default_rng(3)
    found = [low(of(histogram_of(chance.choice([0, GRAINS], samples, p=[0.01, 0.99]))), 0.05) for _ in range(40)]
    assert sum(bound >= shown for bound in found) >= 38


@settings(QUICK, max_examples=10)
@given(st.integers(0, 2**32), st.floats(0.003, 0.2))
def test_many_distinct_shares(seed, deviation):
    """Where shares are too many to bet on each, the bounds are wider than those of all, and by little."""
    chance = np.random.default_rng(seed)
    grains = np.clip(chance.normal(0.6, deviation, 20_000), 0, 1) * GRAINS
    keys, counts = np.unique(grains.round().astype(int), return_counts=True)
    every = Shares(keys / GRAINS, counts.astype(float))
    histogram = dict(zip(keys.tolist(), counts.tolist(), strict=True))
    some = of(histogram)
    shuffled = {key: histogram[key] for key in chance.permutation(keys).tolist()}
    assert two_sided(of(shuffled), 0.05) == two_sided(some, 0.05)
    assert len(some.shares) <= KNOTS
    assert some.counts.sum() == pytest.approx(20_000)
    assert some.shares @ some.counts == pytest.approx(every.shares @ every.counts)
    (low_every, high_every), (low_some, high_some) = two_sided(every, 0.05), two_sided(some, 0.05)
    assert low_some <= low_every + 1 / STEPS
    assert high_some >= high_every - 1 / STEPS
    assert high_some - low_some <= 1.02 * (high_every - low_every) + 2 / STEPS
