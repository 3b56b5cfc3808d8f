"""Streams watched at every step: how often a test that may err with a probability of alpha has ever erred."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from hypothesis import settings

from extproc.challenge.histogram import count
from extproc.challenge.means import _LOG_WEIGHTS, Shares

STREAMS = 10_000
QUICK = settings(max_examples=40, derandomize=True, deadline=None, database=None)
WEIGHTS = np.exp(_LOG_WEIGHTS)


def allowed(alpha, streams=STREAMS):
    """How many of the streams may err: the expectation, and three standard deviations more."""
    return streams * alpha + 3 * math.sqrt(streams * alpha * (1 - alpha))


def mean_of(shares):
    """The mean of a distribution: probability by grain, as a share."""
    return sum(grain * probability for grain, probability in shares.items()) / 10_000


def drawn(seed, shares, steps):
    """Indices into a distribution's grains: a row for each step, a column for each stream."""
    chance = np.random.default_rng(seed)
    return chance.choice(len(shares), (steps, STREAMS), p=list(shares.values())).astype(np.int8)


def wealths(grains, indices, mean, *, mirrored=False):
    """The mean wealth of the bets against "at most ``mean``" (or "at least"), of each stream after each step."""
    bets = [Shares.of({grain: 1}) for grain in grains]
    factors = np.exp([(bet.mirrored.growth(1 - mean) if mirrored else bet.growth(mean)) for bet in bets])
    wealth = np.repeat(WEIGHTS[:, np.newaxis], indices.shape[1], axis=1)
    for step in indices:
        wealth *= factors.T[:, step]
        yield wealth.sum(axis=0)


def ever(grains, indices, mean, alpha, *, mirrored=False):
    """Which streams have ever had a wealth of 1 / alpha."""
    richest = np.zeros(indices.shape[1])
    for wealth in wealths(grains, indices, mean, mirrored=mirrored):
        np.maximum(richest, wealth, out=richest)
    return richest >= 1 / alpha


def events(seed, rate, steps):
    """How often it has happened: a row for each stream, a column for each step."""
    chance = np.random.default_rng(seed)
    return np.cumsum(chance.random((STREAMS, steps), dtype=np.float32) < rate, axis=1, dtype=np.int32)


def least(steps, shown):
    """For each number of trials the least count for which ``shown(count, trials)``; one more than all without one."""
    return np.array([bisect_left(range(trials + 1), x=True, key=_of(shown, trials)) for trials in range(1, steps + 1)])


def most(steps, shown):
    """For each number of trials the largest count for which ``shown(count, trials)``; -1 without one."""
    return least(steps, lambda count, trials: not shown(count, trials)) - 1


def _of(shown, trials):
    return lambda count: shown(count, trials)


def histogram_of(keys):
    """The histogram of grains or buckets."""
    histogram: dict[int, int] = {}
    for key in keys:
        count(histogram, int(key))
    return histogram
