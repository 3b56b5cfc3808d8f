"""What a guardrail claims of a challenger: when evidence has shown it, and when it has shown the contrary.

Both are one-sided tests, valid however often one looks. ``alpha`` bounds the probability that at any time a claim is
shown that is untrue, or refuted that is true. ``times`` supposes that every sample had been seen so many times as
often.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import TYPE_CHECKING, Protocol

from extproc.challenge import figures, rates
from extproc.challenge.means import Floats, Shares, log_wealth

if TYPE_CHECKING:
    from extproc.challenge.evidence import Evidence
    from extproc.challenge.figures import Interval, Scale
    from extproc.challenge.histogram import Histogram
    from extproc.challenge.quantiles import Ratio
    from extproc.graph.document import Guardrails


class Claim(Protocol):
    """One guardrail and the evidence for it."""

    @property
    def bound(self) -> float:
        """What the graph asks, in the figure's unit."""
        ...

    def interval(self, alpha: float) -> Interval:
        """Return the figure with its two-sided confidence sequence."""
        ...

    def shown(self, alpha: float, times: float = 1.0) -> bool:
        """Whether the claim is shown."""
        ...

    def refuted(self, alpha: float, times: float = 1.0) -> bool:
        """Whether the contrary is shown."""
        ...


@dataclass(frozen=True)
class MeanAtLeast:
    """A mean of shares, or what a scale makes of it, is at least the bound."""

    histogram: Histogram
    scale: Scale
    bound: float

    def interval(self, alpha: float) -> Interval:
        """Return the figure with its two-sided confidence sequence."""
        return figures.scaled(self.histogram, self.scale, alpha)

    def shown(self, alpha: float, times: float = 1.0) -> bool:
        """Whether bets against a smaller mean have won enough."""
        return log_wealth(self._against_less, times) >= -log(alpha)

    def refuted(self, alpha: float, times: float = 1.0) -> bool:
        """Whether bets against a mean as large have won enough."""
        return log_wealth(self._against_more, times) >= -log(alpha)

    @cached_property
    def _shares(self) -> Shares:
        return Shares.of(self.histogram)

    @cached_property
    def _against_less(self) -> Floats:
        return self._shares.growth(self.scale.share(self.bound))

    @cached_property
    def _against_more(self) -> Floats:
        return self._shares.mirrored.growth(1 - self.scale.share(self.bound))


@dataclass(frozen=True, slots=True)
class ErrorsAtMost:
    """The rate of errors is at most the bound."""

    evidence: Evidence
    bound: float

    def interval(self, alpha: float) -> Interval:
        """Return the rate with its two-sided confidence sequence."""
        return figures.error_rate(self.evidence, alpha)

    def shown(self, alpha: float, times: float = 1.0) -> bool:
        """Whether there are too few errors for a larger rate."""
        failed, requests = figures.errors(self.evidence)
        return rates.log_below(failed * times, requests * times, self.bound) >= -log(alpha)

    def refuted(self, alpha: float, times: float = 1.0) -> bool:
        """Whether there are too many errors for so small a rate."""
        failed, requests = figures.errors(self.evidence)
        return rates.log_above(failed * times, requests * times, self.bound) >= -log(alpha)


@dataclass(frozen=True, slots=True)
class RatioAtMost:
    """The challenger's 95th percentile of latency over the champion's is at most the bound."""

    ratio: Ratio
    bound: float

    def interval(self, alpha: float) -> Interval:
        """Return the ratio with its two-sided confidence sequence."""
        return figures.p95_ratio(self.ratio, alpha)

    def shown(self, alpha: float, times: float = 1.0) -> bool:
        """Whether the ratio's upper bound is as small."""
        return self.ratio.high(alpha, times) <= self.bound

    def refuted(self, alpha: float, times: float = 1.0) -> bool:
        """Whether the ratio's lower bound is larger, or the same: it lies above its lower bound."""
        return self.ratio.low(alpha, times) >= self.bound > 0


def claims(evidence: Evidence, rails: Guardrails) -> dict[str, Claim]:
    """Return what guardrails claim, by their names, in the graph language's order."""
    found: dict[str, Claim] = {}
    if rails.agreement is not None:
        found["agreement"] = MeanAtLeast(*figures.judged_agreement(evidence), rails.agreement.min)
    if rails.errors is not None:
        found["errors"] = ErrorsAtMost(evidence, rails.errors.max)
    if rails.latency is not None:
        found["latency"] = RatioAtMost(figures.legs(evidence), rails.latency.p95_ratio)
    if rails.truth is not None:
        gains = figures.gains(evidence, rails.truth.metric)
        found["truth"] = MeanAtLeast(gains, figures.GAIN, rails.truth.min_gain)
    return found
