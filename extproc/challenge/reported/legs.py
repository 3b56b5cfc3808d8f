"""What became of requests, and what is known of each leg by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.challenge import evidence as outcomes
from extproc.challenge import figures
from extproc.challenge import sampling as tests
from extproc.challenge.document import (
    ChallengerErrors,
    ChampionErrors,
    Counts,
    Curves,
    Errors,
    Estimate,
    Latency,
    Ratio,
    Sampling,
    Speed,
    Unparsable,
)
from extproc.challenge.quantiles import Sizes
from extproc.challenge.reported.curves import curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.challenge.evidence import Evidence
    from extproc.challenge.figures import Interval

MILLISECONDS: Final = 0.001  # of the microseconds that histograms of latencies hold
# What the champion's failures are counted among: requests whose champion's end is known, whatever the challenger did.
CHAMPION_ENDED: Final = (
    outcomes.PAIRED,
    outcomes.FAILED,
    outcomes.TIMEOUT,
    outcomes.UNPARSABLE,
    outcomes.CHAMPION_UNPARSABLE,
    outcomes.CHAMPION_FAILED,
)


def counts(evidence: Evidence, pending: int = 0) -> Counts:
    """Return what became of requests."""
    booked = evidence.outcomes
    return Counts(
        paired=booked.get(outcomes.PAIRED, 0),
        unsampled=booked.get(outcomes.UNSAMPLED, 0),
        unsupported=booked.get(outcomes.UNSUPPORTED, 0),
        shed=booked.get(outcomes.SHED, 0),
        timeout=booked.get(outcomes.TIMEOUT, 0),
        failed=booked.get(outcomes.FAILED, 0),
        too_large=booked.get(outcomes.TOO_LARGE, 0),
        unparsable=sum(_unparsable(booked)),
        champion_failed=booked.get(outcomes.CHAMPION_FAILED, 0),
        interrupted=booked.get(outcomes.INTERRUPTED, 0),
        pending=pending,
    )


def unparsable(evidence: Evidence) -> Unparsable:
    """Return whose answers could not be compared."""
    champion, challenger = _unparsable(evidence.outcomes)
    return Unparsable(champion=champion, challenger=challenger)


def _unparsable(booked: Mapping[str, int]) -> tuple[int, int]:
    return booked.get(outcomes.CHAMPION_UNPARSABLE, 0), booked.get(outcomes.UNPARSABLE, 0)


def estimate(interval: Interval) -> Estimate:
    """Return a figure as a report has it: without samples nothing is known of it."""
    if not interval.samples:
        return Estimate()
    return Estimate(value=interval.value, low=interval.low, high=interval.high, samples=interval.samples)


def errors(evidence: Evidence, alpha: float) -> Errors:
    """Return how often each leg failed."""
    booked = evidence.outcomes
    ended = sum(booked.get(outcome, 0) for outcome in CHAMPION_ENDED)
    failed = booked.get(outcomes.CHAMPION_FAILED, 0)
    rate = estimate(figures.error_rate(evidence, alpha))
    return Errors(
        champion=ChampionErrors(failed=failed, rate=failed / ended if ended else None),
        challenger=ChallengerErrors(
            failed=booked.get(outcomes.FAILED, 0),
            timeout=booked.get(outcomes.TIMEOUT, 0),
            unparsable=booked.get(outcomes.UNPARSABLE, 0),
            rate=rate.value,
            low=rate.low,
            high=rate.high,
        ),
    )


def latency(evidence: Evidence, alpha: float, *, drawn: bool = True) -> Latency | None:
    """Return how fast both legs are, with their curves where these are ``drawn``; None before either was timed."""
    champion, challenger = evidence.champion_latency, evidence.challenger_latency
    if not champion and not challenger:
        return None
    ratio = figures.p95_ratio(figures.legs(evidence), alpha)
    known = Curves(champion=curve(champion, MILLISECONDS), challenger=curve(challenger, MILLISECONDS))
    return Latency(
        champion=_speed(champion),
        challenger=_speed(challenger),
        ratio=Ratio(value=ratio.value, low=ratio.low, high=ratio.high) if ratio.samples else Ratio(),
        curves=known if drawn else Curves(),
    )


def _speed(histogram: Mapping[int, int]) -> Speed:
    sizes = Sizes.of(histogram)
    p50, p90, p95, p99 = (_milliseconds(sizes.quantile(p)) for p in (0.5, 0.9, 0.95, 0.99))
    return Speed(p50=p50, p90=p90, p95=p95, p99=p99, samples=sizes.total)


def _milliseconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds * MILLISECONDS


def sampling(known: Counts, expected: float, alpha: float) -> Sampling:
    """Return the test of the share of sampled requests.

    Of what is pending or was interrupted nobody knows whether it was sampled. It is taken for whatever makes the test's
    case weakest, so that a challenger that hangs, or a worker that is killed, raises no alarm.
    """
    unknown = known.pending + known.interrupted
    unsampled = known.unsampled
    sampled = _eligible(known) - unsampled - known.unsupported - unknown
    requests = sampled + unsampled + unknown
    kindest = min(max(round(expected * requests), sampled), sampled + unknown)
    found = tests.sampling(kindest, requests - kindest, expected, alpha)
    observed = sampled / (sampled + unsampled) if sampled + unsampled else None
    return Sampling(expected=expected, observed=observed, e_value=found.e_value, mismatch=found.mismatch)


def _eligible(known: Counts) -> int:
    return sum(getattr(known, name) for name in Counts.__struct_fields__)
