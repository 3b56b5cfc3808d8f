"""Large bodies: streamed where nobody reads them, bounded by maxBody where somebody does."""

import asyncio
import json

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client
from tests.kit.client import NoResponse, RawConnection

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: streamed}
spec:
  match: [{path: /streamed}]
  maxBody: 1KiB
  models: {streamed: {url: "http://<streamed>"}}
  nodes: {root: {split: {by: 'request.headers["k"]', routes: [{to: streamed, weight: 1}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: bounded}
spec:
  match: [{path: /bounded}]
  maxBody: 256KiB
  models: {bounded: {url: "http://<bounded>"}}
  nodes: {root: {split: {by: request.body.k, routes: [{to: bounded, weight: 1}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: roomy}
spec:
  match: [{path: /roomy}]
  maxBody: 16MiB
  models: {roomy: {url: "http://<roomy>"}}
  nodes: {root: {split: {by: request.body.k, routes: [{to: roomy, weight: 1}]}}}
"""
MAX = 256 * 1024
CHUNK = 16384


def document(size: int) -> bytes:
    """A JSON object of so many bytes."""
    return b'{"k": 1, "pad": "' + b"x" * (size - 19) + b'"}'


def chunked(body: bytes) -> bytes:
    """The body in chunks."""
    pieces = (body[start : start + CHUNK] for start in range(0, len(body), CHUNK))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def test_32_mb_are_not_held(system: Running, models: Models):
    """Where only headers are read, the model has the first bytes before the client sent the last; all 32 MB arrive."""
    stub = models["streamed"]
    stub.forget()
    body = bytes(range(256)) * (32 * 4096)
    async with await RawConnection.open(system.ingress_port) as connection:
        head = client.encode("POST", "/streamed", [("content-length", str(len(body)))])
        await connection.send(head + body[:100_000])
        await stub.until(lambda: len(stub.requests) == 1)
        assert not stub.requests[0].complete
        await connection.send(body[100_000:])
        answer = await connection.response()
    assert (answer.status, answer.json()["body_length"]) == (200, len(body))
    assert stub.requests[0].body == body
    stub.forget()


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
@pytest.mark.parametrize("size", [MAX - 1, MAX])
async def test_up_to_max_body(system: Running, framing, size):
    """A body of maxBody bytes is read and passed on, however it is framed."""
    answer = await post(system, "/bounded", document(size), framing)
    assert (answer.status, answer.json()["body_length"]) == (200, size)


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
@pytest.mark.parametrize("size", [MAX + 1, MAX + 1000, MAX * 2])
async def test_above_max_body(system: Running, models: Models, framing, size):
    """One byte more is 413, and the model is not asked."""
    models["bounded"].forget()
    answer = await post(system, "/bounded", document(size), framing)
    assert (answer.status, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert answer.json()["error"]["graph"] == "bounded"
    assert models["bounded"].requests == []


async def test_far_above_max_body(system: Running, models: Models):
    """A client that goes on sending is answered 413 or cut off, never served."""
    models["bounded"].forget()
    try:
        answer = await post(system, "/bounded", document(8 * 1024 * 1024), "content-length")
    except (NoResponse, ConnectionError):
        pass
    else:
        assert answer.status == 413
    assert models["bounded"].requests == []


async def test_bodies_above_grpcs_own_limit(system: Running):
    """8 MB are read by the processor where maxBody allows them."""
    size = 8 * 1024 * 1024
    answer = await post(system, "/roomy", document(size), "content-length")
    assert (answer.status, answer.json()["body_length"]) == (200, size)


async def test_many_bodies_at_once(system: Running):
    """Bodies that are held side by side do not mix."""
    sizes = [10_000 + 997 * n for n in range(24)]
    answers = await asyncio.gather(*(post(system, "/bounded", document(size), "chunked") for size in sizes))
    assert [answer.json()["body_length"] for answer in answers] == sizes


async def test_a_body_in_drops(system: Running):
    """A body that comes in single bytes is read whole."""
    body = json.dumps({"k": "drops"}).encode()
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode("POST", "/bounded", [("content-length", str(len(body)))]))
        await connection.send_slowly(body, piece=1, every=0.002)
        answer = await connection.response()
    assert (answer.status, answer.json()["body_length"]) == (200, len(body))


async def test_a_client_that_leaves_in_its_body(system: Running, models: Models):
    """An upload that breaks off reaches no model, and the next request is served."""
    models["bounded"].forget()
    connection = await RawConnection.open(system.ingress_port)
    await connection.send(client.encode("POST", "/bounded", [("content-length", "1000")], b'{"k":'))
    connection.reset()
    answer = await post(system, "/bounded", document(100), "content-length")
    assert answer.status == 200
    assert len(models["bounded"].requests) == 1


async def test_expect_100_continue(system: Running):
    """A client that waits for leave to send its body gets it."""
    answer = await client.request(system.ingress_port, "POST", "/bounded", [("expect", "100-continue")], document(100))
    assert (answer.status, answer.interim) == (200, [100])


async def post(system: Running, path: str, body: bytes, framing: str) -> client.Response:
    """Sends a body framed one way or the other."""
    if framing == "content-length":
        return await client.request(system.ingress_port, "POST", path, body=body)
    headers = [("transfer-encoding", "chunked")]
    return await client.request(system.ingress_port, "POST", path, headers, chunked(body))
