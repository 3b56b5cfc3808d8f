"""The admin address tells how the running system is."""

import json
import re

import pytest

from tests.envoy.running import Running, eventually
from tests.kit import client

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: told}
spec:
  match: [{prefix: /told}]
  models:
    told-a: {url: "http://<told-a>"}
    told-b: {url: "http://<told-b>"}
  nodes:
    root:
      switch:
        cases:
          - {name: go, when: 'request.headers["x-go"] == "1"', to: told-a}
          - {name: wrong, when: 'int(request.headers["x-int"]) == 1', to: told-a}
        default: told-b
"""


def test_healthz(system: Running):
    """The supervisor lives."""
    assert system.admin("/healthz")[0] == 200


def test_readyz(system: Running):
    """Envoy serves and sees a healthy processor."""
    assert system.admin("/readyz")[0] == 200


def test_graphs(system: Running):
    """Every graph is listed, by the very id that answers carry."""
    status, kind, text = system.admin("/graphs")
    graphs = {graph["graph"]: graph for graph in json.loads(text)["graphs"]}
    assert (status, kind.partition(";")[0]) == (200, "application/json")
    assert [graph["id"] for graph in graphs.values()] == system.graphs
    assert re.fullmatch(r"told@[0-9a-f]{8}", graphs["told"]["id"])
    assert graphs["told"]["models"] == ["told-a", "told-b"]


def test_what_is_not_there(system: Running):
    """An unknown page is 404."""
    assert system.admin("/nothing")[0] == 404


def counter(system: Running, name: str, **labels: str) -> float:
    """A counter's value on the metrics page, over all workers."""
    status, kind, text = system.admin("/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}{{(.*)}} (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1])) == labels:
            return float(found[2])
    return 0.0


@pytest.mark.parametrize("branch", ["go", "default"])
async def test_decisions_are_counted(system: Running, branch):
    """Every decision is counted once, whichever worker made it."""
    labels = {"graph": "told", "node": "root", "branch": branch}
    before = counter(system, "extproc_decisions_total", **labels)
    headers = [("x-go", "1")] if branch == "go" else []
    for _ in range(20):
        await client.request(system.ingress_port, target="/told", headers=headers)
    await eventually(lambda: counter(system, "extproc_decisions_total", **labels) == before + 20)


async def test_expression_errors_are_counted(system: Running):
    """A condition that could not be evaluated shows."""
    labels = {"graph": "told", "node": "root"}
    await client.request(system.ingress_port, target="/told", headers=[("x-int", "no number")])
    await eventually(lambda: counter(system, "extproc_expression_errors_total", **labels) > 0)


async def test_clients_cannot_reach_it(system: Running):
    """None of the admin pages is served at the ingress."""
    for path in ("/healthz", "/readyz", "/metrics", "/graphs", "/stats", "/config_dump", "/quitquitquit"):
        answer = await client.request(system.ingress_port, "POST", path)
        assert (answer.status, answer.json()["error"]["code"]) == (404, "no_graph")
