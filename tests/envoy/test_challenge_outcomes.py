"""What becomes of requests: each is in exactly one count, and together they are all that reached the challenge."""

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from tests.envoy.challenged import LIMIT, Watched, one_of, post, post_many, told
from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client
from tests.kit.client import NoResponse, RawConnection

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: fates}
spec:
  match: [{path: /fates}]
  timeout: 1s
  maxBody: 64KiB
  models:
    champ: {url: "http://<fates-champ>/p", retries: 1}
    rival: {url: "http://<fates-rival>/p", retries: 1}
  nodes:
    root:
      challenge:
        champion: champ
        challengers: [{name: rival, to: rival}]
        compare: {by: 'request.headers["x-case"]'}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: fatesofbodies}
spec:
  match: [{path: /fatesofbodies}]
  timeout: 1s
  maxBody: 64KiB
  models:
    champ: {url: "http://<fates-champ>/p", retries: 1}
    rival: {url: "http://<fates-rival>/p", retries: 1}
  nodes:
    root: {switch: {cases: [{when: request.body.none == 1, to: duel}], default: duel}}
    duel:
      challenge:
        champion: champ
        challengers: [{name: rival, to: rival}]
        compare: {by: 'request.headers["x-case"]'}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: unreachable}
spec:
  match: [{path: /unreachable}]
  timeout: 30s
  models:
    champ: {url: "http://<fates-champ>/p"}
    rival: {url: "http://<fates-rival>/p"}
    down: {url: "http://<down>/p"}
    hasty: {url: "http://<fates-rival>/p", timeout: 100ms}
  nodes:
    root:
      challenge:
        champion: {switch: {cases: [{when: '"x-down" in request.headers', to: down}], default: champ}}
        challengers: [{name: rival, to: rival}, {name: down, to: down}, {name: hasty, to: hasty}]
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: fatesofgrpc}
spec:
  match: [{path: /fatesofgrpc}]
  models: {champ: {url: "http://<h2:fates-champ-h2>/p", http2: true}, rival: {url: "http://<fates-rival>/p"}}
  nodes: {root: {challenge: {champion: champ, challengers: [{name: rival, to: rival}]}}}
"""
OK = {"json": {"predictions": [1, 2]}}
HANG = {"stop": "hang"}
# Champion, challenger; what becomes of the request, and whose answer it was that could not be compared.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "both answer": (OK, OK, "paired"),
    "they disagree": (OK, {"json": {"predictions": [3, 4]}}, "paired"),
    "another 2xx": ({**OK, "status": 201}, {**OK, "status": 203}, "paired"),
    "in chunks": ({**OK, "chunks": 3, "every": 0.02}, {**OK, "chunks": 2}, "paired"),
    "the champion is slow": ({**OK, "delay": 0.3}, OK, "paired"),
    "the challenger is slow": (OK, {**OK, "delay": 0.3}, "paired"),
    "the challenger hangs": (OK, HANG, "timeout"),
    "the challenger hangs in its body": (OK, {**OK, "stop": "hang", "stop_at": "middle"}, "timeout"),
    "the challenger fails": (OK, {"status": 500, "json": 1}, "failed"),
    "the challenger has nothing": (OK, {"status": 404, "json": 1}, "failed"),
    "the challenger redirects": (OK, {"status": 302, "headers": {"location": "/"}}, "failed"),
    "the challenger breaks off": (OK, {"stop": "reset"}, "failed"),
    "the challenger breaks off in its body": (OK, {"size": 99_999, "stop": "close", "stop_at": "middle"}, "failed"),
    "the challenger says no JSON": (OK, {"size": 30}, "challenger"),
    "the challenger says nothing": (OK, {"size": 0}, "challenger"),
    "the challenger has no content": (OK, {"status": 204}, "challenger"),
    "the challenger says another number": (OK, {"json": {"predictions": [1]}}, "challenger"),
    "the challenger says another kind": (OK, {"json": {"predictions": ["a", "b"]}}, "challenger"),
    "the challenger says too much": (OK, {"size": LIMIT + 1}, "too_large"),
    "the champion says no JSON": ({"size": 30}, OK, "champion"),
    "the champion says nothing": ({"size": 0}, OK, "champion"),
    "the champion has no content": ({"status": 204}, OK, "champion"),
    "the champion's is br": ({**OK, "headers": {"content-encoding": "br"}}, OK, "champion"),
    "the champion's is not gzip": ({**OK, "headers": {"content-encoding": "gzip"}}, OK, "champion"),
    "the champion sends events": ({**OK, "headers": {"content-type": "text/event-stream"}}, OK, "champion"),
    "the champion says too much": ({"size": LIMIT + 1}, OK, "too_large"),
    "the champion says too much, in chunks": ({"size": LIMIT + 1, "chunks": 3}, OK, "too_large"),
    "the champion fails": ({"status": 500, "json": 1}, OK, "champion_failed"),
    "the champion has nothing": ({"status": 404, "json": 1}, OK, "champion_failed"),
    "the champion redirects": ({"status": 302, "json": 1}, OK, "champion_failed"),
    "the champion breaks off": ({"stop": "reset"}, OK, "champion_failed"),
    "the champion breaks off in its body": (
        {"size": 99_999, "stop": "close", "stop_at": "middle"},
        OK,
        "champion_failed",
    ),
    "the champion hangs": (HANG, OK, "champion_failed"),
    "both fail": ({"status": 500, "json": 1}, {"status": 500, "json": 1}, "champion_failed"),
    "both hang": (HANG, HANG, "champion_failed"),
    "neither says JSON": ({"size": 30}, {"size": 30}, "champion"),
}
TIMES = 2
GRAPHS_OF_CASES = ["fates", "fatesofbodies"]


@pytest.fixture(scope="module", params=GRAPHS_OF_CASES)
def fates(system: Running, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What became of every case, by its name: all are sent at once, each more than once."""

    async def ask(name: str) -> None:
        champion, challenger, _ = CASES[name]
        headers = [("x-case", name), *told(fates_champ=champion, fates_rival=challenger)]
        try:
            await client.request(system.ingress_port, "POST", f"/{request.param}", headers, b'{"instances": [1, 2]}')
        except NoResponse:
            assert "breaks off" in name

    async def ask_all() -> dict[str, Any]:
        watched = Watched(system, request.param)
        await asyncio.gather(*(ask(name) for name in CASES for _ in range(TIMES)))
        return one_of(await watched.settled(TIMES * len(CASES)))

    found = asyncio.run(ask_all())
    return {segment["segment"]: segment for segment in found["segments"]} | {"": found}


