"""Processes that die are replaced, and never outlive their supervisor."""

import asyncio
import os
import signal

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, command_of, eventually, running
from tests.kit import client
from tests.kit.client import NoResponse, RawConnection

pytestmark = pytest.mark.envoy

SYSTEM = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: held}
spec:
  match: [{path: /held}]
  whenAway: closed
  models: {held: {url: "http://<held>"}}
  nodes: {root: {split: {by: request.body.k, routes: [{to: held, weight: 1}]}}}
"""
CLIENTS = 8


@pytest.fixture(scope="module")
def system(models: Models):
    """A system of its own with two workers."""
    with running(models.fill(SYSTEM), workers=2) as started:
        yield started


async def ask(system: Running) -> int:
    """One request's status, 0 where there was none."""
    try:
        answer = await client.request(system.ingress_port, "POST", "/held", json={"k": "x"})
    except (NoResponse, ConnectionError):
        return 0
    assert answer.status in {200, 503}
    assert answer.json()
    return answer.status


async def back(system: Running) -> None:
    """Wait until both workers serve."""
    await eventually(lambda: system.processors() == 2 and system.ready())


async def test_a_killed_worker_costs_what_it_held(system: Running):
    """One of two workers is killed under traffic: no more fail than were in flight, and another takes its place."""
    await back(system)
    before = system.workers()
    statuses: list[int] = []
    replaced = asyncio.Event()

    async def ask_on() -> None:
        while not replaced.is_set():
            statuses.append(await ask(system))

    clients = [asyncio.create_task(ask_on()) for _ in range(CLIENTS)]
    await eventually(lambda: len(statuses) > 50)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    await eventually(lambda: len(system.workers() - before) == 1)
    await back(system)
    replaced.set()
    await asyncio.gather(*clients)
    failed = [status for status in statuses if status != 200]
    assert set(failed) <= {503}
    assert len(failed) <= CLIENTS
    assert victim not in system.workers()
    assert [await ask(system) for _ in range(20)] == [200] * 20


async def test_a_killed_envoy_is_started_again(system: Running):
    """Envoy is back at the same address, with the same workers."""
    await back(system)
    workers, envoy = system.workers(), system.pids["envoy"]
    os.kill(envoy, signal.SIGKILL)
    await eventually(lambda: command_of(envoy) == "")
    await back(system)
    assert await ask(system) == 200
    assert system.workers() == workers
    assert "Envoy ended" in system.said()


async def test_a_killed_supervisor_leaves_nobody(system: Running):
    """The last test here: without its supervisor nothing goes on running, not even with requests under way."""
    await back(system)
    children = system.children()
    assert len(children) == 3
    connection = await RawConnection.open(system.ingress_port)
    await connection.send(client.encode("POST", "/held", [("x-stub", '{"stop": "hang"}')], json={}))
    system.process.kill()
    assert system.ended() == -signal.SIGKILL
    await eventually(lambda: all(command_of(pid) != command for pid, command in children.items()))
    await connection.close()
    with pytest.raises((ConnectionRefusedError, client.NoResponse)):  # reset, where its socket is still being closed
        await client.request(system.ingress_port)
