"""A leg's latency runs from its start to its answer's headers, and is measured alike on both sides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.envoy.challenged import Watched, one_of, post, told

if TYPE_CHECKING:
    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: timed}
spec:
  match: [{path: /timed}]
  models:
    champ: {url: "http://<timed-champ>/p", retries: {attempts: 2, on: [5xx], backoff: 1ms}}
    rival: {url: "http://<timed-rival>/p", retries: {attempts: 2, on: [5xx], backoff: 1ms}}
  nodes:
    root:
      challenge:
        champion: champ
        challengers: [{name: rival, to: rival}]
        compare: {by: 'request.headers["x-case"]'}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: timedlines}
spec:
  match: [{path: /timedlines}]
  models: {first: {url: "http://<timed-first>/p"}, champ: {url: "http://<timed-champ>/p"}, rival: {url: "http://<timed-rival>/p"}}
  nodes:
    root:
      challenge:
        champion: {switch: {cases: [{when: '"x-single" in request.headers', to: champ}], default: line}}
        challengers: [{name: rival, to: {chain: {steps: [{name: a, to: first}, {name: b, to: rival}]}}}]
        compare: {by: 'request.headers["x-case"]'}
    line: {chain: {steps: [{name: a, to: first}, {name: b, to: champ}]}}
"""
OK = {"json": {"predictions": [1]}}
# What the champion, the challenger and the first step do; from and to which milliseconds each leg is at the median.
# No leg is faster than its models; how much slower a crowded machine makes it nobody knows, so upper bounds are far.
NEVER = 10_000.0
CASES: dict[
    str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], tuple[float, float], tuple[float, float]]
] = {
    "alike": ("timed", {**OK, "delay": 0.1}, {**OK, "delay": 0.1}, {}, (100, NEVER), (100, NEVER)),
    "slow bodies": (
        "timed",
        {**OK, "chunks": 2, "every": 1.5},
        {**OK, "chunks": 2, "every": 1.5},
        {},
        (0, 1500),
        (0, 1500),
    ),
    "spoofed": (
        "timed",
        {**OK, "headers": {"x-extproc-latency": "90000000"}},
        {**OK, "headers": {"x-extproc-latency": "90000000"}},
        {},
        (0, NEVER),
        (0, NEVER),
    ),
    "a slow challenger": ("timed", OK, {**OK, "delay": 1.5}, {}, (0, 1500), (1500, NEVER)),
    "lines": (
        "timedlines",
        {**OK, "delay": 0.1},
        {**OK, "delay": 0.1},
        {**OK, "delay": 0.2},
        (300, NEVER),
        (300, NEVER),
    ),
    "a slow first step": ("timedlines", OK, OK, {**OK, "delay": 0.5}, (500, NEVER), (500, NEVER)),
}
TIMES = 5


@pytest.fixture(scope="module")
def timed(system: Running) -> dict[str, Any]:
    """Both legs' latencies by case: all are sent side by side."""

    async def ask(name: str) -> None:
        graph, champion, rival, first, *_ = CASES[name]
        headers = [("x-case", name), *told(timed_champ=champion, timed_rival=rival, timed_first=first or None)]
        for _ in range(TIMES):
            answer = await post(system, f"/{graph}", headers)
            assert (answer.status, answer.json()) == (200, OK["json"])
            assert answer.header("x-extproc-latency") is None

    async def ask_all() -> list[dict[str, Any]]:
        watched = [Watched(system, graph) for graph in ("timed", "timedlines")]
        await asyncio.gather(*map(ask, CASES))
        lines = sum(graph == "timedlines" for graph, *_ in CASES.values())
        times = (TIMES * (len(CASES) - lines), TIMES * lines)
        return [one_of(await one.settled(number)) for one, number in zip(watched, times, strict=True)]

    found = asyncio.run(ask_all())
    return {segment["segment"]: segment["latency"] for one in found for segment in one["segments"]}


@pytest.mark.parametrize("case", CASES)
def test_every_case(timed: dict[str, Any], case: str):
    """Headers end it, not the body; what a model says of it counts for nothing; every step of a leg is in it."""
    *_, champion, rival = CASES[case]
    for leg, (low, high) in (("champion", champion), ("challenger", rival)):
        assert timed[case][leg]["samples"] == TIMES
        assert low * 0.98 < timed[case][leg]["p50"] < high, timed[case]  # a bucket of the histogram is one per cent


async def test_both_are_measured_alike(system: Running):
    """Of two models that are as fast as each other neither is told to be much slower than the other."""
    watched = Watched(system, "timed")
    headers = [("x-case", "fair"), *told(timed_champ={**OK, "delay": 0.25}, timed_rival={**OK, "delay": 0.25})]
    for _ in range(9):
        assert (await post(system, "/timed", headers)).status == 200
    (fair,) = (one for one in one_of(await watched.settled(9))["segments"] if one["segment"] == "fair")
    ours, theirs = fair["latency"]["champion"]["p50"], fair["latency"]["challenger"]["p50"]
    assert 0.5 < ours / theirs < 2


async def test_attempts_count_alike(system: Running, models: Models):
    """A first attempt that failed is part of both legs, or of neither."""
    watched = Watched(system, "timed")
    for number in range(3):
        for name in ("timed-champ", "timed-rival"):
            models[name].script({"status": 503, "delay": 0.5}, OK)
        answer = await post(system, "/timed", [("x-case", "again")])
        assert (answer.status, answer.json()) == (200, OK["json"])
        await watched.settled(number + 1)
    (again,) = (one for one in one_of(watched.report())["segments"] if one["segment"] == "again")
    assert again["counts"]["paired"] == 3
    ours, theirs = again["latency"]["champion"]["p50"], again["latency"]["challenger"]["p50"]
    assert 0.25 < ours / theirs < 4  # without the attempt one would be a hundredth of the other
