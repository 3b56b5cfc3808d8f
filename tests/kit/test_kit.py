"""The kit keeps what it promises to the tests that stand on it."""

import asyncio
import hashlib
import itertools
import json
import subprocess
import time

import pytest

from tests.kit import client
from tests.kit.client import NoResponse, RawConnection
from tests.kit.stub import H2Stub, ModelStub, free_port

KINDS = [pytest.param(ModelStub, client.request, id="http1"), pytest.param(H2Stub, client.h2_request, id="http2")]


@pytest.fixture
def stub():
    with ModelStub("m") as running:
        yield running


@pytest.mark.parametrize(("kind", "request_"), KINDS)
async def test_describes_the_request(kind, request_):
    """A stub answers with what it saw, and records the same."""
    with kind("m") as stub:
        answer = await request_(stub.port, "POST", "/v1/x:predict?a=b", [("x-one", "1"), ("x-one", "2")], b"{}")
        (seen,) = await stub.wait_for_ended()
    assert (answer.status, answer.complete) == (200, True)
    assert answer.json() == {
        "model": "m",
        "method": "POST",
        "path": "/v1/x:predict?a=b",
        "body_length": 2,
        "body_sha256": hashlib.sha256(b"{}").hexdigest(),
        "headers": answer.json()["headers"],
    }
    assert answer.json()["headers"]["x-one"] == "1,2"
    assert (seen.body, seen.complete, seen.reused, seen.ended) == (b"{}", True, False, "answered")


@pytest.mark.parametrize(("kind", "request_"), KINDS)
async def test_scripts_go_before_the_standing_behaviour(kind, request_):
    """Scripted behaviours serve one request each, then the standing one holds; a request's own header beats both."""
    with kind("m") as stub:
        stub.behave(status=429, json={"error": "slow down"}, headers=[("retry-after", "1")])
        stub.script({"status": 503}, {"body": b"raw"})
        statuses = [(await request_(stub.port)).status for _ in range(3)]
        told = await request_(stub.port, headers=[("x-stub-m", '{"status": 418}'), ("x-stub", '{"status": 500}')])
        last = await request_(stub.port)
    assert statuses == [503, 200, 429]
    assert told.status == 418
    assert (last.json(), last.header("retry-after")) == ({"error": "slow down"}, "1")


@pytest.mark.parametrize(("kind", "request_"), KINDS)
async def test_large_bodies_both_ways(kind, request_):
    """A body larger than every buffer and window arrives whole in both directions."""
    body = bytes(range(256)) * 4096
    with kind("m", echo=True) as stub:
        answer = await request_(stub.port, "POST", "/", body=body)
        stub.behave(size=2_000_001)
        large = await request_(stub.port)
    assert answer.body == body
    assert len(large.body) == 2_000_001


@pytest.mark.parametrize(("kind", "request_"), KINDS)
async def test_events_arrive_one_by_one(kind, request_):
    """Server-sent events arrive as they are sent, with their times, and trailers after them."""
    with kind("m", events=4, every=0.03, trailers=[("x-end", "yes")]) as stub:
        answer = await request_(stub.port)
    sent = [json.loads(data.removeprefix(b"data: "))["sent"] for _, data in answer.arrivals]
    assert answer.header("content-type") == "text/event-stream"
    assert len(sent) == 4
    assert all(later - earlier >= 0.02 for earlier, later in itertools.pairwise(sent))
    assert all(at >= left for (at, _), left in zip(answer.arrivals, sent, strict=True))
    assert answer.trailers == [("x-end", "yes")]


@pytest.mark.parametrize(("kind", "request_"), KINDS)
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_breaks_off_before_the_response(kind, request_, how):
    """A stub may break off without an answer."""
    with kind("m", stop=how) as stub:
        with pytest.raises(NoResponse):
            await request_(stub.port)
        assert [seen.ended for seen in await stub.wait_for_ended()] == ["cut"]


@pytest.mark.parametrize(("kind", "request_"), KINDS)
@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("chunks", [None, 4])
async def test_breaks_off_in_the_middle(kind, request_, how, chunks):
    """A stub may break off after the headers and half of the body."""
    with kind("m", size=1000, chunks=chunks, every=0.02, stop=how, stop_at="middle") as stub:
        answer = await request_(stub.port)
    assert (answer.status, answer.complete) == (200, False)
    assert len(answer.body) in {0, 500}  # a reset may overtake what was sent before it


@pytest.mark.parametrize(("kind", "request_"), KINDS)
async def test_hangs_until_released(kind, request_):
    """A hanging stub answers once it is released."""
    with kind("m", stop="hang") as stub:
        asking = asyncio.create_task(request_(stub.port))
        (seen,) = await stub.wait_for_requests()
        assert (asking.done(), seen.ended) == (False, None)
        stub.release()
        assert (await asking).status == 200


@pytest.mark.parametrize(("kind", "request_"), KINDS)
async def test_notices_a_client_that_leaves(kind, request_):
    """A peer that goes before its answer is noted, and ends the stub's work."""
    with kind("m", stop="hang") as stub:
        asking = asyncio.create_task(request_(stub.port))
        await stub.wait_for_requests()
        asking.cancel()
        assert [seen.ended for seen in await stub.wait_for_ended()] == ["client_gone"]


