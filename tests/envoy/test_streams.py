"""Responses pass as they come: events and chunks one by one, not held, not changed."""

import itertools
import json

import pytest

from tests.envoy.running import Running
from tests.kit import client
from tests.kit.client import RawConnection

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: tokens}
spec:
  match: [{prefix: /tokens}]
  timeout: 1s
  models: {tokens: {url: "http://<tokens>"}}
  nodes: {root: {switch: {cases: [{name: body, when: 'request.path == "/tokens/body" && request.body.stream', to: tokens}], default: tokens}}}
"""


def asked(**behaviour) -> list[tuple[str, str]]:
    """Tells the stub how to answer."""
    return [("x-stub", json.dumps(behaviour))]


@pytest.mark.parametrize("path", ["/tokens", "/tokens/body"])
async def test_events_come_as_they_are_made(system: Running, path):
    """Each event is here before the next one is made, also beyond the graph's deadline, which ends at the headers."""
    answer = await client.request(system.ingress_port, "POST", path, asked(events=6, every=0.25), json={"stream": True})
    sent = [json.loads(data.removeprefix(b"data: "))["sent"] for _, data in answer.arrivals]
    assert (answer.complete, answer.header("content-type"), len(sent)) == (True, "text/event-stream", 6)
    arrived = [at for at, _ in answer.arrivals]
    assert all(at < following for at, following in zip(arrived, sent[1:], strict=False))
    assert sent[-1] - sent[0] > 1.0


async def test_the_first_event_is_not_held(system: Running):
    """The first event is read while the model has not made the second."""
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode(target="/tokens", headers=asked(events=2, stop="hang", stop_at="middle")))
        answer = await connection.head()
        came = b""
        while b"\n\n" not in came:
            came += await connection.read(within=5)
    assert answer.status == 200
    assert came.count(b"data: ") == 1


async def test_chunks_stay_chunks(system: Running):
    """A response of unknown length stays one, each chunk by itself, and its trailers follow."""
    answer = await client.request(system.ingress_port, target="/tokens", headers=asked(size=5000, chunks=5, every=0.05))
    assert answer.header("transfer-encoding") == "chunked"
    assert answer.header("content-length") is None
    assert [len(piece) for _, piece in answer.arrivals] == [1000] * 5
    assert all(later > earlier for (earlier, _), (later, _) in itertools.pairwise(answer.arrivals))


async def test_a_large_response(system: Running):
    """20 MB come back whole, and with their length."""
    answer = await client.request(system.ingress_port, target="/tokens", headers=asked(size=20_000_000))
    assert (answer.complete, len(answer.body), answer.header("content-length")) == (True, 20_000_000, "20000000")
    assert answer.body[:256] == bytes(range(256))


@pytest.mark.parametrize(
    "status", [200, 201, 204, 301, 304, 400, 401, 404, 409, 418, 422, 429, 500, 501, 502, 503, 504]
)
async def test_a_models_own_status_passes(system: Running, status):
    """What a model answers itself is passed on as it is, errors too: status, headers and body."""
    own = asked(status=status, json={"mine": status}, headers={"x-own": "yes", "server": "model/1", "retry-after": "7"})
    answer = await client.request(system.ingress_port, target="/tokens", headers=own)
    assert (answer.status, answer.header("x-own"), answer.header("server")) == (status, "yes", "model/1")
    assert answer.header("retry-after") == "7"
    assert answer.header("x-extproc-route") == "root=default,tokens"
    if status not in {204, 304}:
        assert answer.json() == {"mine": status}


async def test_a_compressed_response_passes(system: Running):
    """A response's encoding and repeated headers are not touched."""
    headers = [["content-encoding", "gzip"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]]
    answer = await client.request(system.ingress_port, target="/tokens", headers=asked(size=300, headers=headers))
    assert len(answer.body) == 300
    assert answer.header("content-encoding") == "gzip"
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]


async def test_a_models_control_headers_are_overwritten(system: Running):
    """What a model says of graph, route, model or failure is not what the client is shown."""
    spoofed = {"x-extproc-route": "spoofed", "x-extproc-graph": "spoofed@00000000", "x-extproc-failed": "UF"}
    answer = await client.request(system.ingress_port, target="/tokens", headers=asked(headers=spoofed, json=1))
    assert answer.header("x-extproc-route") == "root=default,tokens"
    assert (answer.header("x-extproc-graph") or "").startswith("tokens@")
    assert answer.header("x-extproc-failed") is None


async def test_a_models_request_id_is_not_ours(system: Running):
    """The client reads the id that it sent, whatever the model says."""
    headers = [*asked(headers={"x-request-id": "the model's"}, json=1), ("x-request-id", "mine")]
    answer = await client.request(system.ingress_port, target="/tokens", headers=headers)
    assert answer.header("x-request-id") == "mine"


async def test_a_client_that_leaves(system: Running, models):
    """A client that leaves in the middle of a stream ends the model's work."""
    stub = models["tokens"]
    stub.forget()
    connection = await RawConnection.open(system.ingress_port)
    await connection.send(client.encode(target="/tokens", headers=asked(events=1000, every=0.02)))
    await connection.head()
    connection.reset()
    (seen,) = await stub.wait_for_ended()
    assert seen.ended == "client_gone"
