"""What of a call reaches the model, and what of a response comes back."""

import random

import pytest

from extproc.calls import EnvoyCaller
from extproc.engine.calling import Reply
from tests.calls.egress import Forwarder

pytestmark = pytest.mark.envoy

HOPS = ("connection", "keep-alive", "transfer-encoding", "content-length", "server", "x-envoy-upstream-service-time")


async def sent(stub, caller, call):
    """The request as the model saw it."""
    stub.forget()
    reply = await caller.call(call)
    assert isinstance(reply, Reply)
    return stub.requests[-1]


@pytest.mark.parametrize("target", ["/", "/?", "/a//b/../%2f;x?q=%zz&q&=?"])
async def test_the_target_arrives_as_it_was(caller, call, models, target):
    """Nothing of path and query is decoded, encoded or tidied up."""
    seen = await sent(models["m"], caller, call("m", target=target))
    assert seen.path == target


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("body", [None, b"", bytes(range(256)) * 100])
async def test_method_and_body_arrive_as_they_were(caller, call, models, method, body):
    """The client's method, the body byte for byte, its exact length, and no length where there is no body."""
    seen = await sent(models["m"], caller, call("m", method=method, body=body, headers={"content-length": "3"}))
    assert (seen.method, seen.body) == (method, body or b"")
    assert seen.header("content-length") in ({None, "0"} if body is None else {str(len(body))})
    assert seen.header("transfer-encoding") is None


@pytest.mark.parametrize("name", ["m", "h2"])
async def test_the_clients_headers_arrive_and_no_others(caller, call, models, name):
    """Nothing is added for the client but the deadline, the loop guard and the encoding."""
    headers = {
        "user-agent": "client/1",
        "content-type": "x/y",
        "x-request-id": "id-7",
        "cookie": "a=b",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "https",
        "traceparent": "00-11111111111111111111111111111111-2222222222222222-01",
        "x-unicode": "é",
        "accept-encoding": "gzip",
        "expect": "100-continue",
        "x-envoy-retry-on": "5xx",
        "x-envoy-max-retries": "9",
        "x-extproc-model": "calls/other",
    }
    seen = await sent(models[name], caller, call(name, headers=headers, left=7.0))
    got = {key.lower(): value for key, value in seen.headers if not key.startswith(":")}
    kept = [key for key in headers if key.split("-")[0] not in {"accept", "expect"} and "x-e" not in key]
    assert got.pop("x-unicode") in {"é", "Ã©"}  # the stubs read UTF-8 in different ways
    kept.remove("x-unicode")
    assert {key: got.pop(key) for key in kept} == {key: headers[key] for key in kept}
    assert 6000 < int(got.pop("x-envoy-expected-rq-timeout-ms")) <= 7000
    got.pop("host", None)
    assert got == {"accept-encoding": "identity", "cdn-loop": "extproc", "content-length": "2"}


async def test_no_headers_are_invented(caller, call, models):
    """A client without user-agent, accept and content-type has none towards the model either."""
    seen = await sent(models["m"], caller, call("m"))
    assert not {key.lower() for key, _ in seen.headers} & {"user-agent", "accept", "content-type", "cookie"}
    assert seen.header("host") == f"127.0.0.1:{models['m'].port}"


async def test_the_models_route_rewrites(caller, call, models):
    """The model's path takes the place of the client's, the query stays; its headers are set and removed."""
    made = call("path", target="/other?q=1&r=%20", headers={"x-drop": "1", "x-key": "mine", "x-keep": "2"})
    seen = await sent(models["path"], caller, made)
    assert seen.path == "/v1/models/m:predict?q=1&r=%20"
    assert (seen.header("x-key"), seen.header("x-drop"), seen.header("x-keep")) == ("secret", None, "2")
    assert seen.header("host") == f"127.0.0.1:{models['path'].port}"


@pytest.mark.parametrize("status", [200, 201, 204, 301, 304, 307, 400, 404, 429, 500, 503, 599])
async def test_a_status_is_a_value(caller, call, models, recorded, status):
    """Any status of the model's own is a reply, a redirect included."""
    headers = [("location", "/elsewhere"), ("x-extproc-failed", "UF"), ("x-envoy-attempt-count", "7")]
    models["m"].script({"status": status, "headers": headers, "body": b"its own"})
    reply = await caller.call(call("m"))
    assert (reply.status, reply.body) == (status, b"" if status in {204, 304} else b"its own")
    assert "x-extproc-failed" not in reply.header_map
    assert "x-envoy-attempt-count" not in reply.header_map
    assert reply.header_map["location"] == "/elsewhere"
    assert recorded.calls == [("m", f"{status // 100}xx", 1, False)]


