"""What trials of challenges measure with: load on schedule, and models of which all is known."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from bench.load import encode
from bench.trials import open_loop
from bench.trials.model import KINDS, Modelling, answer, label_of
from bench.trials.open_loop import OpenLoop
from bench.upstream import RESPONSE

RATE = 200.0
TOLD = b"\r\nx-extproc-graph: fraud@1a2b3c4d\r\nx-extproc-route: v1\r\ncontent-length: 0\r\n\r\n"


def get(_number):
    return encode("/", host="h")


@contextlib.asynccontextmanager
async def serving(protocol):
    """A server's port; what is left of its connections is closed with it."""
    served = []

    def serve():
        served.append(protocol())
        return served[-1]

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for one in served:
            one._transport.abort()
        await asyncio.sleep(0)


class Holding(asyncio.Protocol):
    """Answers nothing until so many have asked, and then all of them."""

    until = 40

    def __init__(self, held):
        self._held = held

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, _data):
        self._held.append(self._transport)
        if len(self._held) == self.until:
            for transport in self._held:
                transport.write(RESPONSE)


async def test_requests_leave_on_schedule():
    """Nobody waits for an answer before the next request, and each latency runs from the time it was due."""
    held: list[asyncio.Transport] = []
    async with serving(lambda: Holding(held)) as port:
        sent = await OpenLoop(port, get, RATE).run(Holding.until / RATE)
    assert (sent.asked, sent.requests, dict(sent.statuses), dict(sent.errors)) == (40, 40, {200: 40}, {})
    assert max(sent.latencies) >= (Holding.until - 1) / RATE
    assert min(sent.late) >= 0


async def test_what_waits_for_a_connection_counts_from_its_time(monkeypatch):
    """With a single connection, requests are answered one after the other, and none is left out."""
    monkeypatch.setattr(open_loop, "MOST", 1)
    monkeypatch.setattr(open_loop, "WARM", 1)
    numbers = []

    def request(number):
        numbers.append(number)
        return encode("/v1/number/10", host="h", body=b'{"instances":[[1]]}')

    async with serving(Modelling) as port:
        sent = await OpenLoop(port, request, RATE).run(0.1)
    assert (sent.requests, numbers) == (20, list(range(20)))
    assert max(sent.latencies) >= 20 * 0.01 - 19 / RATE
    assert sent.late_p99 > 1 / RATE


class Closing(asyncio.Protocol):
    """Closes instead of answering."""

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, _data):
        self._transport.close()


async def test_a_request_without_an_answer_is_an_error():
    """Every one, and it is not among the answers."""
    async with serving(Closing) as port:
        sent = await OpenLoop(port, get, RATE).run(0.1)
    assert (sent.asked, sent.requests, dict(sent.errors)) == (20, 0, {"closed": 20})


async def test_a_request_that_is_never_answered_is_stalled(monkeypatch):
    """When patience is at its end."""
    monkeypatch.setattr(open_loop, "STALL_SECONDS", 0.01)
    async with serving(lambda: Holding([])) as port:
        sent = await OpenLoop(port, get, RATE).run(0.05)
    assert (sent.asked, sent.requests, dict(sent.errors)) == (10, 0, {"stalled": 10})


class Telling(asyncio.Protocol):
    """Says which way it went."""

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, _data):
        self._transport.write(b"HTTP/1.1 200 OK" + TOLD)


async def test_answers_are_counted_by_their_way():
    """By graph and route, as their heads say."""
    async with serving(Telling) as port:
        sent = await OpenLoop(port, get, RATE).run(0.05)
    assert dict(sent.answers) == {b"fraud@1a2b3c4d v1": 10}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_says_the_same_to_the_same(kind):
    """Its name and the request tell its predictions, one for each instance; two models differ now and then."""
    body = json.dumps({"instances": [[number / 8, 1] for number in range(100)]}).encode()
    first, again, other = (json.loads(answer(name, kind, body)) for name in ("v1", "v1", "v2"))
    assert first == again
    assert (first["model"], other["model"]) == ("v1", "v2")
    assert len(first["predictions"]) == 100
    differ = sum(ours != theirs for ours, theirs in zip(first["predictions"], other["predictions"], strict=True))
    assert 0 < differ <= 100


def test_a_model_is_mostly_right():
    """Some of its labels are not those in truth."""
    instances = [[number / 8] for number in range(1000)]
    said = json.loads(answer("v1", "label", json.dumps({"instances": instances}).encode()))["predictions"]
    wrong = sum(one != label_of(instance) for one, instance in zip(said, instances, strict=True))
    assert 40 <= wrong <= 120


@pytest.mark.parametrize(
    ("asked", "status", "size"), [("fail", 500, 2), ("garbage", 200, 21), ("large", 200, 2_097_172), ("", 200, 37)]
)
async def test_a_request_may_ask_a_model_for_something_else(asked, status, size):
    """Of one model, by its name."""
    headers = ["x-v2: hang", *([f"x-v1: {asked}"] if asked else [])]
    request = encode("/v1/number/0", host="h", headers=headers, body=b'{"instances":[[1]]}')
    async with serving(Modelling) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert int(head.split()[1]) == status
    assert int(head.split(b"content-length: ")[1].split()[0]) == size
