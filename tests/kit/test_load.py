"""The load generator and its upstream count every request once, and say what failed."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import load, upstream
from tests.kit import client
from tests.kit.stub import ModelStub, free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def port():
    server = await asyncio.get_running_loop().create_server(upstream.Answering, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_count_is_exact(port):
    """So many requests are sent as were asked for, whatever the number of connections."""
    result = await load.run(("127.0.0.1", port), [load.encode("/", host="h")], connections=7, count=100)
    assert (result.requests, dict(result.statuses), dict(result.errors)) == (100, {200: 100}, {})
    assert 0 < result.quantile(0.5) <= result.quantile(1.0) <= result.seconds


async def test_a_duration_ends(port):
    """A run by time stops sending when it is over, and its rate is by the time it took."""
    result = await load.run(("127.0.0.1", port), [load.encode("/", host="h", body=b"{}")], connections=2, seconds=0.05)
    assert result.seconds >= 0.05
    assert result.rate == pytest.approx(result.requests / result.seconds)


async def test_variants_are_taken_in_turns():
    """Every variant is sent equally often, so that sticky keys spread."""
    with ModelStub() as stub:
        requests = load.variants("x-user-id", 5, "/p", host="h", body=b"{}")
        await load.run(("127.0.0.1", stub.port), requests, connections=3, count=20)
        seen = await stub.wait_for_requests(20)
    assert sorted(one.header("x-user-id") or "" for one in seen) == sorted("01234" * 4)
    assert {(one.method, one.path, one.body) for one in seen} == {("POST", "/p", b"{}")}


async def test_statuses_and_failures_are_kept_apart():
    """Statuses other than 200, broken connections and chunked answers each count where they belong."""
    with ModelStub() as stub:
        stub.script({"status": 503}, {"stop": "close"}, {"chunks": 3}, {"status": 204})
        result = await load.run(("127.0.0.1", stub.port), [load.encode("/", host="h")], connections=1, count=5)
    assert dict(result.statuses) == {503: 1, 200: 2, 204: 1}
    assert result.errors.total() == 1


async def test_refused_connections_end():
    """A count ends although nobody listens."""
    result = await load.run(("127.0.0.1", free_port()), [b"x"], connections=4, count=6)
    assert (result.requests, result.errors.total()) == (0, 6)
    assert result.summary()["load_cpu_us_per_request"] is None


async def test_upstream_answers_pipelined_and_split_requests(port):
    """Requests in one piece, in single bytes and with chunked bodies are each answered once."""
    plain = client.encode("POST", "/", body=b"abc") + client.encode("GET", "/")
    chunked = client.encode("POST", "/", [("transfer-encoding", "chunked")]) + b"3\r\nabc\r\n0\r\n\r\n"
    async with await client.RawConnection.open(port) as connection:
        await connection.send(plain)
        await connection.send_slowly(chunked, piece=1, every=0)
        await connection.send(client.encode("GET", "/"))
        answers = [await connection.response() for _ in range(4)]
    assert [answer.json() for answer in answers] == [{"predictions": [1]}] * 4


def test_upstream_leaves_with_its_parent():
    """The upstream prints where it listens, and ends when its stdin does."""
    command = [sys.executable, str(ROOT / "bench" / "upstream.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        told = json.loads(process.stdout.readline())
        assert told["pid"] == process.pid
        assert load.cpu_seconds(told["pid"]) > 0
        process.stdin.close()
        assert process.wait(10) == 0


def test_cpu_seconds_of_oneself():
    """CPU time agrees with what the process knows of itself, to the tick."""
    times = os.times()
    assert load.cpu_seconds(os.getpid()) == pytest.approx(times.user + times.system, abs=0.05)


def test_cpu_seconds_of_nobody():
    """A process that is gone is an error, not zero."""
    with pytest.raises(FileNotFoundError):
        load.cpu_seconds(2**22 + 1)
