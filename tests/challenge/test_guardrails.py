"""Verdicts: what guardrails ask, and when evidence has shown it, or the contrary."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge import guardrails
from extproc.challenge.claims import claims
from extproc.challenge.evidence import (
    CHAMPION_FAILED,
    CHAMPION_UNPARSABLE,
    FAILED,
    PAIRED,
    SHED,
    TIMEOUT,
    TOO_LARGE,
    UNPARSABLE,
    Evidence,
    merged,
)
from extproc.challenge.figures import GAIN
from extproc.challenge.guardrails import INCONCLUSIVE_AT, judge
from extproc.challenge.histogram import GRAINS, bucket, count, grain
from extproc.graph.document import AtLeast, AtMost, Guardrails, LatencyRail, TruthRail
from tests.challenge.simulations import QUICK, STREAMS, allowed, drawn, events, ever, least, most

if TYPE_CHECKING:
    from random import Random

AGREEMENT = Guardrails(agreement=AtLeast(min=0.9))
ERRORS = Guardrails(errors=AtMost(max=0.05))
LATENCY = Guardrails(latency=LatencyRail(p95_ratio=1.5))
TRUTH = Guardrails(truth=TruthRail(metric="accuracy", min_gain=0.0))
ALL = Guardrails(
    agreement=AtLeast(min=0.9),
    errors=AtMost(max=0.05),
    latency=LatencyRail(p95_ratio=1.5),
    truth=TruthRail(metric="accuracy", min_gain=0.0),
)
NO_GAIN = {0: 0.1, 5_000: 0.8, 10_000: 0.1}  # probability of a gain, as a share in grains: the mean is 0


def agreeing(agree, disagree):
    """Evidence of pairs that agree or do not."""
    histogram = {key: times for key, times in ((0, disagree), (GRAINS, agree)) if times}
    return Evidence(agreement=histogram, outcomes={PAIRED: agree + disagree})


def failing(failed, paired):
    """Evidence of a challenger that fails."""
    return Evidence(outcomes={FAILED: failed, PAIRED: paired})


def gaining(histogram):
    """Evidence of gains in accuracy."""
    evidence = Evidence()
    evidence.truth.accuracy_gain = histogram
    return evidence


def only(verdict):
    """The one guardrail's."""
    (rail,) = verdict.rails.values()
    return rail


