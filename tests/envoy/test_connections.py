"""Connections: kept alive, pipelined, HTTP/2, HTTP/1.0."""

import asyncio

import pytest

from tests.envoy.running import Running
from tests.kit import client
from tests.kit.client import RawConnection

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: lines}
spec:
  match: [{prefix: /lines}]
  models:
    line-a: {url: "http://<line-a>"}
    line-b: {url: "http://<line-b>"}
  nodes:
    root:
      switch:
        cases:
          - {name: a, when: 'request.query["to"] == "a"', to: line-a}
          - {name: b, when: 'request.query["to"] == "b"', to: line-b}
          - {name: none, when: 'request.query["to"] == "none"', to: {respond: {status: 410, body: gone}}}
          - {name: body, when: 'request.body.to == "a"', to: line-a}
        default: line-b
"""


async def test_many_requests_on_one_connection(system: Running):
    """Requests on one connection each go their own way, answers of every kind among them."""
    async with await RawConnection.open(system.ingress_port) as connection:
        for number in range(30):
            to = ("a", "b", "none")[number % 3]
            await connection.send(client.encode("POST", f"/lines/{number}?to={to}", body=b"x" * number))
            answer = await connection.response()
            assert answer.status == (410 if to == "none" else 200)
            assert answer.header("x-extproc-route") == ("root=none" if to == "none" else f"root={to},line-{to}")
            if to != "none":
                assert (answer.json()["path"], answer.json()["body_length"]) == (f"/lines/{number}?to={to}", number)


async def test_an_error_does_not_end_a_connection(system: Running):
    """After an answer that is an error the same connection serves on."""
    async with await RawConnection.open(system.ingress_port) as connection:
        statuses = []
        for request in (
            client.encode("POST", "/lines", [("content-encoding", "br")], b"{"),
            client.encode("GET", "/nowhere"),
            client.encode("GET", "/lines?to=a"),
        ):
            await connection.send(request)
            statuses.append((await connection.response()).status)
    assert statuses == [415, 404, 200]


async def test_a_connection_that_ends_is_told_to(system: Running):
    """Envoy ends an HTTP/1.1 connection after every 400, and says so, so that no client sends another request on it."""
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode("POST", "/lines", body=b"{"))
        answer = await connection.response()
        assert await connection.closed(within=5) == b""
    assert (answer.status, answer.header("connection")) == (400, "close")


async def test_pipelined_requests_are_answered_in_order(system: Running):
    """Requests sent without waiting are answered in their order, each by its own model."""
    asked = [("ab" if n % 3 else "ba")[n % 2] for n in range(12)]
    requests = b"".join(client.encode(target=f"/lines/{n}?to={to}") for n, to in enumerate(asked))
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(requests)
        answers = [await connection.response() for _ in asked]
    assert [answer.json()["path"] for answer in answers] == [f"/lines/{n}?to={to}" for n, to in enumerate(asked)]
    assert [answer.json()["model"] for answer in answers] == [f"line-{to}" for to in asked]


async def test_http2_by_prior_knowledge(system: Running):
    """A client that speaks HTTP/2 without TLS is served alike, bodies and answers included."""
    tail = await client.h2_request(system.ingress_port, "POST", "/lines", body=b'{"to": "a"}')
    answer = await client.h2_request(system.ingress_port, target="/lines?to=none")
    missing = await client.h2_request(system.ingress_port, target="/nowhere")
    assert (tail.status, tail.json()["model"], tail.header("x-extproc-route")) == (200, "line-a", "root=body,line-a")
    assert (answer.status, answer.body) == (410, b"gone")
    assert (missing.status, missing.json()["error"]["code"]) == (404, "no_graph")


async def test_many_http2_clients(system: Running):
    """HTTP/2 and HTTP/1.1 clients at the same time each get their own answer."""
    asking = [
        (client.h2_request if n % 2 else client.request)(system.ingress_port, target=f"/lines/{n}?to={'ab'[n % 3 > 0]}")
        for n in range(30)
    ]
    answers = await asyncio.gather(*asking)
    assert [answer.json()["path"] for answer in answers] == [f"/lines/{n}?to={'ab'[n % 3 > 0]}" for n in range(30)]


async def test_connection_close(system: Running):
    """A client that asks for the connection's end gets it after its answer."""
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode(target="/lines?to=a", headers=[("connection", "close")]))
        answer = await connection.response()
        assert await connection.closed(within=5) == b""
    assert answer.status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /lines HTTP/1.1\r\n\r\n",
        b"GET /lines HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        b"POST /lines?to=a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /lines?to=a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"GET /lines?to=a HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nonsense", "no host", "bad header", "two framings", "two lengths", "large header"],
)
async def test_what_is_no_request_is_refused(system: Running, data):
    """Envoy refuses what could be read in two ways, before any graph."""
    answer = await client.send_raw(system.ingress_port, data)
    assert answer.status in {400, 431}
    assert answer.header("x-extproc-route") is None