@pytest.mark.parametrize(("case", "outcome"), [(name, outcome) for name, (*_, outcome) in CASES.items()])
def test_every_case(fates: dict[str, Any], case: str, outcome: str):
    """The request is in the count that the contract says, and in no other."""
    counted = "unparsable" if outcome in {"champion", "challenger"} else outcome
    assert {name: count for name, count in fates[case]["counts"].items() if count} == {counted: TIMES}
    errors = fates[case]["errors"]["challenger"]
    assert errors["unparsable"] == TIMES * (outcome == "challenger")


def test_errors_are_the_challengers_own(fates: dict[str, Any]):
    """Its rate is (failed + timeout + its own unparsable) / (those + paired); agreement is over paired alone."""
    ends = [outcome for *_, outcome in CASES.values()]
    bad = TIMES * sum(ends.count(name) for name in ("failed", "timeout", "challenger"))
    paired = TIMES * ends.count("paired")
    found = fates[""]
    assert found["errors"]["challenger"]["rate"] == pytest.approx(bad / (bad + paired))
    assert found["agreement"]["samples"] == paired
    assert found["agreement"]["value"] == pytest.approx(1 - TIMES / paired)
    assert found["errors"]["champion"]["failed"] == TIMES * ends.count("champion_failed")
    assert found["unparsableBy"] == {
        "champion": TIMES * ends.count("champion"),
        "challenger": TIMES * ends.count("challenger"),
    }


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
async def test_the_champions_encoding_is_undone(system: Running, models: Models, encoding):
    """The client gets it as it was sent; what is compared is what it says."""
    watched = Watched(system, "fates")
    plain = json.dumps(OK["json"]).encode()
    body = {"gzip": gzip.compress(plain, mtime=0), "deflate": zlib.compress(plain), "identity": plain}[encoding]
    models["fates-champ"].script({"body": body, "headers": {"content-encoding": encoding}})
    answer = await client.request(system.ingress_port, "POST", "/fates", told(fates_rival=OK), b"{}")
    assert (answer.status, answer.body, answer.header("content-encoding")) == (200, body, encoding)
    assert await watched.counts(1) == {"paired": 1}


