"""Confidence sequences for a rate: how often something happens, valid however often one looks.

The mixture of Robbins ("Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41, 1970)
for Bernoulli trials; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences" (Ann. Stat. 49, 2021), proposition 7. The likelihood of what was seen, averaged over a beta distribution of
rates, is divided by its likelihood at one rate. While that is the rate, the ratio is a martingale that starts at 1: it
ever reaches ``1 / alpha`` with a probability of at most ``alpha``. Averaged over the rates above ``rate`` alone it is a
supermartingale for ``rate`` and for all below: the evidence for more than that.

Counts may be fractions, as in estimates. All is order-free: functions of two counts.
"""

from __future__ import annotations

from bisect import bisect_left
from math import inf, log

from scipy.special import betaincc, betaln, xlog1py, xlogy

# Jeffreys' beta(1/2, 1/2): half of what a uniform mixture loses for rates near 0 and 1, where guardrails are, and never
# more than a bounded factor worse than the best rate in hindsight over sqrt(n) (Krichevsky and Trofimov, 1981).
PRIOR = 0.5
_STEPS = 2**40  # a bound is rounded outwards by at most a 10**12th of the distance that it is searched in


def log_evidence(events: float, trials: float, rate: float) -> float:
    """Return the logarithm of the evidence against ``rate``, whether the true one is above or below."""
    return _log_mixed(events, trials) - _log_likelihood(events, trials, rate)


def log_above(events: float, trials: float, rate: float) -> float:
    """Return the logarithm of the evidence against "``rate`` or less".

    Minus infinity where so little lies above ``rate`` that no float holds it: less than there is, so the test is valid.
    """
    if rate <= 0:
        return inf if events > 0 else 0.0
    if rate >= 1:
        return 0.0
    seen = _log(betaincc(PRIOR + events, PRIOR + trials - events, rate))
    return log_evidence(events, trials, rate) + seen - _log(betaincc(PRIOR, PRIOR, rate))


def log_below(events: float, trials: float, rate: float) -> float:
    """Return the logarithm of the evidence against "``rate`` or more"."""
    return log_above(trials - events, trials, 1 - rate)


def low(events: float, trials: float, alpha: float) -> float:
    """Return the lower bound: above the rate at any time with a probability of at most ``alpha``. 0 without trials."""
    if events <= 0:
        return 0.0
    enough, step = -log(alpha), events / trials / _STEPS
    first = bisect_left(range(_STEPS), x=True, key=lambda k: log_above(events, trials, k * step) < enough)
    return (first - 1) * step


def high(events: float, trials: float, alpha: float) -> float:
    """Return the upper bound: below the rate at any time with a probability of at most ``alpha``. 1 without trials."""
    return 1 - low(trials - events, trials, alpha)


def two_sided(events: float, trials: float, alpha: float) -> tuple[float, float]:
    """Return both bounds: the rate is outside them at any time with a probability of at most ``alpha``."""
    return low(events, trials, alpha / 2), high(events, trials, alpha / 2)


def _log_mixed(events: float, trials: float) -> float:
    return float(betaln(PRIOR + events, PRIOR + trials - events) - betaln(PRIOR, PRIOR))


def _log_likelihood(events: float, trials: float, rate: float) -> float:
    return float(xlogy(events, rate) + xlog1py(trials - events, -rate))


def _log(probability: float) -> float:
    return log(probability) if probability > 0 else -inf
