"""Quantiles and their ratio: bounds that hold however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.challenge.histogram import RESOLUTION, bucket, upper
from extproc.challenge.quantiles import Ratio, Sizes
from extproc.challenge.rates import log_above, log_below
from tests.challenge.simulations import QUICK, STREAMS, allowed, events, histogram_of, least, most

HISTOGRAMS = st.dictionaries(st.integers(700, 1_500), st.integers(1, 300), max_size=15)
QUANTILES = st.sampled_from([0.05, 0.5, 0.95, 0.99])
ALPHAS = st.sampled_from([0.2, 0.05, 0.001])


def latencies(seed, samples, middle=20_000.0):
    """Buckets of latencies around 20 ms, in microseconds."""
    chance = np.random.default_rng(seed)
    return histogram_of(bucket(size) for size in chance.lognormal(math.log(middle), 0.5, samples))


def ranks(steps, p, alpha):
    """For each number of samples, which of them in ascending order are the bounds, from 1 on; 0 and n + 1 are none."""
    lows, highs = [], []
    for samples in range(1, steps + 1):
        sizes = Sizes(list(range(1, samples + 1)), list(range(1, samples + 1)))
        low, high = sizes.low(p, alpha), sizes.high(p, alpha)
        lows.append(bucket(low) + 1 if low else 0)
        highs.append(bucket(high) if high < math.inf else samples + 1)
    return lows, highs


@pytest.mark.parametrize("p", [0.5, 0.95])
def test_false_alarms(p):
    """Of 10,000 streams watched at each of 800 steps no more than alpha ever have the quantile outside a bound.

    A bound is beyond the quantile when the count of the samples below it says so, which is how a stream is watched here.
    """
    seen = events(21, p, 800)
    lows = most(800, lambda count, trials: Sizes([1, 2], [count, trials]).low(p, 0.05) >= upper(1))
    highs = least(800, lambda count, trials: Sizes([1, 2], [count, trials]).high(p, 0.05) <= upper(1))
    for wrong in (seen <= lows, seen >= highs):
        assert 0 < wrong.any(axis=1).sum() <= allowed(0.05)


def test_a_ratio_seldom_errs():
    """Of 10,000 pairs of streams of one distribution, watched at each of 120 steps, at most alpha exclude 1."""
    chance = np.random.default_rng(22)
    legs = chance.lognormal(0.0, 0.5, (2, STREAMS, 120)).astype(np.float32)
    lows, highs = ranks(120, 0.5, 0.2)
    wrong = np.zeros((2, STREAMS), dtype=bool)
    for samples in range(1, 121):
        low, high = lows[samples - 1], highs[samples - 1]
        if low == 0 or high > samples:
            continue
        ordered = np.sort(legs[:, :, :samples], axis=2)
        below, above = ordered[:, :, low - 1], ordered[:, :, high - 1]
        wrong |= np.array([below[0] > above[1], above[0] < below[1]])
    assert 0 < wrong[0].sum() <= allowed(0.4)
    assert 0 < wrong[1].sum() <= allowed(0.4)


@settings(QUICK, max_examples=15)
@given(HISTOGRAMS.filter(bool), QUANTILES, ALPHAS)
def test_bounds_are_where_counts_stop_contradicting(histogram, p, alpha):
    """A size is out of bounds when the count of samples up to it is too small, or too large."""
    sizes, total, enough = Sizes.of(histogram), sum(histogram.values()), -math.log(alpha)
    low, high = sizes.low(p, alpha), sizes.high(p, alpha)
    for edge in range(min(histogram) - 2, max(histogram) + 2):
        count = sum(times for bucket_, times in histogram.items() if bucket_ <= edge)
        assert (upper(edge) <= low) == (log_below(count, total, p) >= enough)
        assert (upper(edge) >= high) == (log_above(count, total, p) >= enough)


@QUICK
@given(HISTOGRAMS.filter(bool), QUANTILES, ALPHAS)
def test_bounds_are_around_the_quantile(histogram, p, alpha):
    """The quantile of what was seen lies within the bounds."""
    sizes = Sizes.of(histogram)
    value = sizes.quantile(p)
    assert value is not None
    assert 0 <= sizes.low(p, alpha) < value < sizes.high(p, alpha)


@QUICK
@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=200), QUANTILES)
def test_a_quantile_is_half_a_bucket_off_at_most(samples, p):
    """The quantile is that sample of which a share of p are as small, but for half the width of a bucket."""
    true = sorted(samples)[max(math.ceil(p * len(samples) - 1e-9), 1) - 1]
    found = Sizes.of(histogram_of(bucket(sample) for sample in samples)).quantile(p)
    assert found is not None
    assert abs(math.log(found / true)) <= math.log(RESOLUTION) / 2 + 1e-9


def test_a_rank_is_exact():
    """Rounding moves no rank: of 60 samples the 57th is the 95th percentile."""
    sizes = Sizes.of(dict.fromkeys(range(1, 61), 1))
    assert bucket(sizes.quantile(0.95) or 0) == 57
    assert bucket(sizes.quantile(0.5) or 0) == 30
    assert bucket(sizes.quantile(0.0) or 0) == 1


@QUICK
@given(HISTOGRAMS, QUANTILES, st.integers(2, 5))
def test_times_is_the_same_evidence_again(histogram, p, times):
    """Supposing every sample so many times as often is having it as often."""
    more = Sizes.of({key: count * times for key, count in histogram.items()})
    sizes = Sizes.of(histogram)
    assert sizes.low(p, 0.05, times) == more.low(p, 0.05)
    assert sizes.high(p, 0.05, times) == more.high(p, 0.05)


def test_nothing_is_known_of_nothing():
    """Without samples there is no quantile, and no bound."""
    empty = Sizes.of({})
    assert (empty.total, empty.quantile(0.95), empty.low(0.95, 0.05), empty.high(0.95, 0.05)) == (
        0,
        None,
        0.0,
        math.inf,
    )
    ratio = Ratio(empty, Sizes.of({700: 1}), 0.95)
    assert (ratio.value, ratio.low(0.05), ratio.high(0.05)) == (None, 0.0, math.inf)


def test_few_samples_have_no_upper_bound():
    """Twenty samples say nothing of how large a 95th percentile may be."""
    assert Sizes.of(latencies(1, 20)).high(0.95, 0.05) == math.inf


def test_bounds_close_in():
    """From 1,000 samples to 100,000 the bounds of the 95th percentile come ten times as near."""
    few, many = (Sizes.of(latencies(2, samples)) for samples in (1_000, 100_000))
    true = 20_000 * math.exp(0.5 * 1.6448536)
    widths = [math.log(sizes.high(0.95, 0.025) / sizes.low(0.95, 0.025)) for sizes in (few, many)]
    assert all(sizes.low(0.95, 0.025) < true < sizes.high(0.95, 0.025) for sizes in (few, many))
    assert widths[0] < 0.35
    assert widths[1] < 0.06


@QUICK
@given(HISTOGRAMS, HISTOGRAMS, QUANTILES, ALPHAS)
def test_a_ratio_splits_the_error(challenger, champion, p, alpha):
    """The ratio's bounds are those of the legs, each with half the error, one over the other."""
    mine, theirs = Sizes.of(challenger), Sizes.of(champion)
    ratio = Ratio(mine, theirs, p)
    assert ratio.low(alpha) == mine.low(p, alpha / 2) / theirs.high(p, alpha / 2)
    assert ratio.low(alpha) <= (ratio.value or 0.0) <= ratio.high(alpha)
    if theirs.low(p, alpha / 2) > 0:
        assert ratio.high(alpha) == mine.high(p, alpha / 2) / theirs.low(p, alpha / 2)
    else:
        assert ratio.high(alpha) == math.inf


def test_finds_a_difference():
    """A challenger twice as slow is shown to be above 1.5 times in 3,000 pairs, and one as fast to be below."""
    for seed in range(20):
        champion = Sizes.of(latencies(seed, 3_000))
        slow, same = (Sizes.of(latencies(seed + 100, 3_000, middle)) for middle in (40_000.0, 20_000.0))
        assert Ratio(slow, champion, 0.95).low(0.05) > 1.5
        assert Ratio(same, champion, 0.95).high(0.05) < 1.5
