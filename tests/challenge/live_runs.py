"""Live runs without an Envoy: two models of which all is known, watched as they go until a verdict is reached.

Every pair goes through what a worker and its supervisor use: both legs' JSON bodies are read and compared, what they say is
added to the evidence, the label is joined, and the guardrails judge what has come so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from extproc.challenge.compare import Comparer
from extproc.challenge.evidence import FAILED, PAIRED, Evidence, Record, merged
from extproc.challenge.guardrails import judge
from extproc.challenge.histogram import bucket, count
from extproc.challenge.leg import LegAnswer
from extproc.challenge.truth import Feedback, join
from extproc.engine.calling import Reply
from extproc.engine.request import Request
from extproc.graph.document import AtLeast, AtMost, Compare, Guardrails, LatencyRail, TruthRail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.compare import Comparison
    from extproc.challenge.evidence import Truth

CONFIDENCE = 0.95
RAILS = Guardrails(
    agreement=AtLeast(min=0.9),
    errors=AtMost(max=0.05),
    latency=LatencyRail(p95_ratio=1.5),
    truth=TruthRail(metric="accuracy", min_gain=0.0),
)
COMPARER = Comparer.of(Compare())
REQUEST = Request({":method": "POST", ":path": "/v1/models/fraud:predict", ":authority": "models"})
LABELS = ("legitimate", "fraud", "review")
MIDDLE, SPREAD = 20_000.0, 0.4  # microseconds of a leg: the median, and the deviation of its logarithm
OUTCOMES = 4  # of a pair that came: both say the same, champion right, challenger right, both wrong


@dataclass(frozen=True)
class Planted:
    """What is true of a challenger: shares of requests, and how many times as slow as the champion it is.

    ``gained`` and ``lost`` are pairs of which only the challenger, and only the champion, is right. In ``astray`` neither
    is, and both say something else.
    """

    errors: float
    slower: float
    gained: float
    lost: float
    astray: float = 0.0

    @property
    def agreement(self) -> float:
        """The share of pairs that agree."""
        return 1 - self.gained - self.lost - self.astray

    @property
    def gain(self) -> float:
        """By how much the challenger is the more accurate."""
        return self.gained - self.lost


GOOD = Planted(errors=0.01, slower=1.0, gained=0.045, lost=0.005)
BAD = {
    "agreement": replace(GOOD, gained=0.12, lost=0.04, astray=0.04),
    "errors": replace(GOOD, errors=0.12),
    "latency": replace(GOOD, slower=2.2),
    "truth": replace(GOOD, gained=0.005, lost=0.065),
}
# As bad as every guardrail allows, and no worse: neither verdict would be true.
BORDER = Planted(errors=0.05, slower=1.5, gained=0.04, lost=0.04, astray=0.02)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its verdict, after how many requests, and the guardrails that reject."""

    verdict: str
    requests: int
    rejecting: frozenset[str]


def live_run(seed: int, planted: Planted, looked: Sequence[int], rails: Guardrails = RAILS) -> Ended:
    """Run until a verdict is reached; ``looked`` are the numbers of requests after which somebody looks."""
    chance = np.random.default_rng(seed)
    evidence = Evidence()
    seen = 0
    for requests in looked:
        _traffic(evidence, chance, planted, requests - seen)
        seen = requests
        verdict = judge(evidence, rails, CONFIDENCE)
        if verdict.verdict != "collecting":
            break
    rejecting = frozenset(name for name, rail in verdict.rails.items() if rail.rejects)
    return Ended(verdict.verdict, seen, rejecting)


def seen_after(seed: int, planted: Planted, requests: int) -> Evidence:
    """Return the evidence of so many requests."""
    evidence = Evidence()
    _traffic(evidence, np.random.default_rng(seed), planted, requests)
    return evidence


def _traffic(evidence: Evidence, chance: np.random.Generator, planted: Planted, requests: int) -> None:
    """Add so many requests."""
    paired = int(chance.binomial(requests, 1 - planted.errors))
    evidence.book(FAILED, requests - paired)
    evidence.book(PAIRED, paired)
    outcomes = chance.choice(OUTCOMES, paired, p=[planted.agreement, planted.lost, planted.gained, planted.astray])
    labels = chance.choice(len(LABELS), paired)
    for outcome, label in zip(outcomes.tolist(), labels.tolist(), strict=True):
        comparison, truth = _pair(outcome, label)
        comparison.add_to(evidence)
        merged(evidence.truth, truth)
    for histogram, middle in (
        (evidence.champion_latency, MIDDLE),
        (evidence.challenger_latency, MIDDLE * planted.slower),
    ):
        for size in chance.lognormal(math.log(middle), SPREAD, paired).tolist():
            count(histogram, bucket(size))


@lru_cache(maxsize=OUTCOMES * len(LABELS))
def _pair(outcome: int, label: int) -> tuple[Comparison, Truth]:
    """Return the comparison of two bodies, and what the label says of them: the same for the same bodies."""
    right, wrong, other = (LABELS[(label + step) % len(LABELS)] for step in range(len(LABELS)))
    champion, challenger = ((right, right), (right, wrong), (wrong, right), (wrong, other))[outcome]
    said = [COMPARER.read(_leg(one)) for one in (champion, challenger)]
    comparison = COMPARER.compare(*said)
    ours, theirs = (one.recorded() or msgspec.Raw(b"[]") for one in said)
    record = Record("r", "gbm", "", 0.0, comparison.kind, 0.0, comparison.agreement, ours, theirs)
    return comparison, join(record, Feedback(label=right))


def _leg(label: str) -> LegAnswer:
    body = msgspec.json.encode({"predictions": [label]})
    return LegAnswer(REQUEST, Reply(200, (("content-type", "application/json"),), body))


def looks(first: int, most: int, growth: float) -> list[int]:
    """Return after how many requests somebody looks: ``first`` apart, and later as many as are the growth of all."""
    found = [first]
    while (following := found[-1] + max(first, round(found[-1] * growth))) <= most:
        found.append(following)
    return found
