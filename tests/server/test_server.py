"""The processor over real gRPC on a Unix socket, with both transports."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import grpc
import grpc.aio
import pytest

from extproc.errors import StartError
from tests.engine.deciding import Scripted, body, fed, generations, headers
from tests.exchange.talking import PLANS, exchange, readable
from tests.plan.building import plan
from tests.server.conftest import connected, listening, made

GOLD = headers({"x-tier": "gold"})
# grpc.health.v1.HealthCheckResponse: field 1, the status.
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


async def health(client, service=b""):
    """What the health service says to a HealthCheckRequest."""
    return await client.channel.unary_unary("/grpc.health.v1.Health/Check")(service, timeout=10)


async def refusal(stream):
    """Status and text of a stream that ends badly."""
    with pytest.raises(grpc.aio.AioRpcError):
        await stream.read()
    return await stream.code(), await stream.details()


async def test_a_decision_by_headers(client):
    """One message, one reply, and the stream ends well, as the exchange alone would have it."""
    assert await client.talk(PLANS["header"].id, GOLD) == [fed(exchange("header"), GOLD)]


async def test_a_conversation_about_a_body(client):
    """Headers, then the body: each message has its reply."""
    said = headers(), body(b'{"n": 11}')
    talk = exchange("body")
    assert await client.talk(PLANS["body"].id, *said) == [fed(talk, one) for one in said]


async def test_attached_to_foreign_routes(client):
    """Without metadata the processor matches by itself, and passes what no graph matches."""
    for path in ("/header", "/nothing"):
        said = headers({":path": path})
        assert await client.talk(None, said) == [fed(exchange(None), said)]


async def test_an_answer(client):
    """A respond node's answer comes over the wire whole."""
    (reply,) = await client.talk(PLANS["header"].id, headers({"x-tier": "none"}))
    assert readable(reply)["immediate_response"]["status"] == {"code": 403}


async def test_an_unknown_graph(client):
    """A graph that this processor does not have ends the stream with an error that names it."""
    stream = client.stream("header@00000000")
    code, text = await refusal(stream)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "header@00000000" in text


@pytest.mark.parametrize("said", [b"\xff", b"", body(b"{}")], ids=["garbage", "nothing", "body-first"])
async def test_a_wrong_message(client, said):
    """What Envoy must not say ends its stream with an error, and no other stream."""
    other = client.stream(PLANS["body"].id)
    await other.write(headers())
    await other.read()
    stream = client.stream(PLANS["body"].id)
    await stream.write(said)
    assert (await refusal(stream))[0] is grpc.StatusCode.INVALID_ARGUMENT
    await other.write(body(b"{}"))
    assert readable(await other.read())["request_body"]


async def test_a_wrong_message_after_a_right_one(client):
    """An error in the middle of a conversation is told too."""
    stream = client.stream(PLANS["body"].id)
    await stream.write(headers())
    await stream.read()
    await stream.write(headers())
    code, text = await refusal(stream)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "expected request_body" in text


async def test_an_unknown_method(client):
    """A method that is not served is UNIMPLEMENTED."""
    stream = client.stream(None, "/envoy.service.ext_proc.v3.ExternalProcessor/Other")
    await stream.done_writing()
    assert (await refusal(stream))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stream_without_a_word(client):
    """A stream that is closed before its first message ends well."""
    stream = client.stream(PLANS["header"].id)
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


async def test_a_client_that_leaves(client):
    """Streams cancelled before, amid and after their messages do no harm to later ones."""
    for said in ([], [headers()], [headers(), body(b"{}")]):
        stream = client.stream(PLANS["body"].id)
        for one in said:
            await stream.write(one)
        stream.cancel()
    assert await client.talk(PLANS["header"].id, GOLD) == [fed(exchange("header"), GOLD)]


async def test_streams_do_not_mix(client):
    """Two hundred conversations at once on one connection each get their own answer."""

    async def say(number):
        said = headers(), body(b'{"n": 0, "echo": %d}' % number)
        _, reply = await client.talk(PLANS["body"].id, *said)
        return readable(reply)["immediate_response"]["body"]

    assert await asyncio.gather(*map(say, range(200))) == list(range(200))


@pytest.mark.parametrize("size", [16 * 1024 - 64, 16 * 1024, 65_535, 65_536, 16 * 1024 * 1024])
async def test_large_bodies(client, size):
    """Bodies across the borders of frames and windows, to 16 MiB, are read."""
    said = headers(), body(b'{"n": 11, "pad": "%b"}' % (b"x" * size))
    talk = exchange("body")
    assert await client.talk(PLANS["body"].id, *said) == [fed(talk, one) for one in said]


