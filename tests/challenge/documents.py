"""Reports made by hand: one of each kind of comparison, one of nothing, one that is hostile."""

from __future__ import annotations

import random
from math import exp, sqrt
from typing import Any

import msgspec

from extproc.challenge.document import Counts

AT = 1_764_068_400.0  # a Tuesday, 11:00 UTC
HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"


def report(*challengers: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A report of challengers, with the decisions of a promotion and a refusal."""
    document = {
        "graph": "fraud",
        "generation": "1a2b3c4d",
        "champion": "fraud-v1",
        "node": "root",
        "challenge": "0f" * 16,
        "eligible": 48_211,
        "confidence": 0.95,
        "at": AT,
        "challengers": list(challengers),
        "decisions": [
            {
                "at": AT - 7200,
                "generation": "99aa00bb",
                "challenger": "gbm",
                "event": "promotion refused",
                "verdict": "collecting",
                "forced": False,
                "rule": "every guardrail at 95% confidence",
                "figures": {"agreement": {"value": 0.981, "low": 0.955, "high": 0.995}, "pairs": 412},
            },
            {
                "at": AT - 300,
                "generation": "1a2b3c4d",
                "challenger": "gbm",
                "event": "verdict",
                "verdict": "promote",
                "forced": True,
                "rule": "every guardrail at 95% confidence",
                "figures": {"agreement": {"value": 0.9791, "low": 0.9738, "high": 0.9836}},
            },
        ],
        "dropped": {"records_over_cap": 31, "examples": 0},
    }
    return document | changed


def estimate(value: float, low: float, high: float, samples: int) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "samples": samples}


def rail(verdict: str, figure: dict[str, Any], bound: dict[str, Any], needed: int | None = None) -> dict[str, Any]:
    return {"verdict": verdict, **figure, "bound": bound, "needed": needed}


def counts(eligible: int = 48_211, **there: int) -> dict[str, int]:
    """Counts that add up: what is not named is unsampled."""
    names = msgspec.structs.fields(Counts)
    known = {name.name: there.get(name.name, 0) for name in names if name.name != "unsampled"}
    return {**known, "unsampled": eligible - sum(known.values())}


def course(seed: int, figures: dict[str, tuple[float, float]], moments: int = 180) -> list[dict[str, Any]]:
    """Guardrails' figures over three hours: a band that narrows with the root of the samples."""
    chance = random.Random(seed)
    history = []
    wander = dict.fromkeys(figures, 0.0)
    for index in range(1, moments + 1):
        samples = index * 66
        drawn = {}
        for name, (value, spread) in figures.items():
            wander[name] = 0.97 * wander[name] + chance.gauss(0, 0.18)
            half = spread * 3.2 / sqrt(samples)
            middle = value + wander[name] * half * 0.4
            drawn[name] = [middle, middle - half, middle + half]
        history.append({"at": AT - (moments - index) * 60, "samples": samples, "guardrails": drawn})
    return history


def curve(median: float, spread: float) -> list[list[float]]:
    """A latency curve like real ones: a logistic over the logarithm."""
    times = [median * spread ** (step / 10) for step in range(-25, 46)]
    return [[time, 1 / (1 + exp(-1.7 * step / 10))] for time, step in zip(times, range(-25, 46), strict=True)]


def latency(slower: float = 1.12) -> dict[str, Any]:
    return {
        "champion": {"p50": 18.4, "p90": 31.2, "p95": 38.8, "p99": 71.5, "samples": 11_880},
        "challenger": {
            "p50": 18.4 * slower,
            "p90": 31.2 * slower,
            "p95": 38.8 * slower,
            "p99": 131.0,
            "samples": 11_880,
        },
        "ratio": {"value": slower, "low": slower - 0.06, "high": slower + 0.07},
        "curves": {"champion": curve(18.4, 1.6), "challenger": curve(18.4 * slower, 1.6)},
    }


def example(
    number: int, champion: list[Any], challenger: list[Any], agreement: float = 0.0, **more: Any
) -> dict[str, Any]:
    return {
        "requestId": f"6f1c9d52-0b7e-4c1f-9a55-{number:012d}",
        "segment": "eu",
        "at": AT - 37 * number,
        "champion": champion,
        "challenger": challenger,
        "agreement": agreement,
        "championLatency": 18.2,
        "challengerLatency": 22.9,
        "body": None,
        **more,
    }


def segment(name: str, pairs: int, agreed: float, half: float, gain: float) -> dict[str, Any]:
    return {
        "segment": name,
        "counts": counts(pairs + 30, paired=pairs),
        "agreement": estimate(agreed, agreed - half, min(agreed + half, 1), pairs),
        "errors": {"champion": {"failed": 0, "rate": 0.0}, "challenger": {"failed": 4, "rate": 4 / pairs}},
        "latency": latency() | {"curves": {"champion": [], "challenger": []}},
        "truth": {"joined": pairs // 2, "accuracy": {"champion": 0.9, "challenger": 0.9 + gain, "gain": gain}},
    }


def bells() -> list[list[float]]:
    """Differences that are a little above zero, and what is beyond at both ends."""
    inner = [[step / 100, (step + 1) / 100, round(1900 * exp(-((step - 1.5) ** 2) / 40))] for step in range(-16, 16)]
    return [[-3.2, -0.16, 41], *inner, [0.16, 5.9, 96]]


def number(**changed: Any) -> dict[str, Any]:
    """A challenger whose numbers are compared, and that is to be promoted."""
    known = {
        "name": "gbm",
        "to": "fraud-v2",
        "sample": 0.25,
        "verdict": "promote",
        "reason": "Every guardrail holds with 95% confidence: agreement, errors, latency and truth.",
        "counts": counts(paired=11_880, shed=61, timeout=14, failed=22, unparsable=3, champion_failed=9, pending=4),
        "unparsableBy": {"champion": 1, "challenger": 2},
        "guardrails": {
            "agreement": rail("pass", estimate(0.9791, 0.9738, 0.9836, 11_880), {"min": 0.97}),
            "errors": rail("pass", estimate(0.0032, 0.0018, 0.0056, 11_918), {"max": 0.01}),
            "latency": rail("pass", estimate(1.12, 1.06, 1.19, 11_880), {"p95Ratio": 1.5}),
            "truth": rail("pass", estimate(0.0121, 0.0024, 0.0219, 5210), {"metric": "accuracy", "minGain": 0.0}),
        },
        "kind": "number",
        "elements": 35_640,
        "agreement": estimate(0.9791, 0.9738, 0.9836, 11_880),
        "noise": estimate(0.0071, 0.0052, 0.0096, 11_702),
        "beyondNoise": estimate(0.9862, 0.9801, 0.9915, 11_702),
        "errors": {
            "champion": {"failed": 9, "rate": 0.00075},
            "challenger": {"failed": 22, "timeout": 14, "unparsable": 2, "rate": 0.0032, "low": 0.0018, "high": 0.0056},
        },
        "latency": latency(),
        "difference": {
            "values": 35_640,
            "equal": 8123,
            "tolerance": 0.05,
            "bias": 0.0042,
            "p50": 0.0121,
            "p90": 0.0409,
            "p95": 0.0497,
            "p99": 0.162,
            "max": 5.9,
            "histogram": bells(),
        },
        "confusion": None,
        "vector": None,
        "text": None,
        "truth": {
            "joined": 5210,
            "unusable": 2,
            "waiting": 17,
            "accuracy": {"champion": 0.912, "challenger": 0.9241, "gain": 0.0121, "low": 0.0024, "high": 0.0219},
            "brier": {"champion": 0.0711, "challenger": 0.0655, "gain": 0.0056, "low": 0.0012, "high": 0.0101},
            "error": None,
            "reward": {"requests": 840, "mean": 1.31, "whereAgreed": 1.35, "whereNot": 0.71},
        },
        "sampling": {"expected": 0.25, "observed": 0.2487, "eValue": 0.31, "mismatch": False},
        "segments": [
            segment("eu", 6210, 0.981, 0.007, 0.014),
            segment("us", 4800, 0.979, 0.008, 0.011),
            segment("apac", 870, 0.962, 0.021, -0.004),
        ],
        "examples": [
            example(1, [0.12], [0.93]),
            example(2, [0.1, 0.2, 0.3], [0.1, 0.8, 0.95], agreement=1 / 3),
            example(3, [0.77], [0.41], body='{"instances": [[1, 2, 3]]}'),
        ],
        "history": course(
            1,
            {"agreement": (0.9791, 0.17), "errors": (0.0035, 0.06), "latency": (1.12, 2.2), "truth": (0.0121, 0.31)},
        ),
    }
    return known | changed


def label(**changed: Any) -> dict[str, Any]:
    """A challenger whose labels are compared, and that is to be rejected."""
    known = number(
        name="tiny",
        to="fraud-tiny",
        sample=1.0,
        verdict="reject",
        reason="Agreement is below 97%: it lies between 92.1% and 94.6%, with the confidence asked.",
        kind="label",
        elements=11_880,
        difference=None,
        noise=None,
        beyondNoise=None,
        agreement=estimate(0.934, 0.921, 0.946, 11_880),
        guardrails={
            "agreement": rail("fail", estimate(0.934, 0.921, 0.946, 11_880), {"min": 0.97}),
            "errors": rail("inconclusive", estimate(0.0101, 0.0071, 0.0139, 11_918), {"max": 0.01}),
            "truth": rail(
                "collecting", estimate(0.001, -0.02, 0.022, 310), {"metric": "brier", "minGain": 0.0}, 18_400
            ),
        },
        confusion={
            "labels": ["legitimate", "fraud", "review"],
            "cells": [[8900, 120, 230], [60, 1240, 90], [180, 104, 932]],
            "other": 24,
        },
        segments=[],
        history=course(2, {"agreement": (0.934, 0.4), "errors": (0.0101, 0.1), "truth": (0.001, 0.7)}),
        sampling={"expected": 1.0, "observed": 0.81, "eValue": 8.1e9, "mismatch": True},
    )
    return known | changed


def vector(**changed: Any) -> dict[str, Any]:
    """A challenger whose vectors are compared."""
    known = number(
        name="embedder",
        verdict="collecting",
        reason="Not enough pairs yet.",
        kind="vector",
        difference=None,
        vector={"cosine": {"mean": 0.9981, "p05": 0.9912}, "furthest": {"p50": 0.003, "p95": 0.021, "max": 0.4}},
        examples=[example(1, [[0.1] * 400], [[0.2] * 400])],
    )
    return known | changed


def text(**changed: Any) -> dict[str, Any]:
    """A challenger whose texts are compared."""
    bars = [[step / 20, (step + 1) / 20, 10 + step**3] for step in range(20)]
    known = number(
        name="writer",
        verdict="collecting",
        reason="Not enough pairs yet.",
        kind="text",
        difference=None,
        text={"exact": 0.41, "similarity": {"mean": 0.872, "histogram": bars}},
        examples=[example(1, ["The parcel arrives on Monday. " * 12], ["On Monday. " * 40])],
    )
    return known | changed


def nothing() -> dict[str, Any]:
    """A report before the first request."""
    return {
        "graph": "fraud",
        "generation": None,
        "champion": "fraud-v1",
        "node": "root",
        "challenge": "00",
        "eligible": 0,
        "confidence": 0.95,
        "at": AT,
        "challengers": [
            {"name": "gbm", "to": "fraud-v2", "guardrails": {"agreement": rail("collecting", {}, {"min": 0.97})}}
        ],
        "decisions": [],
        "dropped": {},
    }


def hostile() -> dict[str, Any]:
    """A report whose every text wants to be markup."""
    bad = HOSTILE
    one = label(
        name=bad,
        to=bad,
        reason=bad,
        confusion={"labels": [bad, "b" * 300], "cells": [[1, 2], [3, 4]], "other": 0},
        segments=[segment(bad, 100, 0.9, 0.05, 0.0), segment("x" * 300, 100, 0.9, 0.05, 0.0)],
        examples=[
            example(1, [bad], [{bad: [bad]}], segment=bad, requestId=bad, body=bad),
            example(2, ["y" * 5000], [1]),
        ],
        guardrails={bad: rail("pass", estimate(0.9, 0.8, 1, 5), {"min": 0.5}), **label()["guardrails"]},
    )
    decision = {
        "at": AT,
        "generation": bad,
        "challenger": bad,
        "event": bad,
        "verdict": bad,
        "rule": {bad: bad},
        "figures": {bad: {bad: [bad]}},
    }
    return report(
        one, number(), graph=bad, generation=bad, champion=bad, node=bad, decisions=[decision], dropped={bad: 1}
    )
