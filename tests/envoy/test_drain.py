"""Ctrl-C and SIGTERM drain: what is under way is answered, what is idle holds nothing, and five seconds are the end."""

import asyncio
import signal
import time

import pytest

from tests.envoy.models import Models
from tests.envoy.running import command_of, eventually, running
from tests.kit import client
from tests.kit.client import RawConnection

pytestmark = pytest.mark.envoy

SYSTEM = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: drained}
spec:
  match: [{path: /drained}]
  models: {drained: {url: "http://<drained>"}}
  nodes: {root: {split: {by: request.body.k, routes: [{to: drained, weight: 1}]}}}
"""
HANG = [("x-stub", '{"stop": "hang"}')]


async def refused(port: int) -> bool:
    """Whether nobody accepts connections any more."""
    try:
        connection = await RawConnection.open(port)
    except ConnectionError:
        return True
    await connection.close()
    return False


async def test_what_is_under_way_is_answered(models: Models):
    """On SIGINT a request under way is answered, a kept connection holds nothing, and the exit code is 0."""
    with running(models.fill(SYSTEM), workers=2) as system:
        stub = models["drained"]
        idle = await RawConnection.open(system.ingress_port)
        await idle.send(client.encode("POST", "/drained", json={}))
        assert (await idle.response()).status == 200
        stub.forget()
        asking = asyncio.create_task(client.request(system.ingress_port, "POST", "/drained", HANG, json={"k": 1}))
        await stub.wait_for_requests(1)
        children = system.children()
        start = time.monotonic()
        system.signal(signal.SIGINT)
        while not await refused(system.ingress_port):
            assert time.monotonic() - start < 5
        stub.release()
        answer = await asking
        assert (answer.status, answer.json()["model"]) == (200, "drained")
        assert await asyncio.to_thread(system.ended) == 0
        assert time.monotonic() - start < 5
        assert await idle.closed() == b""
        assert system.said() == ""
        assert all(command_of(pid) == "" for pid in children)
        await idle.close()


async def test_at_most_five_seconds(models: Models):
    """A request that never ends is cut after five seconds; idle connections, used and unused, hold nothing."""
    with running(models.fill(SYSTEM).replace("drained", "endless")) as system:
        unused = await RawConnection.open(system.ingress_port)
        behaviour = [("x-stub", '{"events": 1000, "every": 0.1}')]
        async with await RawConnection.open(system.ingress_port) as connection:
            await connection.send(client.encode("POST", "/endless", behaviour, json={}))
            assert (await connection.head()).status == 200
            start = time.monotonic()
            system.signal(signal.SIGTERM)
            assert await asyncio.to_thread(system.ended) == 0
            took = time.monotonic() - start
        assert 4 < took < 9
        assert system.said() == ""
        await unused.close()


async def test_with_nothing_under_way_it_ends_at_once(models: Models):
    """Twice the signal is no harm, and an idle system has no reason to wait."""
    with running(models.fill(SYSTEM)) as system:
        kept = await RawConnection.open(system.ingress_port)
        await kept.send(client.encode("POST", "/drained", json={}))
        assert (await kept.response()).status == 200
        start = time.monotonic()
        system.signal(signal.SIGINT)
        system.signal(signal.SIGTERM)
        assert await asyncio.to_thread(system.ended) == 0
        assert time.monotonic() - start < 4
        assert system.said() == ""
        await eventually(lambda: all(command_of(pid) == "" for pid in system.pids["workers"]))
        await kept.close()