async def test_delay(stub):
    """A delay holds back the headers."""
    stub.behave(delay=0.05)
    start = time.monotonic()
    await client.request(stub.port)
    assert time.monotonic() - start >= 0.05


async def test_json_of_the_request(stub):
    """A behaviour's JSON may be a function of the request."""
    stub.behave(json=lambda seen: {"predictions": seen.json()["instances"]})
    answer = await client.request(stub.port, "POST", "/", json={"instances": [1, 2]})
    assert answer.json() == {"predictions": [1, 2]}


@pytest.mark.parametrize("target", ["/a/../b", "//", "/a%2fb", "/a%2Fb?x=%20", "*", "http://other/x"])
async def test_targets_stay_as_they_are(stub, target):
    """The client sends, and the stub records, a target without normalising it."""
    answer = await client.request(stub.port, target=target)
    assert answer.json()["path"] == target


async def test_connections_are_reused(stub):
    """Two requests on one connection are told apart from two connections; pipelined ones are answered in order."""
    async with await RawConnection.open(stub.port) as connection:
        await connection.send(client.encode(target="/1") + client.encode("POST", "/2", body=b"x"))
        answers = [await connection.response() for _ in range(2)]
    await client.request(stub.port, target="/3")
    assert [answer.json()["path"] for answer in answers] == ["/1", "/2"]
    assert [(seen.connection, seen.reused) for seen in stub.requests] == [(1, False), (1, True), (2, False)]


async def test_slow_chunked_upload(stub):
    """A request in small pieces, chunked and with trailers, is seen from its head on and read to its end."""
    body = b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n"
    async with await RawConnection.open(stub.port) as connection:
        await connection.send(client.encode("POST", "/", [("transfer-encoding", "chunked")]))
        await stub.until(lambda: len(stub.requests) == 1)
        assert not stub.requests[0].complete
        await connection.send_slowly(body, piece=7, every=0.001)
        await connection.response()
    assert (stub.requests[0].body, stub.requests[0].trailers) == (b"abcdefg", [("x-sum", "7")])


async def test_an_upload_that_never_ends(stub):
    """A client that leaves in its body is gone, and its request is not complete."""
    connection = await RawConnection.open(stub.port)
    await connection.send(client.encode("POST", "/", [("content-length", "10")], b"abc"))
    await stub.until(lambda: len(stub.requests) == 1)
    connection.reset()
    (seen,) = await stub.wait_for_ended()
    assert (seen.complete, seen.ended) == (False, "client_gone")


async def test_expect_continue_and_head(stub):
    """An interim response is kept apart, and HEAD has a length without a body."""
    answer = await client.request(stub.port, "POST", headers=[("expect", "100-continue")], body=b"x")
    head = await client.request(stub.port, "HEAD")
    assert answer.interim == [100]
    assert (head.body, head.complete, head.header("content-length") != "0") == (b"", True, True)


async def test_upgrade(stub):
    """An accepted upgrade is a tunnel; one that is not accepted is a plain request."""
    refused, connection = await client.upgrade(stub.port)
    await connection.close()
    stub.behave(upgrade=True)
    accepted, tunnel = await client.upgrade(stub.port)
    async with tunnel:
        await tunnel.send(b"ping")
        assert await tunnel.read() == b"ping"
    assert (refused.status, accepted.status) == (200, 101)


async def test_what_is_no_http(stub):
    """Bytes that are no request are noted and end the connection."""
    with pytest.raises(NoResponse):
        await client.send_raw(stub.port, b"nonsense\r\n\r\n")
    assert len(stub.faults) == 1


async def test_waiting_tells_the_state(stub):
    """A wait that fails says what the stub had seen."""
    await client.request(stub.port)
    with pytest.raises(TimeoutError, match=r"ModelStub m .*requests=\['answered'\]"):
        await stub.wait_for_requests(2, within=0.01)


async def test_h2_requests_share_a_stubs_log():
    """Trailers of an HTTP/2 request are recorded, and a connection-specific header is none of the answer's."""
    with H2Stub("g") as stub:
        answer = await client.h2_request(stub.port, "POST", "/s/M", [("te", "trailers")], b"x", trailers=[("x-t", "1")])
        assert (answer.status, stub.requests[0].trailers) == (200, [("x-t", "1")])
        assert stub.requests[0].header("host") == "test.local"


def test_works_while_a_test_blocks(stub):
    """A stub answers a foreign process while the test's own thread waits for it."""
    script = f"import urllib.request as u; print(u.urlopen('{stub.url}/x').status)"
    done = subprocess.run(["python3", "-c", script], check=True, capture_output=True, timeout=30)  # noqa: S607
    assert done.stdout == b"200\n"


async def test_refused():
    """Nobody listens on a free port, nor on that of a stub that was closed."""
    with ModelStub() as stub:
        port = stub.port
    for closed in (free_port(), port):
        with pytest.raises(ConnectionRefusedError):
            await client.request(closed)