async def test_a_compressed_response_that_grows(system: Running, models: Models):
    """A kilobyte that expands to more than is compared is too large."""
    watched = Watched(system, "fates")
    body = gzip.compress(b'{"predictions": [1, 2]}' + b" " * LIMIT, mtime=0)
    models["fates-champ"].script({"body": body, "headers": {"content-encoding": "gzip"}})
    answer = await client.request(system.ingress_port, "POST", "/fates", told(fates_rival=OK), b"{}")
    assert (answer.status, answer.body) == (200, body)
    assert await watched.counts(1) == {"too_large": 1}


async def test_every_challenger_has_its_own_count(system: Running):
    """One that is down, one that is hasty and one that answers: all are told apart, and each has every request."""
    watched = Watched(system, "unreachable")
    answers = await post_many(system, "/unreachable", 50, told(fates_champ=OK, fates_rival={**OK, "delay": 0.5}))
    assert [(answer.status, answer.json()) for answer in answers] == [(200, OK["json"])] * 50
    assert await watched.counts(50, "rival") == {"paired": 50}
    assert await watched.counts(50, "down") == {"failed": 50}
    assert await watched.counts(50, "hasty") == {"timeout": 50}


async def test_a_champion_that_is_down(system: Running):
    """What Envoy answers in its place is no answer of the champion's."""
    watched = Watched(system, "unreachable")
    answer = await post(system, "/unreachable", [("x-down", "1"), *told(fates_rival=OK)])
    assert (answer.status, answer.json()["error"]["code"]) == (502, "upstream_failed")
    for name in ("rival", "down", "hasty"):
        assert await watched.counts(1, name) == {"champion_failed": 1}


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
async def test_grpc_is_never_sampled(system: Running, models: Models, content_type):
    """It reaches the champion with its trailers, and no challenger; an ordinary request to the same graph is sampled."""
    watched = Watched(system, "fatesofgrpc")
    models["fates-rival"].forget()
    how = {"body": None, "json": "x", "headers": {"content-type": "application/grpc"}, "trailers": {"grpc-status": "0"}}
    headers = [("content-type", content_type), ("te", "trailers"), *told(fates_champ_h2=how, fates_rival=OK)]
    answer = await client.h2_request(system.ingress_port, "POST", "/fatesofgrpc", headers, b"\0\0\0\0\1x")
    assert (answer.status, answer.trailers, answer.body) == (200, [("grpc-status", "0")], b'"x"')
    assert await watched.counts(1) == {"unsupported": 1}
    assert models["fates-rival"].requests == []
    headers = [("content-type", "application/json"), ("content-length", "2"), *told(fates_champ_h2=OK, fates_rival=OK)]
    assert (await client.h2_request(system.ingress_port, "POST", "/fatesofgrpc", headers, b"{}")).status == 200
    assert await watched.counts(2) == {"unsupported": 1, "paired": 1}


@pytest.mark.parametrize("graph", GRAPHS_OF_CASES)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_requests_without_a_body(system: Running, models: Models, graph, method):
    """They are paired like others; the answer to a HEAD has no body to compare."""
    watched = Watched(system, graph)
    models["fates-rival"].forget()
    headers = told(fates_champ=OK, fates_rival=OK)
    answer = await client.request(system.ingress_port, method, f"/{graph}", headers)
    assert answer.status == 200
    assert await watched.counts(1) == ({"unparsable": 1} if method == "HEAD" else {"paired": 1})
    assert [(seen.method, seen.body) for seen in models["fates-rival"].requests] == [(method, b"")]


async def test_an_upload_that_breaks_off(system: Running, models: Models):
    """A client that leaves in its request has cut the champion's leg short; no model was called."""
    watched = Watched(system, "fates")
    for name in ("fates-champ", "fates-rival"):
        models[name].forget()
    connection = await RawConnection.open(system.ingress_port)
    await connection.send(client.encode("POST", "/fates", [("content-length", "1000")], b'{"k":'))
    await watched.seen(1)
    connection.reset()
    assert await watched.counts(1) == {"champion_failed": 1}
    assert (models["fates-champ"].requests, models["fates-rival"].requests) == ([], [])


async def test_an_upgrade_does_not_reach_the_challenge(system: Running):
    """A WebSocket goes to the champion past the graph: it is counted nowhere."""
    watched = Watched(system, "fates")
    opened, tunnel = await client.upgrade(system.ingress_port, "/fates", [("x-stub", '{"upgrade": true}')])
    async with tunnel:
        await tunnel.send(b"ping")
        assert (opened.status, await tunnel.read()) == (101, b"ping")
    assert await client.request(system.ingress_port, "POST", "/fates", told(fates_champ=OK, fates_rival=OK))
    assert await watched.counts(1) == {"paired": 1}
