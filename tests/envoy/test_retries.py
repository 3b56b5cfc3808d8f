"""Retries: as often, and for such causes, as a model's settings say; each attempt is counted at the stub."""

import json

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: again}
spec:
  match: [{prefix: /again}]
  timeout: 2s
  models:
    plain: {url: "http://<again-plain>"}
    number: {url: "http://<again-number>", retries: 3}
    once: {url: "http://<again-once>", retries: 1}
    errors: {url: "http://<again-errors>", retries: {attempts: 3, on: [5xx], backoff: 5ms}}
    busy: {url: "http://<again-busy>", retries: {attempts: 2, on: ["429"], backoff: 5ms}}
    reset: {url: "http://<again-reset>", retries: {attempts: 4, on: [reset], backoff: 5ms}}
    timeout: {url: "http://<again-timeout>", timeout: 150ms, retries: {attempts: 2, on: [timeout], backoff: 5ms}}
    connect: {urls: ["http://<down:again>", "http://<again-connect>"], retries: {attempts: 3, on: [connect], backoff: 5ms}}
  nodes:
    root:
      switch:
        cases:
          - {when: 'request.path == "/again/number"', to: number}
          - {when: 'request.path == "/again/once"', to: once}
          - {when: 'request.path == "/again/errors"', to: errors}
          - {when: 'request.path == "/again/busy"', to: busy}
          - {when: 'request.path == "/again/reset"', to: reset}
          - {when: 'request.path == "/again/timeout"', to: timeout}
          - {when: 'request.path == "/again/connect"', to: connect}
        default: plain
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: againbody}
spec:
  match: [{path: /againbody}]
  maxBody: 16MiB
  models: {errors: {url: "http://<again-body>", retries: {attempts: 2, on: [5xx], backoff: 5ms}}}
  nodes: {root: {split: {by: request.body.k, routes: [{to: errors, weight: 1}]}}}
"""
STOP = {"stop": "reset"}
FAILING = {"status": 503, "json": "busy"}
MANY = {"status": 429, "json": "many"}
SLOW = {"delay": 5}


@pytest.mark.parametrize(
    ("name", "script", "status", "attempts"),
    [
        ("plain", [FAILING], 503, 1),
        ("plain", [MANY], 429, 1),
        ("plain", [STOP], 502, 1),
        ("number", [FAILING], 503, 1),
        ("number", [STOP], 502, 1),
        ("once", [STOP], 502, 1),
        ("errors", [FAILING], 200, 2),
        ("errors", [FAILING, {"status": 500}], 200, 3),
        ("errors", [FAILING, FAILING, FAILING], 503, 3),
        ("errors", [MANY], 429, 1),
        ("errors", [STOP], 502, 1),
        ("busy", [MANY], 200, 2),
        ("busy", [MANY, MANY], 429, 2),
        ("busy", [FAILING], 503, 1),
        ("reset", [STOP, STOP], 200, 3),
        ("reset", [STOP] * 4, 502, 4),
        ("reset", [{"stop": "close"}], 200, 2),
        ("reset", [FAILING], 503, 1),
        ("timeout", [SLOW], 200, 2),
        ("timeout", [SLOW, SLOW], 504, 2),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_attempts(system: Running, models: Models, *, method, name, script, status, attempts):
    """A request is tried again for the causes listed and for no other, and its last answer is the client's."""
    stub = models[f"again-{name}"]
    stub.forget()
    stub.script(*script)
    body = b"the body" if method == "POST" else b""
    answer = await client.request(system.ingress_port, method, f"/again/{name}", body=body)
    assert (answer.status, len(stub.requests)) == (status, attempts)
    assert {seen.body for seen in stub.requests if seen.complete} == {body}
    if status in {429, 503}:
        assert answer.body == json.dumps("many" if status == 429 else "busy").encode()
    assert answer.header("x-extproc-route") in {f"root={name},{name}", "root=default,plain"}


async def test_a_refused_connection_is_tried_again(system: Running, models: Models):
    """With one endpoint of two down, every request is answered by the other."""
    models["again-connect"].forget()
    answers = [await client.request(system.ingress_port, "POST", "/again/connect", body=b"x") for _ in range(12)]
    assert [answer.status for answer in answers] == [200] * 12
    assert len(models["again-connect"].requests) == 12


async def test_a_kept_connection_that_was_closed_is_tried_again(system: Running, models: Models):
    """A connection that the model closed while it was idle costs no request."""
    stub = models["again-plain"]
    for _ in range(5):
        stub.script({"headers": {"connection": "close"}})
        answers = [await client.request(system.ingress_port, "POST", "/again/plain", body=b"x") for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]


@pytest.mark.parametrize("size", [100, 200_000, 5_000_000])
async def test_a_body_is_sent_again(system: Running, models: Models, size):
    """The next attempt carries the same body, as large as maxBody allows."""
    stub = models["again-body"]
    stub.forget()
    stub.script(FAILING)
    body = b'{"k": 1, "pad": "' + b"x" * size + b'"}'
    answer = await client.request(system.ingress_port, "POST", "/againbody", body=body)
    assert (answer.status, len(stub.requests)) == (200, 2)
    assert {seen.body for seen in stub.requests} == {body}
    stub.forget()


@pytest.mark.parametrize("size", [100, 200_000])
async def test_a_body_that_nobody_reads_is_sent_again(system: Running, models: Models, size):
    """A body that is streamed is kept for the next attempt, up to the default maxBody."""
    stub = models["again-errors"]
    stub.forget()
    stub.script(FAILING)
    answer = await client.request(system.ingress_port, "POST", "/again/errors", body=b"x" * size)
    assert (answer.status, len(stub.requests)) == (200, 2)
