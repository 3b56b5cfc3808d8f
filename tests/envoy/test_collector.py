"""Spans on their way to a real collector, as OTEL_* variables say; and what happens when it is not there."""

import asyncio
import re
import signal
import socket

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, eventually, running
from tests.envoy.traced import Sent, tree
from tests.kit import client
from tests.kit.collector import Collector

pytestmark = pytest.mark.envoy

OWN_GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: votes}
spec:
  match: [{path: /votes}]
  models: {one: {url: "http://<votes-one>/"}, two: {url: "http://<votes-two>/"}, three: {url: "http://<votes-three>/"}}
  nodes: {root: {ensemble: {members: [{name: a, to: one}, {name: b, to: two}, {name: c, to: three}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: plain}
spec:
  match: [{path: /plain}]
  models: {one: {url: "http://<votes-one>/"}}
  nodes: {root: {split: {routes: [{to: one, weight: 1}]}}}
"""
VOTE = [
    "envoy: POST votes",
    "  envoy: ext_proc",
    "    fraud-team: graph votes answer",
    "      fraud-team: call one 2xx",
    "        envoy: POST one",
    "      fraud-team: call three 2xx",
    "        envoy: POST three",
    "      fraud-team: call two 2xx",
    "        envoy: POST two",
]
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
VOTERS = ("votes-one", "votes-two", "votes-three")
DOWN = 200  # requests while no collector is there
SPANS = re.compile(r'^extproc_spans_total\{outcome="(\w+)"\} (\d+)', re.MULTILINE)


def counted(system: Running) -> dict[str, int]:
    """Spans by what became of them."""
    return {outcome: int(count) for outcome, count in SPANS.findall(system.admin("/metrics")[2]) if count != "0"}


@pytest.fixture(scope="module")
def collector():
    with Collector() as started:
        yield started


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_one_trace_of_a_vote(models: Models, collector: Collector, protocol: str):
    """Envoy's spans and ours arrive as one tree, under the names and attributes that were asked for."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_SERVICE_NAME": "fraud-team",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,team=a%20b",
        **SOON,
    }
    sent = Sent()
    with running(models.fill(OWN_GRAPHS), environment=environment) as system:
        assert (await sent.ask(system, "/votes")).status == 200
        await eventually(lambda: len(collector.receiver.trace(sent.trace)) >= len(VOTE))
        await eventually(lambda: counted(system) == {"exported": 4})
        assert system.faults() == {}
        assert system.said() == ""
    spans = collector.receiver.trace(sent.trace)
    for span in spans:
        span["service"] = {"fraud-team-envoy": "extproc-envoy"}.get(span["service"], span["service"])
    assert tree(spans, sent.span) == VOTE
    for service in ("fraud-team", "fraud-team-envoy"):
        resource = collector.receiver.resources[service]
        assert (resource["deployment.environment.name"], resource["team"]) == ("test", "a b")


async def test_the_last_trace(models: Models, collector: Collector):
    """What was answered just before a stop is told whole: by us, and by Envoy, which forgets what it holds at its end."""
    sent = Sent()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"), "OTEL_SERVICE_NAME": "fraud-team"}
    with running(models.fill(OWN_GRAPHS), environment=environment) as system:
        assert (await sent.ask(system, "/votes")).status == 200
        system.signal(signal.SIGTERM)
        assert await asyncio.to_thread(system.ended) == 0
    await eventually(lambda: len(collector.receiver.trace(sent.trace)) == len(VOTE))


async def test_a_share_of_the_traces(models: Models, collector: Collector):
    """Without a client's decision Envoy makes it, for all of a trace; a client's own decision is followed.

    What is not sampled has no span of any kind, and its models get no traceparent, nor what stood in its place.
    """
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.2",
        **SOON,
    }
    sent = Sent()
    with running(models.fill(OWN_GRAPHS), environment=environment) as system:
        before = len(collector.receiver)
        for name in VOTERS:
            models[name].forget()
        for _ in range(DOWN):
            answer = await client.request(system.ingress_port, "POST", "/votes", json={})
            assert answer.status == 200
        await sent.ask(system, "/plain")
        await eventually(lambda: len(collector.receiver.trace(sent.trace)) == 4)
        told = [seen.header("traceparent") for seen in models["votes-two"].requests]
        traces = sum(one is not None for one in told)
        assert DOWN * 0.05 < traces < DOWN * 0.4
        assert all(one is None or one.endswith("-01") for one in told)
        assert (
            len([seen for name in VOTERS for seen in models[name].requests if seen.header("traceparent")])
            == traces * 3 + 1
        )
        await eventually(lambda: len(collector.receiver) - before == traces * len(VOTE) + 4)
        await eventually(lambda: counted(system) == {"exported": traces * 4 + 1})
        answer = await client.request(system.ingress_port, "POST", "/plain", [("traceparent", "nonsense")], json={})
        assert answer.status == 200
        assert models["votes-one"].requests[-1].header("traceparent") is None


async def test_a_collector_that_is_down(models: Models):
    """It is never felt: every request is answered, every span is counted, and the log has one line."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # taken, and nobody listens
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{held.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_MAX_QUEUE_SIZE": "50",
            **SOON,
        }
        with running(models.fill(OWN_GRAPHS), environment=environment) as system:
            asked = [client.request(system.ingress_port, "POST", "/plain", json={}) for _ in range(DOWN)]
            assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
            await eventually(lambda: sum(counted(system).values()) == DOWN, within=30)
            assert set(counted(system)) == {"failed", "dropped"}
            assert system.said().count("\n") == 1
            assert "spans cannot be exported to 127.0.0.1:" in system.said()
            assert system.faults() == {}
            system.signal(signal.SIGTERM)
            assert await asyncio.to_thread(system.ended, 8) == 0


async def test_what_cannot_be_used_is_told(models: Models):
    """A sampler that nobody knows is passed over with a warning that names those there are."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_SAMPLER": "sometimes"}
    with running(models.fill(OWN_GRAPHS), environment=environment) as system:
        assert "OTEL_TRACES_SAMPLER=sometimes is passed over; it is one of always_on," in system.said()


async def test_without_a_collector_there_is_no_tracing(models: Models):
    """What a client sent goes through as it came."""
    with running(models.fill(OWN_GRAPHS)) as system:
        models["votes-one"].forget()
        sent = Sent()
        for path in ("/plain", "/votes"):
            await sent.ask(system, path)
        assert [seen.header("traceparent") for seen in models["votes-one"].requests] == [sent.traceparent] * 2
        assert system.admin("/traces")[0] == 404