def live(seed, pairs, *, agreement=0.97, errors=0.01, slower=1.0, better=0.05):
    """Evidence of a live run: a challenger that is so good."""
    chance = np.random.default_rng(seed)
    evidence = Evidence()
    failed = int(chance.binomial(pairs, errors))
    evidence.outcomes = {PAIRED: pairs - failed, TIMEOUT: failed}
    agreed = int(chance.binomial(pairs - failed, agreement))
    evidence.agreement = {0: pairs - failed - agreed, GRAINS: agreed}
    for histogram, middle in ((evidence.champion_latency, 20_000), (evidence.challenger_latency, 20_000 * slower)):
        for size in chance.lognormal(math.log(middle), 0.4, pairs - failed):
            count(histogram, bucket(size))
    worse, same, right = chance.multinomial(pairs - failed, [0.05, 0.9 - better, 0.05 + better]).tolist()
    evidence.truth.accuracy_gain = {0: worse, GRAINS // 2: same, GRAINS: right}
    return evidence


@cache
def decisive(name, alpha, steps=300):
    """For each number of samples the least or the largest count at which a guardrail is shown, and refuted."""
    rails = {"agreement": AGREEMENT, "errors": ERRORS}[name]
    made = {"agreement": agreeing, "errors": failing}[name]

    def claim(seen, samples):
        return claims(made(seen, samples - seen), rails)[name]

    if name == "agreement":
        return (
            least(steps, lambda seen, samples: claim(seen, samples).shown(alpha)),
            most(steps, lambda seen, samples: claim(seen, samples).refuted(alpha)),
        )
    return (
        most(steps, lambda seen, samples: claim(seen, samples).shown(alpha)),
        least(steps, lambda seen, samples: claim(seen, samples).refuted(alpha)),
    )


def test_a_violated_agreement_seldom_passes():
    """Of 10,000 streams with an agreement no larger than asked, watched at each of 300 steps, at most alpha ever pass."""
    assert 0 < (events(41, 0.9, 300) >= decisive("agreement", 0.05)[0]).any(axis=1).sum() <= allowed(0.05)


def test_a_kept_agreement_seldom_fails():
    """Of 10,000 streams with as large an agreement as asked, watched at each of 300 steps, at most alpha ever fail."""
    assert 0 < (events(42, 0.9, 300) <= decisive("agreement", 0.05)[1]).any(axis=1).sum() <= allowed(0.05)


def test_violated_errors_seldom_pass():
    """Of 10,000 streams with no fewer errors than allowed, watched at each of 300 steps, at most alpha ever pass."""
    assert 0 < (events(43, 0.05, 300) <= decisive("errors", 0.05)[0]).any(axis=1).sum() <= allowed(0.05)


def test_kept_errors_seldom_fail():
    """Of 10,000 streams with as many errors as allowed, watched at each of 300 steps, at most alpha ever fail."""
    assert 0 < (events(44, 0.05, 300) >= decisive("errors", 0.05)[1]).any(axis=1).sum() <= allowed(0.05)


def test_a_challenger_that_keeps_all_is_seldom_rejected():
    """Of 10,000 challengers on the border of three guardrails, watched at 300 steps, at most alpha are ever rejected."""
    alpha = 0.05 / 3
    rejected = (events(45, 0.9, 300) <= decisive("agreement", alpha)[1]).any(axis=1)
    rejected |= (events(46, 0.05, 300) >= decisive("errors", alpha)[1]).any(axis=1)
    rejected |= ever(NO_GAIN, drawn(47, NO_GAIN, 300), 0.5, alpha, mirrored=True)
    assert STREAMS * alpha / 2 < rejected.sum() <= allowed(0.05)


@QUICK
@given(st.integers(1, 300), st.floats(0, 1), st.sampled_from(["agreement", "errors"]))
def test_verdicts_are_those_simulated(samples, share, name):
    """A guardrail passes, fails and rejects by itself exactly where the simulation's tables say."""
    seen = round(samples * share)
    made, rails, sign = (agreeing, AGREEMENT, 1) if name == "agreement" else (failing, ERRORS, -1)
    shown, refuted = (bounds[samples - 1] for bounds in decisive(name, 0.05))
    rail = only(judge(made(seen, samples - seen), rails, 0.95))
    assert (rail.verdict == "pass") == (sign * seen >= sign * shown)
    assert (rail.verdict == "fail") == rail.rejects == (sign * seen <= sign * refuted)


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_a_planted_difference_is_found(good):
    """Of 40 live runs, looked at as they go, at least 38 end with the right verdict, and it is the first one reached."""
    planted = {} if good else {"agreement": 0.8, "errors": 0.09, "slower": 2.0, "better": -0.03}
    right = 0
    for seed in range(40):
        evidence, verdict = Evidence(), "collecting"
        for look in range(6):
            merged(evidence, live(seed * 10 + look, 100 * 2**look, **planted))
            verdict = judge(evidence, ALL, 0.95).verdict
            if verdict != "collecting":
                break
        right += verdict == ("promote" if good else "reject")
    assert right >= 38


@pytest.mark.parametrize("violated", ["agreement", "errors", "slower", "better"])
def test_one_violated_guardrail_is_enough(violated):
    """A challenger that violates a single guardrail is rejected, and by that one alone."""
    planted = {"agreement": 0.8, "errors": 0.1, "slower": 2.0, "better": -0.04}[violated]
    verdict = judge(live(1, 5_000, **{violated: planted}), ALL, 0.95)
    name = {"slower": "latency", "better": "truth"}.get(violated, violated)
    assert verdict.verdict == "reject"
    assert {rail.name: rail.rejects for rail in verdict.rails.values()} == {key: key == name for key in verdict.rails}
    assert {rail.verdict for key, rail in verdict.rails.items() if key != name} == {"pass"}


def test_without_guardrails_there_is_no_verdict():
    """However much evidence there is, nothing is asked, and so nothing is decided."""
    verdict = judge(live(1, 5_000), Guardrails(), 0.95)
    assert (verdict.verdict, verdict.rails) == ("collecting", {})


def test_without_evidence_there_is_no_verdict():
    """Every guardrail collects, its bounds are those of what it may be at all, and nobody can say what is needed."""
    verdict = judge(Evidence(), ALL, 0.95)
    assert verdict.verdict == "collecting"
    assert {rail.verdict for rail in verdict.rails.values()} == {"collecting"}
    assert {(rail.value, rail.samples, rail.needed, rail.rejects) for rail in verdict.rails.values()} == {
        (None, 0, None, False)
    }
    assert {rail.name: (rail.low, rail.high) for rail in verdict.rails.values()} == {
        "agreement": (0.0, 1.0),
        "errors": (0.0, 1.0),
        "latency": (0.0, None),
        "truth": (-1.0, 1.0),
    }


def test_the_bounds_are_the_graphs():
    """Each guardrail says what was asked of it."""
    assert {rail.name: rail.bound for rail in judge(Evidence(), ALL, 0.95).rails.values()} == {
        "agreement": 0.9,
        "errors": 0.05,
        "latency": 1.5,
        "truth": 0.0,
    }


def test_to_promote_every_guardrail_must_pass():
    """A guardrail that still collects holds back the ones that pass."""
    evidence = live(1, 5_000)
    assert judge(evidence, ALL, 0.95).verdict == "promote"
    evidence.truth.accuracy_gain = {}
    verdict = judge(evidence, ALL, 0.95)
    assert verdict.verdict == "collecting"
    assert [rail.name for rail in verdict.rails.values() if rail.verdict != "pass"] == ["truth"]


def test_to_reject_one_must_fail_by_its_part_of_the_error():
    """A guardrail that fails, but not at alpha over four, rejects alone and not among four."""
    seen = int(decisive("errors", 0.05)[1][199])
    failing_alone = failing(seen, 200 - seen)
    assert judge(failing_alone, ERRORS, 0.95).verdict == "reject"
    among = judge(failing_alone, ALL, 0.95)
    assert (among.rails["errors"].verdict, among.rails["errors"].rejects, among.verdict) == (
        "fail",
        False,
        "collecting",
    )
    more = int(decisive("errors", 0.05 / 4)[1][199])
    assert more > seen
    assert judge(failing(more, 200 - more), ALL, 0.95).verdict == "reject"


def test_what_is_in_the_rate_of_errors():
    """Errors are the challenger's own; what was shed or too large, and the champion's failures, are in neither count."""
    evidence = Evidence(
        outcomes={
            FAILED: 1,
            TIMEOUT: 2,
            UNPARSABLE: 3,
            PAIRED: 94,
            SHED: 100,
            TOO_LARGE: 100,
            CHAMPION_FAILED: 100,
            CHAMPION_UNPARSABLE: 100,
        }
    )
    rail = only(judge(evidence, ERRORS, 0.95))
    assert (rail.value, rail.samples) == (0.06, 100)


def test_agreement_is_over_pairs():
    """A batch of which half agrees is one sample of a half."""
    rail = only(judge(Evidence(agreement={GRAINS // 2: 3, GRAINS: 1}), AGREEMENT, 0.95))
    assert (rail.value, rail.samples) == (0.625, 4)


def noisy(pairs, agreement, own, seed=1):
    """Evidence of a champion that agrees with itself so often, and a challenger that agrees with it so often."""
    chance = np.random.default_rng(seed)
    evidence = Evidence()
    for one, itself in zip(chance.random(pairs) < agreement, chance.random(pairs) < own, strict=True):
        count(evidence.agreement, grain(float(one)))
        count(evidence.noise, grain(float(itself)))
        count(evidence.beyond_noise, grain((float(one) + 1 - float(itself)) / 2))
    return evidence


def test_noise_is_the_champions_own():
    """A challenger that agrees as often as the champion with itself passes though both are below what is asked."""
    evidence = noisy(4_000, 0.85, 0.85)
    rail = only(judge(evidence, AGREEMENT, 0.95))
    assert rail.verdict == "pass"
    assert rail.value == pytest.approx(1.0, abs=0.03)
    assert rail.samples == 4_000
    evidence.beyond_noise = {}
    rail = only(judge(evidence, AGREEMENT, 0.95))
    assert rail.verdict == "fail"
    assert rail.value == pytest.approx(0.85, abs=0.03)


def test_beyond_the_noise_a_difference_is_found():
    """A challenger that agrees less often than the champion with itself by more than is allowed fails."""
    assert only(judge(noisy(4_000, 0.7, 0.9), AGREEMENT, 0.95)).verdict == "fail"


def test_agreement_beyond_noise_is_at_most_one():
    """A challenger that agrees more often than the champion with itself has an agreement of 1, and bounds up to it."""
    rail = only(judge(noisy(4_000, 0.95, 0.7), AGREEMENT, 0.95))
    assert (rail.value, rail.high, rail.verdict) == (1.0, 1.0, "pass")
    assert rail.low == 1.0


@pytest.mark.parametrize("metric", ["accuracy", "brier", "error"])
def test_truth_is_the_metric_that_is_asked(metric):
    """The gain is that of the metric, on a scale from -1 to 1, whatever the others say."""
    evidence = Evidence()
    for name in ("accuracy", "brier", "error"):
        setattr(evidence.truth, f"{name}_gain", {4_000: 2_000})
    setattr(evidence.truth, f"{metric}_gain", {6_000: 1_000, 5_500: 1_000})
    rail = only(judge(evidence, Guardrails(truth=TruthRail(metric=metric, min_gain=0.1)), 0.95))
    assert (rail.value, rail.samples, rail.verdict) == (0.15, 2_000, "pass")
    assert -1 <= (rail.low or -2) < 0.15 < (rail.high or 2) <= 1


def test_latency_is_of_the_leg_that_has_fewer_samples():
    """The ratio of the 95th percentiles is from both legs, its samples are those of the smaller."""
    evidence = live(3, 5_000, slower=1.2)
    champion = sum(evidence.champion_latency.values())
    count(evidence.champion_latency, bucket(20_000), 50)
    rail = only(judge(evidence, LATENCY, 0.95))
    assert rail.samples == champion
    assert rail.value == pytest.approx(1.2, abs=0.08)
    assert 0 < (rail.low or 0) < 1.2 < (rail.high or 0) < 1.5
    assert rail.verdict == "pass"


def test_what_stays_undecided_is_inconclusive():
    """A million samples on the border of a guardrail say that it makes no difference; it goes on collecting."""
    few, many = (agreeing(times * 9, times) for times in (INCONCLUSIVE_AT // 10 - 1, INCONCLUSIVE_AT // 10))
    assert only(judge(few, AGREEMENT, 0.95)).verdict == "collecting"
    verdict = judge(many, AGREEMENT, 0.95)
    assert (only(verdict).verdict, verdict.verdict) == ("inconclusive", "collecting")
    decided = agreeing(INCONCLUSIVE_AT * 92 // 100, INCONCLUSIVE_AT * 8 // 100)
    assert only(judge(decided, AGREEMENT, 0.95)).verdict == "pass"


@pytest.mark.parametrize(
    ("rails", "evidence"),
    [
        (Guardrails(agreement=AtLeast(min=1.0)), agreeing(10_000, 0)),
        (Guardrails(errors=AtMost(max=0.0)), failing(0, 10_000)),
        (Guardrails(truth=TruthRail(metric="accuracy", min_gain=1.0)), gaining({GRAINS: 10_000})),
    ],
    ids=["agreement", "errors", "truth"],
)
def test_perfection_is_never_shown(rails, evidence):
    """No number of samples shows that there is never a disagreement or an error; a single one refutes it."""
    rail = only(judge(evidence, rails, 0.95))
    assert (rail.verdict, rail.needed) == ("collecting", None)
    count(evidence.agreement, 0)
    evidence.book(FAILED)
    count(evidence.truth.accuracy_gain, GRAINS // 2)
    assert judge(evidence, rails, 0.95).verdict == "reject"


@pytest.mark.parametrize(
    ("rails", "evidence"),
    [
        (Guardrails(agreement=AtLeast(min=0.0)), agreeing(1, 0)),
        (Guardrails(errors=AtMost(max=1.0)), failing(0, 1)),
        (Guardrails(truth=TruthRail(metric="accuracy", min_gain=-1.0)), gaining({GRAINS // 2: 1})),
    ],
    ids=["agreement", "errors", "truth"],
)
def test_what_asks_nothing_is_shown_by_one(rails, evidence):
    """There is no minimum of samples beyond the statistics."""
    assert judge(evidence, rails, 0.95).verdict == "promote"
    assert judge(Evidence(), rails, 0.95).verdict == "collecting"


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_more_confidence_needs_more_evidence(confidence):
    """The bounds are those of the confidence, and widen with it."""
    evidence = live(4, 400)
    rail = judge(evidence, ALL, confidence).rails["truth"]
    wider = judge(evidence, ALL, 1 - (1 - confidence) / 2).rails["truth"]
    assert (wider.low or 0) < (rail.low or 0) < (rail.high or 0) < (wider.high or 0)


@pytest.mark.parametrize(
    ("rails", "evidence"),
    [
        (AGREEMENT, agreeing(93, 7)),
        (AGREEMENT, agreeing(85, 15)),
        (ERRORS, failing(4, 96)),
        (ERRORS, failing(6, 94)),
        (LATENCY, live(5, 300, slower=1.2)),
        (TRUTH, gaining({0: 10, 5_000: 80, 10_000: 15})),
        (TRUTH, gaining({0: 15, 5_000: 80, 10_000: 10})),
        (AGREEMENT, noisy(200, 0.8, 0.85)),
    ],
)
def test_so_many_more_decide(rails, evidence):
    """With as many more samples of the same kind as were said to be needed it is decided; with a tenth fewer not."""
    rail = only(judge(evidence, rails, 0.95))
    assert rail.verdict == "collecting"
    assert rail.needed is not None
    factor = (rail.samples + rail.needed) / rail.samples
    (claim,) = claims(evidence, rails).values()
    assert claim.shown(0.05, factor) or claim.refuted(0.05, factor)
    fewer = 1 + (factor - 1) * 0.9
    assert not claim.shown(0.05, fewer)
    assert not claim.refuted(0.05, fewer)
    many = Evidence()
    for _ in range(math.ceil(factor)):
        merged(many, evidence)
    assert only(judge(many, rails, 0.95)).verdict in {"pass", "fail"}
    assert only(judge(many, rails, 0.95)).needed == 0


def test_on_the_border_nobody_can_say():
    """Evidence that is just what was asked decides nothing, however much of it comes."""
    assert only(judge(agreeing(90, 10), AGREEMENT, 0.95)).needed is None


OUTCOMES = st.sampled_from([PAIRED, PAIRED, PAIRED, FAILED, TIMEOUT, UNPARSABLE, CHAMPION_UNPARSABLE, SHED])
REQUESTS = st.lists(
    st.tuples(OUTCOMES, st.integers(0, 8), st.floats(100, 1e6), st.floats(100, 1e6), st.integers(0, GRAINS)),
    max_size=60,
)


def evidence_of(requests, *, noise):
    evidence = Evidence()
    for outcome, agreed, ours, theirs, gain in requests:
        evidence.book(outcome)
        if outcome == PAIRED:
            count(evidence.agreement, grain(agreed / 8))
            if noise:
                count(evidence.beyond_noise, grain((agreed / 8 + 0.25) / 2))
            count(evidence.champion_latency, bucket(ours))
            count(evidence.challenger_latency, bucket(theirs))
            count(evidence.truth.accuracy_gain, gain)
    return evidence


@QUICK
@given(REQUESTS, st.booleans(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_however_it_is_merged(requests, noise, parts, chance: Random):
    """Any partition of the requests, in any order, merges to the same verdict, figures and bounds, to the last bit."""
    shares: list[list[object]] = [[] for _ in range(parts)]
    for request in requests:
        chance.choice(shares).append(request)
    chance.shuffle(shares)
    whole = Evidence()
    for share in shares:
        chance.shuffle(share)
        merged(whole, evidence_of(share, noise=noise))
    assert judge(whole, ALL, 0.95) == judge(evidence_of(requests, noise=noise), ALL, 0.95)


@QUICK
@given(REQUESTS, st.booleans(), st.floats(0.5, 0.999), st.integers(1, 10_000))
def test_every_number_is_one(requests, noise, confidence, times):
    """Values and bounds are numbers, in their order, and a guardrail that its own bounds decide is decided."""
    evidence = Evidence()
    part = evidence_of(requests, noise=noise)
    for _ in range(int(math.log2(times)) + 1):
        merged(evidence, part)
    for rail in judge(evidence, ALL, confidence).rails.values():
        numbers = [number for number in (rail.low, rail.value, rail.high) if number is not None]
        assert all(math.isfinite(number) for number in numbers)
        assert numbers == sorted(numbers)
        assert (rail.value is None) == (rail.samples == 0)
        assert (rail.needed == 0) == (rail.verdict in {"pass", "fail"})
        assert not rail.rejects or rail.verdict == "fail"
        if rail.low is not None and rail.low > rail.bound:
            assert rail.verdict == ("pass" if rail.name in {"agreement", "truth"} else "fail")
        if rail.high is not None and rail.high < rail.bound:
            assert rail.verdict == ("fail" if rail.name in {"agreement", "truth"} else "pass")


def test_verdicts_are_values():
    """A verdict cannot be changed."""
    verdict = judge(agreeing(93, 7), AGREEMENT, 0.95)
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.verdict = "promote"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        only(verdict).verdict = "pass"
    assert guardrails.Rail.__slots__


def test_gains_are_on_their_scale():
    """A share of a half is no gain, and every gain has its share."""
    assert GAIN.figure(0.5) == 0
    assert [GAIN.share(gain) for gain in (-2.0, -1.0, 0.0, 0.5, 1.0, 3.0)] == [0.0, 0.0, 0.5, 0.75, 1.0, 1.0]
