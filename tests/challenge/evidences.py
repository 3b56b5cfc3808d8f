"""Evidence for reports: any at all, and some that is like real traffic."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
from hypothesis import strategies as st

from extproc.challenge.confusion import OTHER, cell
from extproc.challenge.evidence import OUTCOMES, PAIRED, UNITS, UNSAMPLED, Evidence, Record, Truth, units
from extproc.challenge.histogram import GRAINS, bucket, count, grain
from extproc.challenge.report import Subject
from extproc.challenge.store.history import Decision, Point
from extproc.challenge.store.standing import Standing
from extproc.graph.document import AtLeast, AtMost, Challenge, Challenger, Compare, Guardrails, LatencyRail, TruthRail

if TYPE_CHECKING:
    from extproc.challenge.histogram import Histogram

AT = 1_764_068_400.0
RAILS = Guardrails(
    agreement=AtLeast(min=0.97),
    errors=AtMost(max=0.01),
    latency=LatencyRail(p95_ratio=1.5),
    truth=TruthRail(metric="accuracy"),
)
FEW = st.integers(1, 5000)
SUMS = st.integers(-(10**9) * UNITS, 10**9 * UNITS)


def subject(*challengers: Challenger, rails: Guardrails = RAILS, tolerance: float | None = 0.05) -> Subject:
    """A challenge of the graph fraud; without challengers, one that is sampled by chance."""
    known = challengers or (Challenger(name="gbm", to="fraud-v2", sample=0.25),)
    challenge = Challenge(
        champion="fraud-v1", challengers=known, guardrails=rails, compare=Compare(tolerance=tolerance)
    )
    return Subject("fraud", "1a2b3c4d", "root", challenge, "0f" * 8)


def standing(eligible: int | None = None, **evidence: dict[str, Evidence]) -> Standing:
    """A standing of challengers' evidence by segment; where it is not said, all requests are booked."""
    booked = [sum(sum(one.outcomes.values()) for one in segments.values()) for segments in evidence.values()]
    return Standing(challenge="0f" * 8, eligible=max([eligible or 0, *booked]), evidence=evidence)


def realistic(pairs: int = 4000, *, agreed: float = 0.985, slower: float = 1.1, seed: int = 1) -> Evidence:
    """Numbers that agree within 0.05 with a probability, and their latencies and labels."""
    chance = random.Random(seed)
    evidence = Evidence(kinds={"number": pairs}, elements=pairs)
    evidence.book(PAIRED, pairs)
    evidence.book(UNSAMPLED, 3 * pairs)
    for _ in range(pairs):
        agrees = chance.random() < agreed
        difference = chance.gauss(0.004, 0.012) if agrees else chance.choice([-1, 1]) * chance.uniform(0.06, 0.9)
        _add(evidence, max(min(difference, 0.05), -0.05) if agrees else difference, agrees=agrees)
        once = chance.lognormvariate(9.8, 0.4)
        count(evidence.champion_latency, bucket(once))
        count(evidence.challenger_latency, bucket(slower * chance.lognormvariate(9.8, 0.4)))
        _label(evidence.truth, ours=chance.random() < 0.9, theirs=chance.random() < 0.93)
    return evidence


def _add(evidence: Evidence, difference: float, *, agrees: bool) -> None:
    count(evidence.agreement, GRAINS if agrees else 0)
    evidence.differences += 1
    evidence.difference_sum += units(difference)
    count(evidence.above if difference > 0 else evidence.below, bucket(abs(difference)))


def _label(truth: Truth, *, ours: bool, theirs: bool) -> None:
    truth.joined += 1
    count(truth.champion_accuracy, grain(ours))
    count(truth.challenger_accuracy, grain(theirs))
    count(truth.accuracy_gain, grain((theirs - ours + 1) / 2))


def record(number: int, champion: object, challenger: object, **changed: object) -> Record:
    """A pair that disagrees."""
    known = {"segment": "", "at": AT - number, "kind": "number", "tolerance": 0.05, "agreement": 0.0, **changed}
    return Record(
        request=f"request-{number}",
        challenger="gbm",
        champion=msgspec.Raw(msgspec.json.encode(champion)),
        challenger_said=msgspec.Raw(msgspec.json.encode(challenger)),
        **known,  # type: ignore[arg-type]
    )


def grains() -> st.SearchStrategy[Histogram]:
    """Shares."""
    return st.dictionaries(st.integers(0, GRAINS), FEW, max_size=4)


def buckets() -> st.SearchStrategy[Histogram]:
    """Sizes, as small and as large as there are."""
    return st.dictionaries(st.integers(-2776, 2776), FEW, max_size=4)


def truths() -> st.SearchStrategy[Truth]:
    """What labels say, whether or not its parts fit each other."""
    shares = ("accuracy", "brier")
    legs = {f"{leg}_{name}": grains() for leg in ("champion", "challenger") for name in shares}
    gains = {f"{name}_gain": grains() for name in (*shares, "error")}
    sums = dict.fromkeys(("champion_error_sum", "challenger_error_sum", "reward_sum", "agreed_reward_sum"), SUMS)
    numbers = dict.fromkeys(("joined", "errors", "rewarded", "agreed", "unusable"), st.integers(0, 5000))
    return st.builds(Truth, **legs, **gains, **sums, **numbers)


def evidences() -> st.SearchStrategy[Evidence]:
    """Any evidence: its fields need not fit each other."""
    labels = st.sampled_from(['"a"', '"b"', '"1"', "1", "null", '{"a":[1]}'])
    cells = st.builds(cell, labels, labels) | st.just(OTHER)
    return st.builds(
        Evidence,
        outcomes=st.dictionaries(st.sampled_from(OUTCOMES), FEW),
        kinds=st.dictionaries(st.sampled_from(["number", "label", "vector", "text"]), FEW),
        elements=st.integers(0, 5000),
        confusion=st.dictionaries(cells, FEW, max_size=6),
        differences=st.integers(0, 5000),
        difference_sum=SUMS,
        equal=st.integers(0, 5000),
        boundless=st.integers(0, 3),
        same_vectors=st.integers(0, 3),
        truth=truths(),
        **dict.fromkeys(("agreement", "noise", "beyond_noise", "cosine", "similarity"), grains()),
        **dict.fromkeys(("champion_latency", "challenger_latency", "above", "below", "furthest"), buckets()),
    )


def standings() -> st.SearchStrategy[Standing]:
    """Any standing of two challengers, one of which may be unknown yet."""
    segments = st.dictionaries(st.sampled_from(["", "eu", "us", "(other)"]), evidences(), max_size=2)
    return st.builds(
        Standing,
        challenge=st.just("0f" * 8),
        eligible=st.integers(0, 10**6),
        evidence=st.dictionaries(st.sampled_from(["gbm", "tiny"]), segments),
        points=st.just({"gbm": [Point(AT - 60, {"samples": 3, "guardrails": {"agreement": [0.9, 0.1, 1.0]}})]}),
        decisions=st.just(
            [Decision(at=AT, challenge="", graph="fraud", generation="1", challenger="gbm", event="verdict")]
        ),
        waiting=st.integers(0, 9),
    )
