"""Upgrade requests go to the away-model, past the graph, or get 404 where there is none."""

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: sockets}
spec:
  match: [{path: /sockets}]
  models:
    sock-a: {url: "http://<sock-a>/ws"}
    sock-b: {url: "http://<sock-b>/ws"}
  nodes: {root: {split: {routes: [{to: sock-a, weight: 1}, {to: sock-b, weight: 9}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: bodysockets}
spec:
  match: [{path: /bodysockets}]
  models:
    sock-c: {url: "http://<sock-c>"}
  nodes: {root: {switch: {cases: [{name: x, when: request.body.x == 1, to: sock-c}], default: sock-c}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: nosockets}
spec:
  match: [{path: /nosockets}]
  whenAway: closed
  models: {sock-d: {url: "http://<sock-d>"}}
  nodes: {root: {split: {routes: [{to: sock-d, weight: 1}]}}}
"""
UPGRADE = [("x-stub", '{"upgrade": true}')]


@pytest.mark.parametrize(
    ("path", "model", "at"), [("/sockets", "sock-b", "/ws"), ("/bodysockets", "sock-c", "/bodysockets")]
)
async def test_data_flows_both_ways(system: Running, models: Models, path, model, at):
    """A WebSocket is opened to the away-model at once, and bytes flow both ways."""
    models[model].forget()
    opened, tunnel = await client.upgrade(system.ingress_port, path, UPGRADE)
    async with tunnel:
        assert opened.status == 101
        for data in (b"ping", b"\x00" * 70000):
            await tunnel.send(data)
            came = b""
            while len(came) < len(data):
                came += await tunnel.read()
            assert came == data
    assert [seen.path for seen in models[model].requests] == [at]


async def test_a_model_that_does_not_upgrade(system: Running):
    """A model that answers an upgrade with a plain response has that passed on."""
    answer, connection = await client.upgrade(
        system.ingress_port, "/sockets", [("x-stub", '{"status": 403, "json": "no"}')]
    )
    await connection.close()
    assert (answer.status, answer.body) == (403, b'"no"')


async def test_a_closed_graph_has_none(system: Running, models: Models):
    """A graph without an away-model answers upgrades with 404, as JSON, and its model is not asked."""
    answer, connection = await client.upgrade(system.ingress_port, "/nosockets", UPGRADE)
    await connection.close()
    assert answer.status == 404
    assert answer.json()["error"]["requestId"] == answer.header("x-request-id")
    assert models["sock-d"].requests == []


async def test_no_graph_no_upgrade(system: Running):
    """Without a graph an upgrade is 404 no_graph."""
    answer, connection = await client.upgrade(system.ingress_port, "/nowhere", UPGRADE)
    await connection.close()
    assert (answer.status, answer.json()["error"]["code"]) == (404, "no_graph")


async def test_other_protocols_do_not_pass_the_graph(system: Running, models: Models):
    """An upgrade to what is no WebSocket never opens a tunnel past the graph."""
    models["sock-d"].forget()
    answer, connection = await client.upgrade(system.ingress_port, "/nosockets", UPGRADE, protocol="h2c")
    await connection.close()
    assert answer.status != 101
    assert answer.status in {200, 403, 404}
    assert answer.status != 200 or answer.header("x-extproc-route") == "root=sock-d,sock-d"
