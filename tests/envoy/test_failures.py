"""Models that fail: down, slow, breaking off, hanging; each is told as JSON that names graph, model and request."""

import asyncio
import json
import time

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client
from tests.kit.client import Response

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: failing}
spec:
  match: [{prefix: /failing}]
  timeout: 500ms
  models:
    gone: {url: "http://<down>"}
    unknown: {url: "http://no-such-host.invalid:80"}
    weak: {url: "http://<weak>"}
    quick: {url: "http://<quick>", timeout: 150ms}
  nodes:
    root:
      switch:
        cases:
          - {name: gone, when: 'request.path == "/failing/gone"', to: gone}
          - {name: unknown, when: 'request.path == "/failing/unknown"', to: unknown}
          - {name: quick, when: 'request.path == "/failing/quick"', to: quick}
        default: weak
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: failingbody}
spec:
  match: [{prefix: /failingbody}]
  timeout: 500ms
  whenAway: closed
  models:
    gone: {url: "http://<down>"}
    weak: {url: "http://<weak>"}
  nodes: {root: {switch: {cases: [{name: gone, when: request.body.to == "gone", to: gone}], default: weak}}}
"""


def asked(**behaviour) -> list[tuple[str, str]]:
    """Tells the stub how to answer."""
    return [("x-stub", json.dumps(behaviour)), ("x-request-id", "the-id")]


def check(answer: Response, status: int, code: str, **names: str) -> None:
    """The answer is an error made by the project, and says nothing of addresses."""
    assert (answer.status, answer.complete) == (status, True)
    assert answer.header("content-type") == "application/json"
    error = answer.json()["error"]
    assert error.pop("message")
    assert error == {"code": code, "requestId": "the-id", **names}
    assert b"127.0.0.1" not in answer.body
    assert answer.header("x-request-id") == "the-id"
    assert (answer.header("x-extproc-graph") or "").startswith(f"{names['graph']}@")
    assert (answer.header("x-extproc-route") or "").endswith(names["model"])


async def test_a_model_that_is_down(system: Running):
    """Nobody listens: 502."""
    answer = await client.request(system.ingress_port, target="/failing/gone", headers=asked())
    check(answer, 502, "upstream_failed", graph="failing", model="gone")


async def test_a_model_that_is_down_behind_a_body(system: Running):
    """The same from a graph that reads bodies."""
    answer = await client.request(system.ingress_port, "POST", "/failingbody", asked(), json={"to": "gone"})
    check(answer, 502, "upstream_failed", graph="failingbody", model="gone")


async def test_a_name_that_nobody_has(system: Running):
    """A host that cannot be resolved is one that cannot be reached."""
    answer = await client.request(system.ingress_port, target="/failing/unknown", headers=asked())
    check(answer, 502, "upstream_failed", graph="failing", model="unknown")


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("path", ["/failing", "/failingbody"])
async def test_a_model_that_breaks_off_before_its_answer(system: Running, how, path):
    """A connection that ends before the headers is 502."""
    answer = await client.request(system.ingress_port, "POST", path, asked(stop=how), json={})
    check(answer, 502, "upstream_failed", graph=path[1:], model="weak")


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("chunks", [None, 4])
async def test_a_model_that_breaks_off_in_its_body(system: Running, how, chunks):
    """A body that breaks off is told as one: the client's connection ends too, never a whole body."""
    behaviour = asked(size=100_000, chunks=chunks, stop=how, stop_at="middle")
    answer = await client.request(system.ingress_port, target="/failing", headers=behaviour)
    assert (answer.status, answer.complete) == (200, False)
    assert len(answer.body) < 100_000


@pytest.mark.parametrize("path", ["/failing", "/failingbody"])
async def test_the_graphs_deadline(system: Running, path):
    """A model that hangs is 504 at the graph's timeout."""
    start = time.monotonic()
    answer = await client.request(system.ingress_port, "POST", path, asked(stop="hang"), json={})
    took = time.monotonic() - start
    check(answer, 504, "deadline", graph=path[1:], model="weak")
    assert 0.4 < took < 5


async def test_the_models_own_timeout(system: Running):
    """A model's own timeout is shorter, and the error names the model."""
    start = time.monotonic()
    answer = await client.request(system.ingress_port, target="/failing/quick", headers=asked(delay=1.5))
    took = time.monotonic() - start
    check(answer, 504, "deadline", graph="failing", model="quick")
    assert 0.1 < took < 1.4


async def test_the_deadline_is_until_the_headers(system: Running):
    """A body that begins in time may take as long as it does."""
    behaviour = asked(size=1000, chunks=4, every=0.25)
    answer = await client.request(system.ingress_port, target="/failing", headers=behaviour)
    assert (answer.status, answer.complete, len(answer.body)) == (200, True, 1000)


async def test_the_deadline_does_not_count_the_upload(system: Running):
    """A client that is slow to send its body to a graph that reads it has the whole deadline after its last byte."""
    body = b'{"to": "weak"}'
    async with await client.RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode("POST", "/failingbody", [("content-length", str(len(body)))]))
        await connection.send_slowly(body, piece=2, every=0.12)
        answer = await connection.response()
    assert answer.status == 200


async def test_what_hangs_is_let_go(system: Running, models: Models):
    """At the deadline the model's side is ended too."""
    stub = models["weak"]
    stub.forget()
    await client.request(system.ingress_port, target="/failing", headers=asked(stop="hang"))
    (seen,) = await stub.wait_for_ended()
    assert seen.ended == "client_gone"


async def test_failures_do_not_spread(system: Running):
    """While one model hangs and another is down, requests to a third are served."""
    hanging = [client.request(system.ingress_port, target="/failing", headers=asked(stop="hang")) for _ in range(10)]
    failing = [client.request(system.ingress_port, target="/failing/gone", headers=asked()) for _ in range(10)]
    serving = [client.request(system.ingress_port, target="/failing/quick") for _ in range(10)]
    answers = await asyncio.gather(*hanging, *failing, *serving)
    assert [answer.status for answer in answers] == [504] * 10 + [502] * 10 + [200] * 10


async def test_what_is_no_http_from_a_model(system: Running):
    """A model whose answer Envoy cannot read is 502."""
    headers = asked(headers={"x-own": "line\r\nbroken"})
    answer = await client.request(system.ingress_port, target="/failing", headers=headers)
    check(answer, 502, "upstream_failed", graph="failing", model="weak")
