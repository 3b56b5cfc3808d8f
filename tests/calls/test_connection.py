"""The connection itself, against a peer that writes what it likes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from extproc.calls.connection import MAX_HEAD
from extproc.calls.egress import Egress, EgressDown

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"


@asynccontextmanager
async def answering(*answers: bytes, close: bool = False):
    """Run a peer that gives these answers in turn, one for each request, and yields a pool to it and what it read."""
    left, read, writers = list(answers), [], []

    async def serve(reader, writer):
        writers.append(writer)
        while left:
            head = await reader.readuntil(b"\r\n\r\n")
            read.append(head)
            writer.write(left.pop(0))
        if close:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    egress = Egress(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield egress, read
    finally:
        await egress.close()
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def asked(egress, method="POST", limit=100):
    """Send one request and return the status and body that came."""
    connection = await egress.connection()
    response = connection.send(method, "/x?y=1", {"host": "h", "content-length": "0"}, None)
    await response.head()
    return response.status, await response.body(limit)


@pytest.mark.parametrize("answer", [OK, CHUNKED], ids=["length", "chunks"])
async def test_a_connection_serves_one_request_after_the_other(answer):
    """A complete response frees its connection for the next request."""
    async with answering(answer, answer) as (egress, read):
        assert await asked(egress) == (200, b"hi")
        assert await asked(egress) == (200, b"hi")
        assert repr(egress).endswith("1 connections, 1 idle>")
        assert read[0].startswith(b"POST /x?y=1 HTTP/1.1\r\nhost: h\r\n")


async def test_an_interim_response_is_passed_over():
    """A 1xx only says that another response follows."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    async with answering(interim + OK) as (egress, _):
        assert await asked(egress) == (200, b"hi")


async def test_the_answer_to_head_has_no_body():
    """A length in the answer to HEAD announces nothing, and the connection is not used again."""
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n") as (egress, _):
        assert await asked(egress, "HEAD", limit=3) == (200, b"")
        assert repr(egress).endswith(" 0 idle>")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEAD + b"\r\n\r\n",
        b"",
    ],
    ids=["no-http", "bad-length", "short", "bad-chunk", "large-head", "nothing"],
)
async def test_what_is_no_response_breaks_the_call(answer):
    """Whatever cannot be a whole response is a broken connection, and that is cut."""
    async with answering(answer, close=True) as (egress, _):
        with pytest.raises(ConnectionError):
            await asked(egress)
        assert repr(egress).endswith(" 0 connections, 0 idle>")


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/a b", {}), ("/a\r\nx: y", {}), ("/", {"x": "y\r\nz: 1"}), ("/", {"x": "y\nz"}), ("/", {"x": "\0"})],
)
async def test_a_request_is_one_request(target, headers):
    """Nothing in a target or header can begin a line of its own."""
    async with answering(OK) as (egress, read):
        connection = await egress.connection()
        with pytest.raises(ValueError, match="cannot be written"):
            connection.send("GET", target, headers, None)
        assert read == []


async def test_a_closed_pool_has_no_connections():
    """What nobody listens at is told apart from a connection that breaks."""
    async with answering() as (egress, _):
        address = egress.address
    with pytest.raises(EgressDown):
        await Egress(address).connection()


async def test_what_nobody_asked_for_ends_the_connection():
    """Bytes on an idle connection are no answer to the next request."""
    async with answering(OK + b"HTTP/1.1 500 no\r\n\r\n", OK) as (egress, _):
        assert await asked(egress) == (200, b"hi")
        assert await asked(egress) == (200, b"hi")
