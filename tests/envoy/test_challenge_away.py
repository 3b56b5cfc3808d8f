"""Processors that die or are away: a challenge never costs a client the answer that its champion makes."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.envoy.challenged import Watched, post, post_many, told
from tests.envoy.running import eventually, running
from tests.kit import client
from tests.kit.behaviour import PATTERN
from tests.kit.client import RawConnection

if TYPE_CHECKING:
    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  timeout: 10s
  {away}
  models: {{champ: {{url: "http://<lost-champ>/p"}}, rival: {{url: "http://<lost-rival>/p"}}}}
  nodes:
    root: {root}
    duel: {{challenge: {{champion: champ, challengers: [{{name: rival, to: rival}}]}}}}
"""
HEADERS_ONLY = "{split: {routes: [{to: duel, weight: 1}]}}"
READING = "{switch: {cases: [{when: request.body.none == 1, to: duel}], default: duel}}"
CLOSED = "whenAway: closed"
SYSTEM = "\n---\n".join(
    [
        GRAPH.format(name="open", away="", root=HEADERS_ONLY),
        GRAPH.format(name="openreading", away="", root=READING),
        GRAPH.format(name="shut", away=CLOSED, root=HEADERS_ONLY),
        GRAPH.format(name="shutreading", away=CLOSED, root=READING),
    ]
)
OPEN, SHUT = ["open", "openreading"], ["shut", "shutreading"]
OK = {"json": {"predictions": [1]}}
SIZE = 80_000
WHOLE = (PATTERN * (SIZE // len(PATTERN) + 1))[:SIZE]
# How far the champion is with its answer: amid its body, of known length and not, and before its headers.
BEGUN: dict[str, dict[str, Any]] = {
    "amid": {"stop_at": "middle"},
    "in chunks": {"stop_at": "middle", "chunks": 4},
    "not yet": {},
}
WRONG = ("spurious_msgs_received", "rejected_header_mutations", "update_rejected")


@pytest.fixture(scope="module")
def system(models: Models):
    """A system of its own with two workers, whose tests take its processes away and wait until they are back."""
    with running(models.fill(SYSTEM), workers=2) as started:
        yield started
        assert [name for name in started.faults() if name.endswith(WRONG)] == []


@pytest.fixture(autouse=True)
async def _back(system: Running, models: Models):
    """Each test begins with both workers, and sees its own requests only."""
    await eventually(lambda: system.processors() == 2 and system.ready())
    for name in ("lost-champ", "lost-rival"):
        models[name].forget()


def kill(system: Running) -> set[int]:
    """Kill all workers, and return who they were."""
    workers = system.workers()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return workers


async def test_without_a_processor(system: Running, models: Models):
    """Open graphs go to the champion alone; closed ones are unavailable, in JSON; neither is counted."""
    watched = {name: Watched(system, name) for name in OPEN + SHUT}
    os.kill(system.pids["supervisor"], signal.SIGSTOP)  # so that it replaces nobody while we look
    try:
        kill(system)
        await eventually(lambda: system.processors() == 0)
        for name in OPEN:
            answer = await post(system, f"/{name}", told(lost_champ=OK))
            assert (answer.status, answer.json()) == (200, OK["json"])
            assert answer.header("x-extproc-route") == "!fail-open"
            assert answer.header("x-extproc-latency") is None
        for name in SHUT:
            answer = await post(system, f"/{name}", [("x-request-id", "the-id")])
            error = answer.json()["error"]
            assert (answer.status, error["code"], error["graph"]) == (503, "unavailable", name)
            assert (error["requestId"], answer.header("x-request-id")) == ("the-id", "the-id")
            assert answer.header("content-type") == "application/json"
    finally:
        os.kill(system.pids["supervisor"], signal.SIGCONT)
    await eventually(lambda: system.processors() == 2 and system.ready())
    assert [len(models[name].requests) for name in ("lost-champ", "lost-rival")] == [2, 0]
    for name, one in watched.items():
        assert (await post(system, f"/{name}", told(lost_champ=OK, lost_rival=OK))).status == 200
        assert await one.counts(1) == {"paired": 1}


async def test_workers_killed_amid_answers(system: Running, models: Models):
    """Clients still get the whole of what the champion answers, of open graphs and closed ones, begun or not."""
    watched = {name: Watched(system, name) for name in OPEN + SHUT}
    champion, rival = models["lost-champ"], models["lost-rival"]
    champion.released.clear()
    connections = [
        await begun(system, name, {"size": SIZE, "stop": "hang", **how}) for name in watched for how in BEGUN.values()
    ]
    await champion.wait_for_requests(len(connections))
    await rival.wait_for_ended(len(connections))
    heads = [await connection.head() for connection in connections[:: len(BEGUN)]]
    killed = kill(system)
    champion.release()
    for number, connection in enumerate(connections):
        answer = await connection.head() if number % len(BEGUN) else heads.pop(0)
        await connection.body(answer)
        assert (answer.status, answer.complete, answer.body == WHOLE) == (200, True, True)
        await connection.close()
    await eventually(lambda: len(system.workers() - killed) == 2)
    for one in watched.values():
        assert await one.counts(len(BEGUN)) == {"interrupted": len(BEGUN)}


async def begun(system: Running, graph: str, champion: dict[str, Any]) -> RawConnection:
    """Sends a request whose answer is not read yet."""
    connection = await RawConnection.open(system.ingress_port)
    headers = told(lost_champ=champion, lost_rival=OK)
    await connection.send(client.encode("POST", f"/{graph}", headers, b"{}"))
    return connection


async def test_a_worker_stopped_amid_an_answer(system: Running, models: Models):
    """One that hangs costs the answer half a second, and nothing of it."""
    models["lost-champ"].released.clear()
    how = {"size": SIZE, "stop": "hang", "stop_at": "middle"}
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode("POST", "/shut", told(lost_champ=how, lost_rival=OK), b"{}"))
        answer = await connection.head()
        workers = system.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            models["lost-champ"].release()
            await connection.body(answer)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
    assert (answer.status, answer.complete, len(answer.body)) == (200, True, SIZE)


async def test_a_worker_killed_under_traffic(system: Running):
    """Every client is answered by the champion, and every request that a processor saw is in exactly one count."""
    watched = Watched(system, "open")
    times = 300
    headers = told(lost_champ=OK, lost_rival={**OK, "delay": 0.05})
    asking = asyncio.create_task(post_many(system, "/open", times, headers))
    started = r"^http\.ingress\.ext_proc\.fast\.streams_started$"
    before = sum(system.stats(started).values())
    await eventually(lambda: sum(system.stats(started).values()) > before + 50)
    victim = min(system.workers())
    os.kill(victim, signal.SIGKILL)
    answers = await asking
    assert [(answer.status, answer.json()) for answer in answers] == [(200, OK["json"])] * times
    await eventually(lambda: system.processors() == 2 and victim not in system.workers())
    unseen = sum(answer.header("x-extproc-route") == "!fail-open" for answer in answers)
    counts = await watched.all_counts(times - unseen)
    assert counts.keys() <= {"paired", "interrupted", "champion_failed"}
    assert times - unseen <= sum(counts.values()) <= times
    assert counts["paired"] > times / 2
