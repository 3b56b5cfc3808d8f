"""The tail call of a graph with sub-calls: Envoy's, with the body that the step before made, streamed to the client."""

import gzip
import json
import time

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client
from tests.kit.behaviour import PATTERN
from tests.kit.client import RawConnection, Response

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: tails}
spec:
  match: [{prefix: /tails}]
  timeout: 1s
  maxBody: 8MiB
  models:
    first: {url: "http://<tail-first>"}
    last: {url: "http://<tail-last>"}
    again: {url: "http://<tail-last>", retries: {attempts: 2, on: [5xx, reset], backoff: 5ms}}
  nodes:
    root:
      switch:
        cases:
          - {name: retried, when: 'request.path == "/tails/retried"', to: retried}
          - {name: made, when: 'request.path == "/tails/made"', to: made}
          - {name: fallback, when: 'request.path == "/tails/fallback"', to: {fallback: {routes: [{to: first}, {to: last}]}}}
          - {name: cascade, when: 'request.path == "/tails/cascade"', to: cascade}
        default: plain
    plain: {chain: {steps: [{name: one, to: first}, {name: two, to: last}]}}
    retried: {chain: {steps: [{name: one, to: first}, {name: two, to: again}]}}
    made: {chain: {steps: [{name: one, to: first}, {name: two, to: last, input: {status: "${steps.one.status}"}}]}}
    cascade: {cascade: {routes: [{to: first, accept: "false"}, {to: last}]}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: tailsmall}
spec:
  match: [{prefix: /tailsmall}]
  maxBody: 1KiB
  models:
    first: {url: "http://<tail-first>"}
    last: {url: "http://<tail-last>"}
    again: {url: "http://<tail-last>", retries: {attempts: 2, on: [5xx], backoff: 5ms}}
  nodes:
    root: {switch: {cases: [{name: again, when: 'request.path == "/tailsmall/again"', to: retried}], default: plain}}
    plain: {chain: {steps: [{name: one, to: first}, {name: two, to: last}]}}
    retried: {chain: {steps: [{name: one, to: first}, {name: two, to: again}]}}
"""
STREAMED = {
    "": "root=default,first,last",
    "fallback": "root=fallback,first!500,last",
    "cascade": "root=cascade,first,last",
}
ROUTES_SMALL = {"/tailsmall": "root=default,first,last", "/tailsmall/again": "root=again,first,again"}
TIMEOUT = 1.0
MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in ("tail-first", "tail-last"):
        models[name].forget()


def told(first=None, last=None) -> list[tuple[str, str]]:
    """Tells the stubs how to answer."""
    return [(f"x-stub-tail-{name}", json.dumps(how)) for name, how in (("first", first), ("last", last)) if how]


async def ask(system: Running, path: str, headers=(), body: bytes = b"the client's own body", **others) -> Response:
    """Posts a body."""
    others = {"method": "POST", "target": path, **others}
    return await client.request(system.ingress_port, headers=headers, body=body, **others)


def pattern(size: int) -> bytes:
    """What a stub answers for so many bytes."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


@pytest.mark.parametrize("size", [0, 1, 21, 22, 1000, 100_000, 5 * MEGABYTE])
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
async def test_a_rewritten_body(system: Running, models: Models, size, framing):
    """The last model gets the first one's response, of exactly its length, whatever the client sent and how."""
    headers = [*told({"size": size}), ("content-type", "text/plain")]
    body = b"the client's own body"
    if framing == "chunked":
        headers.append(("transfer-encoding", "chunked"))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    answer = await ask(system, "/tails", headers, body)
    assert (answer.status, answer.header("x-extproc-route")) == (200, "root=default,first,last")
    (seen,) = models["tail-last"].requests
    assert seen.body == pattern(size)
    assert (seen.header("content-length"), seen.header("transfer-encoding")) == (str(size), None)
    assert (seen.header("content-type"), seen.method) == ("application/octet-stream", "POST")


@pytest.mark.parametrize("size", [0, 1000, 5 * MEGABYTE])
async def test_a_body_where_there_was_none(system: Running, models: Models, size):
    """A GET without a body reaches the last model as a GET with the first one's response."""
    answer = await ask(system, "/tails", told({"size": size}), b"", method="GET")
    assert answer.status == 200
    (seen,) = models["tail-last"].requests
    assert (seen.method, seen.body) == ("GET", pattern(size))
    assert (seen.header("content-length") in {None, str(size)}, seen.complete) == (True, True)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("body", [b"", b"the client's"])
async def test_a_template_is_posted(system: Running, models: Models, method, body):
    """A body that a template made goes out as POST, whatever the client sent, on the client's path with its query."""
    answer = await ask(system, "/tails/made", told({"status": 201}), body, method=method, target="/tails/made?q=%2F")
    assert (answer.status, answer.header("x-extproc-route")) == (200, "root=made,first,last")
    (seen,) = models["tail-last"].requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/tails/made?q=%2F", b'{"status":201}')
    assert seen.header("content-type") == "application/json"
    (first,) = models["tail-first"].requests
    assert (first.method, first.body) == (method, body)


async def test_the_clients_encoding_is_dropped_with_its_body(system: Running, models: Models):
    """A compressed body that nobody reads reaches the first model as it is; the rewritten one is not called compressed."""
    body = gzip.compress(b"the client's", mtime=0)
    answer = await ask(system, "/tails", [("content-encoding", "gzip"), *told({"json": 1})], body)
    assert answer.status == 200
    (first,), (last,) = models["tail-first"].requests, models["tail-last"].requests
    assert (first.body, first.header("content-encoding")) == (body, "gzip")
    assert (last.body, last.header("content-encoding")) == (b"1", None)


