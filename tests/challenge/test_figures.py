"""The figures of a report, each with its confidence sequence."""

from __future__ import annotations

import math

import pytest

from extproc.challenge import rates
from extproc.challenge.evidence import FAILED, PAIRED, Evidence
from extproc.challenge.figures import Interval, agreement, error_rate, gain, latency, legs, noise, p95_ratio, share
from extproc.challenge.histogram import GRAINS, bucket
from extproc.challenge.means import Shares, two_sided
from extproc.challenge.quantiles import Sizes


def test_a_share():
    """The mean of a histogram of shares, exactly, with its two-sided bounds."""
    histogram = {0: 1, 2_500: 2, GRAINS: 7}
    low, high = two_sided(Shares.of(histogram), 0.05)
    assert share(histogram, 0.05) == Interval(0.75, low, high, 10)


def test_agreement_is_what_a_guardrail_judges():
    """Where noise is known the champion's own is taken off, and the bounds with it."""
    evidence = Evidence(agreement={0: 30, GRAINS: 70})
    assert agreement(evidence, 0.05) == share(evidence.agreement, 0.05)
    evidence.beyond_noise = {GRAINS // 2: 80, 0: 10, GRAINS: 10}
    found, half = agreement(evidence, 0.05), share(evidence.beyond_noise, 0.05)
    assert found == Interval(1.0, 2 * (half.low or 0), 1.0, 100)


def test_noise_is_disagreement():
    """A champion that agrees with itself in nine of ten requests has a noise of a tenth."""
    found = noise(Evidence(noise={0: 10, GRAINS: 90}), 0.05)
    assert (found.value, found.samples) == (0.1, 100)
    assert 0 < (found.low or 0) < 0.1 < (found.high or 0) < 0.3


@pytest.mark.parametrize("metric", ["accuracy", "brier", "error"])
def test_gains(metric):
    """Each metric's gain, from -1 to 1, is its own histogram's."""
    evidence = Evidence()
    setattr(evidence.truth, f"{metric}_gain", {0: 10, 5_000: 60, GRAINS: 30})
    found = gain(evidence, metric, 0.05)
    assert (found.value, found.samples) == (0.2, 100)
    assert -1 < (found.low or -1) < 0.2 < (found.high or 1) < 1
    assert [gain(evidence, other, 0.05).value for other in ("accuracy", "brier", "error") if other != metric] == [
        None
    ] * 2


def test_an_error_rate():
    """Errors of errors and pairs."""
    low, high = rates.two_sided(3, 100, 0.05)
    assert error_rate(Evidence(outcomes={FAILED: 3, PAIRED: 97}), 0.05) == Interval(0.03, low, high, 100)


def test_a_latency():
    """A quantile of a leg is the middle of its bucket, with bounds that are those of buckets; or none, with few samples."""
    histogram = {bucket(float(size)): 1 for size in range(10_000, 20_000, 137)}
    found = latency(histogram, 0.5, 0.05)
    sizes = Sizes.of(histogram)
    assert found == Interval(sizes.quantile(0.5), sizes.low(0.5, 0.025), sizes.high(0.5, 0.025), len(histogram))
    assert found.value == pytest.approx(15_000, rel=0.06)
    assert latency(histogram, 0.99, 0.05).high is None


def test_a_ratio_of_latencies():
    """The challenger's 95th percentile over the champion's; each bound of each leg may err with a quarter of alpha."""
    evidence = Evidence(champion_latency={1_000: 500}, challenger_latency={1_010: 400})
    found = p95_ratio(legs(evidence), 0.05)
    assert found.value == pytest.approx(1.01**10)
    assert found.low == pytest.approx(1.01**9)
    assert found.high == pytest.approx(1.01**11)
    assert found.samples == 400
    ratio = legs(Evidence(champion_latency=dict.fromkeys(range(3_000), 1), challenger_latency={1_010: 4_000}))
    assert p95_ratio(ratio, 0.05) == Interval(ratio.value, ratio.low(0.025), ratio.high(0.025), 3_000)
    few = p95_ratio(legs(Evidence(champion_latency={1_000: 5}, challenger_latency={1_010: 4})), 0.05)
    assert (few.low, few.high, few.samples) == (0.0, None, 4)


def test_nothing_is_known_of_nothing():
    """Without samples no figure has a value, and bounds are those of what may be at all."""
    empty = Evidence()
    assert agreement(empty, 0.05) == noise(empty, 0.05) == error_rate(empty, 0.05) == Interval(None, 0.0, 1.0, 0)
    assert gain(empty, "brier", 0.05) == Interval(None, -1.0, 1.0, 0)
    assert latency({}, 0.5, 0.05) == p95_ratio(legs(empty), 0.05) == Interval(None, 0.0, None, 0)
    assert not math.isnan(agreement(empty, 0.05).high or 0)