async def test_response_headers_come_as_pairs(caller, call, models):
    """Repeated headers stay apart and in order; hop-by-hop ones and Envoy's own are gone."""
    headers = [
        ("Set-Cookie", "a=1; Path=/"),
        ("X-One", "1"),
        ("set-cookie", "b=2"),
        ("x-text", "caf\u00e9"),
        ("x-extproc-route", "r"),
    ]
    models["m"].script({"headers": [*headers, ("keep-alive", "timeout=5"), ("proxy-status", "x")]})
    reply = await caller.call(call("m"))
    wanted = [("set-cookie", "a=1; Path=/"), ("x-one", "1"), ("set-cookie", "b=2"), ("x-text", "café")]
    assert [pair for pair in reply.headers if pair[0] not in {"date", "content-type"}] == wanted
    assert not set(reply.header_map) & set(HOPS)
    models["m"].forget()
    await caller.call(call("m"))
    assert models["m"].requests[0].header("cookie") is None


@pytest.mark.parametrize("size", [0, 1, 65_535, 300_000, 5_000_000])
@pytest.mark.parametrize("chunks", [None, 7])
async def test_bodies_come_whole(caller, call, models, size, chunks):
    """A body of any size arrives byte for byte, with a length told or not, both ways."""
    body = random.Random(size).randbytes(size)
    models["m"].script({"echo": True, "chunks": chunks})
    reply = await caller.call(call("m", body=body))
    assert reply.body == body


async def test_a_body_is_not_decompressed(caller, call, models):
    """A model that compresses in spite of identity is passed on as it is."""
    models["m"].script({"body": b"no gzip at all", "headers": [("content-encoding", "gzip")]})
    reply = await caller.call(call("m"))
    assert (reply.body, reply.header_map["content-encoding"]) == (b"no gzip at all", "gzip")


async def test_head_has_no_body(caller, call, models):
    """The answer to HEAD tells a length and has no body, however long it says."""
    models["m"].script({"size": 70_000_000})
    reply = await caller.call(call("m", method="HEAD", body=None))
    assert (reply.status, reply.body) == (200, b"")


async def test_large_heads_pass(caller, call, models):
    """Headers as large and as many as Envoy lets pass are read."""
    models["m"].script({"headers": [(f"x-{n}", "v" * 500) for n in range(90)]})
    reply = await caller.call(call("m"))
    assert sum(name.startswith("x-") for name, _ in reply.headers) == 90
    models["m"].script({"headers": [("x-big", "v" * 50_000)]})
    assert (await caller.call(call("m"))).header_map["x-big"] == "v" * 50_000


async def test_connections_are_kept(caller, call, egress):
    """Calls one after the other share one connection to Envoy."""
    name = "http.egress.downstream_cx_total"
    await caller.call(call("m"))
    before = egress.stats(name)
    for _ in range(5):
        await caller.call(call("m"))
        await caller.call(call("other", method="GET", body=None))
    assert egress.stats(name) == before


async def test_over_tcp(egress, call):
    """The egress may be a host and a port."""
    async with Forwarder(egress.address) as port:
        caller = EnvoyCaller(f"127.0.0.1:{port}", random.Random(1))
        assert isinstance(await caller.call(call("m", body=b"x")), Reply)
        await caller.close()


async def test_a_caller_tells_its_state(egress, call):
    """The address, whether it is open, and what is in flight."""
    caller = EnvoyCaller(egress.address, random.Random(1))
    assert repr(caller) == f"<EnvoyCaller <Egress {egress.address} 0 connections, 0 idle> <Slots free>>"
    await caller.call(call("m"))
    assert repr(caller) == f"<EnvoyCaller <Egress {egress.address} 1 connections, 1 idle> <Slots free>>"
    await caller.close()
    assert repr(caller) == f"<EnvoyCaller <Egress {egress.address} closed> <Slots free>>"