@pytest.mark.parametrize("size", [100, 3 * MEGABYTE])
@pytest.mark.parametrize("failure", [{"status": 503}, {"stop": "reset"}])
async def test_a_retry_sends_the_rewritten_body_again(system: Running, models: Models, size, failure):
    """Envoy tries the last model again with the first one's response, not the client's body; the first is called once."""
    models["tail-last"].script(failure)
    answer = await ask(system, "/tails/retried", told({"size": size}))
    assert answer.status == 200
    assert [seen.body == pattern(size) for seen in models["tail-last"].requests] == [True, True]
    assert [seen.header("content-length") for seen in models["tail-last"].requests] == [str(size)] * 2
    assert len(models["tail-first"].requests) == 1


@pytest.mark.parametrize("path", ["/tailsmall", "/tailsmall/again"])
async def test_a_rewritten_body_above_max_body(system: Running, models: Models, path):
    """The size limit is for what clients send, not for what models answer."""
    answer = await ask(system, path, told({"size": 3 * MEGABYTE}))
    assert (answer.status, answer.header("x-extproc-route")) == (200, ROUTES_SMALL[path])
    assert models["tail-last"].requests[0].body == pattern(3 * MEGABYTE)


async def test_the_last_step_has_the_rest_of_the_deadline(system: Running, models: Models):
    """After a slow first step the last model's time ends with the graph's; it is told how long that is."""
    start = time.monotonic()
    answer = await ask(system, "/tails", told({"delay": 0.6}, {"stop": "hang"}))
    took = time.monotonic() - start
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["model"]) == (504, "deadline", "last")
    assert answer.header("x-extproc-route") == "root=default,first,last"
    assert TIMEOUT - 0.05 < took < TIMEOUT + 0.4
    (seen,) = await models["tail-last"].wait_for_ended()
    assert seen.ended == "client_gone"


async def test_attempts_share_the_rest_of_the_deadline(system: Running, models: Models):
    """Where a timeout is tried again, both attempts fit what is left."""
    start = time.monotonic()
    answer = await ask(system, "/tails/retried", told({"delay": 0.4}, {"stop": "hang"}))
    took = time.monotonic() - start
    assert (answer.status, answer.json()["error"]["code"]) == (504, "deadline")
    assert len(models["tail-last"].requests) == 2
    assert TIMEOUT - 0.1 < took < TIMEOUT + 0.4


async def test_a_deadline_before_the_last_step(system: Running, models: Models):
    """A first step that takes all the time leaves none: 504 at the deadline, the last model is not called."""
    start = time.monotonic()
    answer = await ask(system, "/tails", told({"stop": "hang"}))
    took = time.monotonic() - start
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["model"]) == (504, "deadline", "first")
    assert TIMEOUT - 0.05 < took < TIMEOUT + 0.4
    assert models["tail-last"].requests == []


@pytest.mark.parametrize(("name", "route"), STREAMED.items())
async def test_events_of_the_last_model(system: Running, name, route):
    """Its events come one by one as they are made, also beyond the graph's deadline."""
    headers = told({"status": 500} if name == "fallback" else {"json": 1}, {"events": 6, "every": 0.25})
    answer = await ask(system, f"/tails/{name}", headers)
    assert (answer.status, answer.complete, answer.header("x-extproc-route")) == (200, True, route)
    assert answer.header("content-type") == "text/event-stream"
    sent = [json.loads(data.removeprefix(b"data: "))["sent"] for _, data in answer.arrivals]
    arrived = [at for at, _ in answer.arrivals]
    assert len(sent) == 6
    assert all(at < following for at, following in zip(arrived, sent[1:], strict=False))
    assert sent[-1] - sent[0] > TIMEOUT


async def test_the_first_event_is_not_held(system: Running):
    """The first event is read while the model has not made the second."""
    headers = told({"json": 1}, {"events": 2, "stop": "hang", "stop_at": "middle"})
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode("POST", "/tails", headers, b"{}"))
        answer = await connection.head()
        came = b""
        while b"\n\n" not in came:
            came += await connection.read(within=5)
    assert (answer.status, came.count(b"data: ")) == (200, 1)


@pytest.mark.parametrize("name", STREAMED)
async def test_chunks_and_large_responses_of_the_last_model(system: Running, name):
    """Chunks stay chunks, a large response keeps its length, a model's own error is passed on."""
    first = {"status": 500} if name == "fallback" else {"json": 1}
    answer = await ask(system, f"/tails/{name}", told(first, {"size": 5000, "chunks": 5, "every": 0.02}))
    assert (answer.header("transfer-encoding"), answer.header("content-length")) == ("chunked", None)
    assert [len(piece) for _, piece in answer.arrivals] == [1000] * 5
    answer = await ask(system, f"/tails/{name}", told(first, {"size": 5 * MEGABYTE}))
    assert (answer.body == pattern(5 * MEGABYTE), answer.header("content-length")) == (True, str(5 * MEGABYTE))
    answer = await ask(system, f"/tails/{name}", told(first, {"status": 503, "json": "own"}))
    assert (answer.status, answer.body) == (503, b'"own"')


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_last_model_that_breaks_off(system: Running, how):
    """In its body the client's connection ends too; before its headers it is 502 by name."""
    answer = await ask(system, "/tails", told({"json": 1}, {"size": 100_000, "stop": how, "stop_at": "middle"}))
    assert (answer.status, answer.complete) == (200, False)
    answer = await ask(system, "/tails", told({"json": 1}, {"stop": how}))
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["model"], error["graph"]) == (502, "upstream_failed", "last", "tails")
    assert answer.header("x-extproc-route") == "root=default,first,last"
