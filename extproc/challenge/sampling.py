"""Whether as many requests were sampled as the graph says: a mismatch means that evidence is of some requests only.

The test is the mixture of ``rates`` against the configured share. It assumes that requests are sampled one by one:
under sticky sampling (``by``) all requests of a key are sampled or none, so that a few busy keys can raise an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

from extproc.challenge.rates import log_evidence

LARGEST = 700.0  # of an e-value's logarithm: its exponential is still a number that JSON can hold


@dataclass(frozen=True, slots=True)
class Sampling:
    """What the test says. ``e_value`` is above ``1 / alpha`` at any time with a probability of at most ``alpha``."""

    observed: float | None  # the share of sampled requests; None without requests
    expected: float
    samples: int
    e_value: float
    mismatch: bool  # the e-value has reached 1 / alpha


def sampling(sampled: int, unsampled: int, expected: float, alpha: float) -> Sampling:
    """Return the test of the sampled and unsampled requests against the configured share, from 0 to 1."""
    requests = sampled + unsampled
    evidence = log_evidence(sampled, requests, expected)
    observed = sampled / requests if requests else None
    return Sampling(observed, expected, requests, exp(min(evidence, LARGEST)), evidence >= -log(alpha))