@pytest.mark.parametrize("size", [16 * 1024 - 200, 65_536, 4 * 1024 * 1024 + 1, 16 * 1024 * 1024])
async def test_large_answers(client, size):
    """Answers larger than frames and windows arrive whole."""
    text = "y" * size
    *_, reply = await client.talk(PLANS["body"].id, headers(), body(b'{"n": 0, "echo": "%b"}' % text.encode()))
    assert readable(reply)["immediate_response"]["body"] == text


async def test_health(client, server):
    """Health is SERVING until the server drains, then NOT_SERVING."""
    assert await health(client) == SERVING
    assert await health(client, b"\n\x01x") == SERVING
    server.drain()
    assert await health(client) == NOT_SERVING


async def test_a_stream_survives_a_drain(client, server):
    """A conversation that was under way when the drain began is finished, and new ones are still taken."""
    stream = client.stream(PLANS["body"].id)
    await stream.write(headers())
    assert readable(await stream.read()) == {"request_headers": {}}
    server.drain()
    assert await health(client) == NOT_SERVING
    await stream.write(body(b'{"n": 11}'))
    assert "request_body" in readable(await stream.read())
    assert await stream.read() is grpc.aio.EOF
    assert await client.talk(PLANS["header"].id, GOLD) == [fed(exchange("header"), GOLD)]


async def test_stop_waits_for_streams(folder, transport):
    """A stream under way has the grace that stop gives, and finishes in it."""
    async with listening(folder / "s", transport) as server, connected(folder / "s") as client:
        stream = client.stream(PLANS["body"].id)
        await stream.write(headers())
        await stream.read()
        stopping = asyncio.ensure_future(server.stop(30))
        await asyncio.sleep(0)
        await stream.write(body(b'{"n": 11}'))
        assert "request_body" in readable(await stream.read())
        await stopping


async def test_stop_does_not_wait_for_ever(folder, transport):
    """A stream that does not end is cut off when the grace is over, and the socket refuses."""
    async with listening(folder / "s", transport) as server, connected(folder / "s") as client:
        stream = client.stream(PLANS["body"].id)
        await stream.write(headers())
        await stream.read()
        await server.stop(0)
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read()


async def test_the_socket_is_private(folder, server):
    """The socket is for this user alone: 0600."""
    assert server.addresses == (f"unix:{folder}/s",)
    assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600


async def test_the_umask_is_left_alone(folder, transport):
    """Other files of the process keep their modes."""
    before = folder / "before"
    before.touch()
    async with listening(folder / "s", transport):
        after = folder / "after"
        after.touch()
    assert before.stat().st_mode == after.stat().st_mode


async def test_a_stale_socket_is_replaced(folder, transport):
    """A socket that a killed process left behind does not keep the next one from listening."""
    import socket

    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / "s"))
    left.close()
    async with listening(folder / "s", transport), connected(folder / "s") as client:
        assert await client.talk(PLANS["header"].id, GOLD)


async def test_a_file_is_not_replaced(folder, transport):
    """A file that is no socket is not removed: the address cannot be had."""
    file = folder / "s"
    file.write_text("precious")
    with pytest.raises(StartError, match="cannot listen on unix:"):
        async with listening(file, transport):
            raise AssertionError("it listened")
    assert file.read_text() == "precious"


async def test_a_missing_folder(folder, transport):
    """An address whose folder is missing cannot be had, and the error names it."""
    with pytest.raises(StartError, match=r"cannot listen on unix:.*missing"):
        async with listening(folder / "missing" / "s", transport):
            raise AssertionError("it listened")


async def test_two_generations(folder, transport):
    """A reload is seen by the next stream; the generation before is still known, the one before that is not."""
    text = (
        "models: {m%d: {url: 'http://m'}}\nnodes: {root: {split: {by: request.path, routes: [{to: m%d, weight: 1}]}}}"
    )
    one, two, three = (plan(text % (number, number)) for number in (1, 2, 3))
    known = generations([one])
    async with listening(folder / "s", transport, known) as _, connected(folder / "s") as client:
        for reloaded, expected in ((None, one), (two, two), (three, three)):
            if reloaded:
                known.load([reloaded])
            (reply,) = await client.talk(expected.id, headers())
            assert f"x-extproc-model: fraud/{next(iter(expected.models))}" in str(readable(reply))
        (reply,) = await client.talk(two.id, headers())
        assert "fraud/m2" in str(readable(reply))
        assert (await refusal(client.stream(one.id)))[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_repr_says_the_state():
    """A server's repr names its addresses and whether it serves."""
    server = made(["unix:/s", "127.0.0.1:1"], generations([]), Scripted())
    assert "unix:/s" in repr(server)
    assert "serving" in repr(server)
    server.drain()
    assert "draining" in repr(server)
    assert not Path("/s").exists()
