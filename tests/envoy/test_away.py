"""The processor away: graphs that fail open answer from their away-model, closed ones say unavailable."""

import os
import signal

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, eventually, running
from tests.kit import client

pytestmark = pytest.mark.envoy

SYSTEM = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: splits}
spec:
  match: [{path: /splits}]
  models:
    light: {url: "http://<away-light>/p"}
    heavy: {url: "http://<away-heavy>/p", headers: {set: {x-set: "yes"}, remove: [x-drop]}}
  nodes: {root: {split: {by: 'request.headers["k"]', routes: [{to: light, weight: 10}, {to: heavy, weight: 90}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: switches}
spec:
  match: [{prefix: /switches}]
  models:
    gold: {url: "http://<away-light>"}
    rest: {url: "http://<away-heavy>"}
  nodes: {root: {switch: {cases: [{name: gold, when: request.body.tier == "gold", to: gold}], default: rest}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: nodefault}
spec:
  match: [{path: /nodefault}]
  models: {gold: {url: "http://<away-light>"}}
  nodes: {root: {switch: {cases: [{name: gold, when: 'request.headers["tier"] == "gold"', to: gold}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: responds}
spec:
  match: [{path: /responds}]
  models: {rest: {url: "http://<away-light>"}}
  nodes: {root: {switch: {cases: [{name: no, when: 'request.headers["tier"] == "none"', to: {respond: {status: 403}}}], default: rest}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: forced}
spec:
  match: [{path: /forced}]
  whenAway: open
  models: {rest: {url: "http://<away-heavy>"}}
  nodes: {root: {switch: {cases: [{name: no, when: 'request.headers["tier"] == "none"', to: {respond: {status: 403}}}], default: rest}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: closed}
spec:
  match: [{path: /closed}]
  whenAway: closed
  models: {rest: {url: "http://<away-light>"}}
  nodes: {root: {split: {by: request.body.k, routes: [{to: rest, weight: 1}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: down}
spec:
  match: [{path: /down}]
  models: {down: {url: "http://<down>"}}
  nodes: {root: {split: {routes: [{to: down, weight: 1}]}}}
"""
OPEN = ["/splits", "/switches", "/forced"]
CLOSED = ["/nodefault", "/responds", "/closed"]
BODY = {"tier": "gold"}


@pytest.fixture(scope="module")
def system(models: Models):
    """A system of its own with two workers, whose tests take its processes away and wait until they are back."""
    with running(models.fill(SYSTEM), workers=2) as started:
        yield started
        wrong = started.faults()
        assert not any("spurious" in name or "rejected" in name for name in wrong), wrong


async def back(system: Running) -> None:
    """Wait until both workers serve."""
    await eventually(lambda: system.processors() == 2 and system.ready())


def stop(system: Running, number: signal.Signals) -> set[int]:
    """Send a signal to all workers and return them."""
    workers = system.workers()
    for pid in workers:
        os.kill(pid, number)
    return workers


async def check_away(system: Running, models: Models) -> None:
    """What every graph does while no processor is there."""
    models["away-light"].forget()
    for path in OPEN:
        headers = [("k", "x"), ("x-drop", "1"), ("x-extproc-model", "splits/light"), ("x-extproc-route", "spoofed")]
        answer = await client.request(system.ingress_port, "POST", f"{path}?q=1", headers, json=BODY)
        assert (answer.status, answer.json()["model"]) == (200, "away-heavy")
        assert answer.header("x-extproc-route") == "!fail-open"
        assert (answer.header("x-extproc-graph") or "").startswith(f"{path[1:]}@")
        assert answer.json()["path"] == ("/p?q=1" if path == "/splits" else f"{path}?q=1")
        assert not any(name.startswith("x-extproc-") for name in answer.json()["headers"])
        seen = answer.json()["headers"]
        assert (seen.get("x-set"), seen.get("x-drop")) == (("yes", None) if path == "/splits" else (None, "1"))
    for path in CLOSED:
        answer = await client.request(system.ingress_port, "POST", path, [("x-request-id", "the-id")], json=BODY)
        assert answer.status == 503
        error = answer.json()["error"]
        assert (error["code"], error["graph"], error["requestId"]) == ("unavailable", path[1:], "the-id")
        assert answer.header("x-request-id") == "the-id"
    missing = await client.request(system.ingress_port, target="/nowhere")
    assert (missing.status, missing.json()["error"]["code"]) == (404, "no_graph")
    down = await client.request(system.ingress_port, target="/down")
    assert (down.status, down.json()["error"]["code"]) == (502, "upstream_failed")
    assert models["away-light"].requests == []


async def check_here(system: Running) -> None:
    """What every graph does while a processor is there."""
    for path in [*OPEN, *CLOSED]:
        answer = await client.request(system.ingress_port, "POST", path, [("tier", "gold")], json=BODY)
        assert answer.status == 200
        assert (answer.header("x-extproc-route") or "").startswith("root=")


async def test_workers_that_hang_are_noticed_at_once(system: Running):
    """Stopped workers cost a graph that fails open half a second; then its away-model answers."""
    await back(system)
    stop(system, signal.SIGSTOP)
    try:
        for path in OPEN:
            answer = await client.request(system.ingress_port, "POST", path, json=BODY, within=10)
            assert (answer.status, answer.header("x-extproc-route")) == (200, "!fail-open")
    finally:
        stop(system, signal.SIGCONT)
    await back(system)
    await check_here(system)


async def test_workers_that_hang(system: Running, models: Models):
    """Once Envoy's checks have missed the stopped workers, nobody waits; continued, they serve again."""
    await back(system)
    stop(system, signal.SIGSTOP)
    try:
        await eventually(lambda: system.processors() == 0)
        assert system.admin("/readyz")[0] == 503
        assert system.admin("/healthz")[0] == 200
        await check_away(system, models)
    finally:
        stop(system, signal.SIGCONT)
    await back(system)
    await check_here(system)


async def test_workers_that_are_killed(system: Running, models: Models):
    """Killed workers leave open graphs open and closed ones closed; new ones take their places."""
    await back(system)
    os.kill(system.pids["supervisor"], signal.SIGSTOP)  # so that it replaces nobody while we look
    try:
        gone = {pid for pid in system.pids["workers"] if pid in system.workers()} or system.workers()
        for pid in gone:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: system.processors() == 0)
        await check_away(system, models)
    finally:
        os.kill(system.pids["supervisor"], signal.SIGCONT)
    await back(system)
    assert not gone & system.workers()
    await check_here(system)


async def test_a_websocket_while_the_processor_is_away(system: Running):
    """Upgrades never needed the processor."""
    await back(system)
    stop(system, signal.SIGSTOP)
    try:
        opened, tunnel = await client.upgrade(system.ingress_port, "/splits", [("x-stub", '{"upgrade": true}')])
        async with tunnel:
            await tunnel.send(b"ping")
            assert (opened.status, await tunnel.read()) == (101, b"ping")
    finally:
        stop(system, signal.SIGCONT)
    await back(system)
