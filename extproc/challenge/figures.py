"""What evidence says, each figure with its confidence sequence.

Every ``alpha`` is two-sided: at any time a figure is outside its bounds with a probability of at most ``alpha``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, TypeAlias

from extproc.challenge import evidence as outcomes
from extproc.challenge import means, rates
from extproc.challenge.histogram import GRAINS, total
from extproc.challenge.quantiles import Ratio, Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.challenge.evidence import Evidence
    from extproc.challenge.histogram import Histogram

Metric: TypeAlias = Literal["accuracy", "brier", "error"]

P95 = 0.95  # the quantile that the latency guardrail is about
ERRORS = (outcomes.FAILED, outcomes.TIMEOUT, outcomes.UNPARSABLE)  # the challenger's; the others are nobody's or shed


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its bounds; None is what nothing is known of, and a bound that is none."""

    value: float | None
    low: float | None
    high: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class Scale:
    """How a figure is made from a mean share: ``factor * share + offset``, and at most 1."""

    factor: int
    offset: int

    def figure(self, share: float) -> float:
        """Return the figure of a share."""
        return min(self.factor * share + self.offset, 1.0)

    def share(self, figure: float) -> float:
        """Return the share that makes a figure, or the nearest one."""
        return min(max((figure - self.offset) / self.factor, 0.0), 1.0)

    def mean(self, histogram: Mapping[int, int]) -> float | None:
        """Return the figure of a histogram's mean, divided once; None without samples."""
        grains = total(histogram) * GRAINS
        if not grains:
            return None
        held = sum(key * times for key, times in histogram.items())
        return min((self.factor * held + self.offset * grains) / grains, 1.0)


PLAIN = Scale(1, 0)
BEYOND_NOISE = Scale(2, 0)  # 1 + agreement - the champion's with itself: the histogram holds half of it
GAIN = Scale(2, -1)


def scaled(histogram: Histogram, scale: Scale, alpha: float) -> Interval:
    """Return the figure that a scale makes of a histogram's mean."""
    low, high = means.two_sided(means.Shares.of(histogram), alpha)
    return Interval(scale.mean(histogram), scale.figure(low), scale.figure(high), total(histogram))


def share(histogram: Histogram, alpha: float) -> Interval:
    """Return the mean of shares in grains: what the legs agree, a leg's accuracy."""
    return scaled(histogram, PLAIN, alpha)


def judged_agreement(evidence: Evidence) -> tuple[Histogram, Scale]:
    """Return what a guardrail of agreement is about: where it is known, what is beyond the champion's own noise."""
    if evidence.beyond_noise:
        return evidence.beyond_noise, BEYOND_NOISE
    return evidence.agreement, PLAIN


def agreement(evidence: Evidence, alpha: float) -> Interval:
    """Return the agreement of both legs, with the champion's disagreement with itself taken off where it is known."""
    histogram, scale = judged_agreement(evidence)
    return scaled(histogram, scale, alpha)


def noise(evidence: Evidence, alpha: float) -> Interval:
    """Return how much the champion disagrees with itself, from 0 to 1."""
    own = share({GRAINS - key: times for key, times in evidence.noise.items()}, alpha)
    return Interval(own.value, own.low, own.high, own.samples)


def gains(evidence: Evidence, metric: Metric) -> Histogram:
    """Return the histogram of the challenger's gains, as shares: (gain + 1) / 2."""
    truth = evidence.truth
    return {"accuracy": truth.accuracy_gain, "brier": truth.brier_gain, "error": truth.error_gain}[metric]


def gain(evidence: Evidence, metric: Metric, alpha: float) -> Interval:
    """Return what the challenger gains over the champion against the labels, from -1 to 1; a smaller loss is a gain."""
    return scaled(gains(evidence, metric), GAIN, alpha)


def errors(evidence: Evidence) -> tuple[int, int]:
    """Return the challenger's errors, and of how many requests: those and the pairs."""
    failed = sum(evidence.outcomes.get(outcome, 0) for outcome in ERRORS)
    return failed, failed + evidence.outcomes.get(outcomes.PAIRED, 0)


def error_rate(evidence: Evidence, alpha: float) -> Interval:
    """Return the challenger's rate of errors."""
    failed, requests = errors(evidence)
    low, high = rates.two_sided(failed, requests, alpha)
    return Interval(failed / requests if requests else None, low, high, requests)


def latency(histogram: Histogram, p: float, alpha: float) -> Interval:
    """Return a leg's latency at a quantile from 0 to 1, in the histogram's unit."""
    sizes = Sizes.of(histogram)
    high = sizes.high(p, alpha / 2)
    return Interval(sizes.quantile(p), sizes.low(p, alpha / 2), _finite(high), sizes.total)


def legs(evidence: Evidence) -> Ratio:
    """Return the challenger's 95th percentile of latency over the champion's."""
    return Ratio(Sizes.of(evidence.challenger_latency), Sizes.of(evidence.champion_latency), P95)


def p95_ratio(ratio: Ratio, alpha: float) -> Interval:
    """Return the ratio of the legs' 95th percentiles; its samples are those of the leg that has fewer."""
    low, high = ratio.low(alpha / 2), ratio.high(alpha / 2)
    return Interval(ratio.value, low, _finite(high), min(ratio.challenger.total, ratio.champion.total))


def _finite(bound: float) -> float | None:
    return bound if bound < inf else None
