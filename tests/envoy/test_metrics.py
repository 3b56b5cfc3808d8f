"""What /metrics says after a load is what was sent, by graph, branch and status, whichever worker took it."""

import asyncio
import collections
import itertools
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.envoy.challenged import told
from tests.envoy.models import Models
from tests.envoy.running import Running, eventually, running
from tests.kit import client
from tests.kit.client import RawConnection, Response

pytestmark = pytest.mark.envoy

OWN_GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: m-split}
spec:
  match: [{path: /split}]
  models: {old: {url: "http://<m-one>"}, new: {url: "http://<m-two>"}}
  nodes: {root: {split: {by: 'request.headers["x-user"]', routes: [{name: stable, to: old, weight: 70}, {name: canary, to: new, weight: 30}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: m-body}
spec:
  match: [{path: /body}]
  models: {one: {url: "http://<m-one>"}, gone: {url: "http://<down>"}}
  nodes:
    root:
      switch:
        cases:
          - {name: shut, when: request.body.n % 7 == 0, to: shut}
          - {name: gone, when: request.body.n % 5 == 0, to: gone}
          - {name: none, when: request.body.n % 11 == 0, to: lost}
        default: one
    shut: {respond: {status: 403, body: {closed: true}}}
    lost: {switch: {cases: [{name: never, when: request.body.n < 0, to: one}]}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: m-votes}
spec:
  match: [{path: /votes}]
  models: {one: {url: "http://<m-one>"}, two: {url: "http://<m-two>", retries: {attempts: 2, on: [5xx], backoff: 1ms}}, three: {url: "http://<m-three>"}}
  nodes: {root: {ensemble: {members: [{name: a, to: one}, {name: b, to: two}, {name: c, to: three}], require: 2}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: m-slow}
spec:
  match: [{path: /slow}]
  timeout: 200ms
  models:
    one: {url: "http://<m-one>"}
    narrow: {url: "http://<m-two>", concurrency: 1}
    hedged: {url: "http://<m-three>", hedge: {after: 20ms}}
  nodes:
    root: {switch: {cases: [{name: sub, when: '"x-sub" in request.headers', to: line}, {name: hedge, when: '"x-hedge" in request.headers', to: twice}, {name: narrow, when: '"x-narrow" in request.headers', to: thin}], default: one}}
    line: {chain: {steps: [{name: a, to: one}, {name: b, to: one}]}}
    twice: {chain: {steps: [{name: a, to: hedged}, {name: b, to: one}]}}
    thin: {ensemble: {members: [{name: a, to: narrow}, {name: b, to: narrow}], require: 1}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: m-duel}
spec:
  match: [{path: /duel}]
  models: {champion: {url: "http://<m-one>"}, rival: {url: "http://<m-two>"}}
  nodes: {root: {challenge: {champion: champion, challengers: [{name: rival, to: rival, sample: 0.25}]}}}
"""
REQUESTS = 20_000
IN_FLIGHT = 32
WORKERS = 4
Samples = dict[tuple[str, ...], float]


def metric(system: Running, name: str, *labels: str) -> Samples:
    """A metric's samples that are not zero, by the values of its labels."""
    families = text_string_to_metric_families(system.admin("/metrics")[2])
    samples = [sample for family in families for sample in family.samples if sample.name == name and sample.value]
    assert all(set(sample.labels) == set(labels) for sample in samples)
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in samples}


@pytest.fixture(scope="module")
def measured(models: Models):
    with running(models.fill(OWN_GRAPHS), workers=WORKERS) as started:
        yield started
        assert started.said() == ""


def request_of(number: int) -> bytes:
    """One of five kinds, and what a stub is told."""
    path = ("/split", "/body", "/votes", "/duel", "/nowhere")[number % 5]
    status = 503 if number % 13 == 0 else 200
    headers = [("x-user", f"user-{number % 997}"), *told(m_two={"status": status, "json": {"predictions": [1]}})]
    return client.encode("POST", path, headers, json={"n": number // 5})


class Seen:
    """What clients saw of a load, by the labels of metrics."""

    def __init__(self) -> None:
        self.statuses: collections.Counter[tuple[str, ...]] = collections.Counter()
        self.decisions: collections.Counter[tuple[str, ...]] = collections.Counter()
        self.tails: collections.Counter[tuple[str, ...]] = collections.Counter()
        self.opened: collections.Counter[tuple[str, ...]] = collections.Counter()

    def add(self, answer: Response) -> None:
        """Count an answer by what its headers say."""
        graph = (answer.header("x-extproc-graph") or "-").partition("@")[0]
        route = answer.header("x-extproc-route") or ""
        self.statuses[graph, str(answer.status)] += 1
        parts = [part.partition("=") for part in route.split(",")]
        self.decisions.update((graph, node, branch) for node, chosen, branch in parts if chosen)
        if route == "!fail-open":
            self.opened[graph,] += 1
        elif graph != "m-votes" and (last := re.search(r"(?:^|,)([a-z]+)$", route)):
            self.tails[graph, last[1]] += 1


async def load(system: Running) -> Seen:
    """Send all requests, so many at a time."""
    seen = Seen()
    numbers = iter(range(REQUESTS))

    async def ask_on() -> None:
        connection = await RawConnection.open(system.ingress_port)
        for number in numbers:
            await connection.send(request_of(number))
            answer = await connection.response(within=30)
            seen.add(answer)
            if answer.header("connection") == "close":
                await connection.close()
                connection = await RawConnection.open(system.ingress_port)
        await connection.close()

    await asyncio.gather(*(ask_on() for _ in range(IN_FLIGHT)))
    return seen


async def test_counters_equal_what_was_sent(measured: Running):
    """20,000 requests to four workers: by graph and status, by branch, and every call.

    On a crowded machine a processor may be late, and a graph opens as it should: that is counted, too.
    """
    seen = await load(measured)
    assert seen.statuses.total() == REQUESTS
    assert metric(measured, "extproc_requests_total", "graph", "status") == seen.statuses
    assert metric(measured, "extproc_fail_open_total", "graph") == seen.opened
    by_branch = ("extproc_decisions_total", "graph", "node", "branch")
    await eventually(lambda: metric(measured, *by_branch) == seen.decisions)
    assert len(seen.decisions) == 6
    calls = metric(measured, "extproc_calls_total", "graph", "model", "kind", "outcome")
    tails: collections.Counter[tuple[str, ...]] = collections.Counter()
    for (graph, model, kind, _), count in calls.items():
        if kind == "tail":
            tails[graph, model] += int(count)
    for (graph,), count in seen.opened.items():
        seen.tails[graph, {"m-split": "old", "m-duel": "champion"}[graph]] += count
    assert tails == seen.tails
    votes = REQUESTS // 5
    for model in ("one", "two", "three"):
        assert sum(calls.get(("m-votes", model, "sub", outcome), 0) for outcome in ("2xx", "5xx")) == votes
    failed = calls["m-votes", "two", "sub", "5xx"]
    assert metric(measured, "extproc_call_retries_total", "graph", "model", "kind")["m-votes", "two", "sub"] == failed
    times = metric(measured, "extproc_call_duration_seconds_count", "graph", "model", "kind")
    assert times["m-votes", "one", "sub"] == votes
    exchanges = metric(measured, "extproc_exchanges_total", "graph", "outcome")
    assert exchanges["m-votes", "answer"] == votes
    assert exchanges["m-body", "tail"] + exchanges["m-body", "answer"] == votes
    assert exchanges["m-split", "tail"] + exchanges.get(("m-split", "left"), 0) == votes
    legs = ("extproc_challenge_requests_total", "graph", "challenger", "outcome")
    # Some were under way.
    await eventually(lambda: sum(metric(measured, *legs).values()) == exchanges["m-duel", "tail"])


async def test_durations_of_tail_calls(measured: Running):
    """Envoy measures them; they come under the same name and with the same classes as those of sub-calls."""
    before = metric(measured, "extproc_call_duration_seconds_count", "graph", "model", "kind")
    sums = metric(measured, "extproc_call_duration_seconds_sum", "graph", "model", "kind")
    key = ("m-slow", "one", "tail")
    answer = await client.request(measured.ingress_port, "POST", "/slow", told(m_one={"delay": 0.06}), json={})
    assert answer.status == 200

    def counted() -> bool:
        return (
            metric(measured, "extproc_call_duration_seconds_count", "graph", "model", "kind").get(key)
            == before.get(key, 0) + 1
        )

    await eventually(counted)
    took = metric(measured, "extproc_call_duration_seconds_sum", "graph", "model", "kind")[key] - sums.get(key, 0)
    assert 0.055 < took < 0.2
    buckets = metric(measured, "extproc_call_duration_seconds_bucket", "graph", "model", "kind", "le")
    assert buckets.get((*key, "0.05"), 0) == before.get(key, 0)
    assert buckets[(*key, "0.25")] == before.get(key, 0) + 1


async def test_missed_deadlines(measured: Running):
    """By the processor, and by Envoy: both are answered 504, and both count."""
    hang = told(m_one={"stop": "hang"})
    for headers in (hang, [("x-sub", "1"), *hang]):
        answer = await client.request(measured.ingress_port, "POST", "/slow", headers, json={})
        assert (answer.status, answer.json()["error"]["code"]) == (504, "deadline")
    missed = {("m-slow", "envoy"): 1, ("m-slow", "processor"): 1}
    await eventually(lambda: metric(measured, "extproc_deadline_exceeded_total", "graph", "by") == missed)
    calls = metric(measured, "extproc_calls_total", "graph", "model", "kind", "outcome")
    assert calls["m-slow", "one", "tail", "timeout"] == 1
    assert calls["m-slow", "one", "sub", "timeout"] == 1


async def test_sheds_and_hedges(measured: Running):
    """A second call of a model that takes one at a time is shed; a slow one is made twice."""
    await client.request(measured.ingress_port, "POST", "/slow", [("x-narrow", "1")], json={})
    answer = await client.request(
        measured.ingress_port, "POST", "/slow", [("x-hedge", "1"), *told(m_three={"delay": 0.05})], json={}
    )
    assert answer.status == 200
    shed = {("m-slow", "narrow", "sub", "concurrency"): 1}
    await eventually(lambda: metric(measured, "extproc_shed_total", "graph", "model", "kind", "reason") == shed)
    hedges = {("m-slow", "hedged", "sub"): 1}
    await eventually(lambda: metric(measured, "extproc_call_hedges_total", "graph", "model", "kind") == hedges)


async def test_a_client_that_left(measured: Running, models: Models):
    """Status 0, and the call was cancelled."""
    for name in ("m-one", "m-two"):
        models[name].forget()
    connection = await RawConnection.open(measured.ingress_port)
    await connection.send(
        client.encode("POST", "/split", told(m_one={"stop": "hang"}, m_two={"stop": "hang"}), json={})
    )
    await eventually(lambda: models["m-one"].requests or models["m-two"].requests)
    await connection.close()
    await eventually(lambda: ("m-split", "0") in metric(measured, "extproc_requests_total", "graph", "status"))
    calls = metric(measured, "extproc_calls_total", "graph", "model", "kind", "outcome")
    assert sum(count for key, count in calls.items() if key[0] == "m-split" and key[2:] == ("tail", "cancelled")) == 1


async def test_the_system_itself(measured: Running):
    """Workers, Envoy, graphs, connections, and how late event loops are."""
    text = measured.admin("/metrics")[2]
    assert f"extproc_workers_ready {WORKERS}.0" in text
    assert "extproc_envoy_up 1.0" in text
    assert "extproc_envoy_starts_total 1.0" in text
    starts = metric(measured, "extproc_worker_starts_total", "worker")
    assert starts == {(str(worker),): 1 for worker in range(WORKERS)}
    graphs = metric(measured, "extproc_graph_info", "graph", "generation")
    assert {f"{graph}@{generation}" for graph, generation in graphs} == set(measured.graphs)
    await eventually(lambda: metric(measured, "extproc_connections").get((), 0) >= WORKERS)
    assert metric(measured, "extproc_event_loop_lag_seconds_count")[()] > 0
    await eventually(lambda: metric(measured, "extproc_exchanges_active") == {})


async def test_labels_are_bounded(measured: Running):
    """Whatever clients send, no label is of their making."""
    before = len(measured.admin("/metrics")[2].splitlines())
    for number in range(50):
        headers = [("x-user", f"flood-{number}"), ("x-request-id", f"id-{number}"), ("user-agent", f"agent {number}")]
        path = f"/nowhere/{number}?q={number}" if number % 2 else "/split"
        await client.request(measured.ingress_port, f"M{number}", path, headers, host=f"host-{number}.example")
    lines = measured.admin("/metrics")[2].splitlines()
    assert len(lines) <= before + len(list(itertools.product(("m-split", "-"), ("405", "404", "400", "200"))))
    assert not any(re.search(r"flood|agent|host-|nowhere", line) for line in lines)
