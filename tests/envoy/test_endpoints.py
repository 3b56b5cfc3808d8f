"""Where models are: HTTP/2 servers, several endpoints, IPv6, names, health checks."""

from pathlib import Path

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, eventually
from tests.kit import client

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: places}
spec:
  match: [{prefix: /places}]
  timeout: 5s
  models:
    h2: {url: "http://<h2:place-h2>", http2: true}
    two: {urls: ["http://<place-one>/p", "http://<place-two>/p"]}
    half: {urls: ["http://<down:half>", "http://<place-half>"]}
    six: {url: "http://<v6:place-six>"}
    name: {url: "http://localhost:<port:place-name>"}
    both: {urls: ["http://localhost:<port:place-name>", "http://<place-two>"]}
    checked: {urls: ["http://<place-well>", "http://<place-ill>"], health: {path: /ready, interval: 200ms}}
  nodes:
    root:
      switch:
        cases:
          - {when: 'request.path == "/places/h2"', to: h2}
          - {when: 'request.path == "/places/two"', to: two}
          - {when: 'request.path == "/places/half"', to: half}
          - {when: 'request.path == "/places/six"', to: six}
          - {when: 'request.path == "/places/name"', to: name}
          - {when: 'request.path == "/places/both"', to: both}
          - {when: 'request.path == "/places/checked"', to: checked}
"""
HAS_IPV6 = Path("/proc/net/if_inet6").exists() and " lo" in Path("/proc/net/if_inet6").read_text()


async def test_http2_models(system: Running, models: Models):
    """A model with ``http2: true`` is spoken to in HTTP/2, trailers included, over few connections."""
    headers = [("x-stub", '{"size": 10, "trailers": {"grpc-status": "0"}}'), ("te", "trailers")]
    for _ in range(5):
        answer = await client.h2_request(system.ingress_port, "POST", "/places/h2", headers, b"body")
        assert (answer.status, len(answer.body), answer.trailers) == (200, 10, [("grpc-status", "0")])
    assert models["place-h2"].faults == []
    assert models["place-h2"].connections <= 4
    assert all(seen.body == b"body" for seen in models["place-h2"].requests)


async def test_an_http1_client_of_an_http2_model(system: Running):
    """A client need not speak what its model speaks."""
    answer = await client.request(system.ingress_port, "POST", "/places/h2", body=b"x")
    assert (answer.status, answer.json()["model"], answer.json()["body_length"]) == (200, "place-h2", 1)


async def test_every_endpoint_gets_its_share(system: Running, models: Models):
    """Of several endpoints each is called, on the path of the url."""
    for name in ("place-one", "place-two"):
        models[name].forget()
    for _ in range(60):
        assert (await client.request(system.ingress_port, target="/places/two")).status == 200
    for name in ("place-one", "place-two"):
        assert len(models[name].requests) >= 10
        assert {seen.path for seen in models[name].requests} == {"/p"}


async def test_an_endpoint_that_is_down(system: Running):
    """By default a refused connection is tried at another endpoint: no request fails."""
    statuses = [(await client.request(system.ingress_port, target="/places/half")).status for _ in range(30)]
    assert statuses == [200] * 30


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6 loopback")
async def test_ipv6(system: Running, models: Models):
    """A model may be at an IPv6 address, and its host is told with its brackets."""
    answer = await client.request(system.ingress_port, target="/places/six")
    assert answer.status == 200
    assert answer.json()["headers"]["host"] == f"[::1]:{models['place-six'].port}"


@pytest.mark.parametrize("path", ["/places/name", "/places/both"])
async def test_names(system: Running, path):
    """``localhost`` is resolved, to IPv4 where nobody listens on IPv6, alone or beside an address."""
    statuses = [(await client.request(system.ingress_port, target=path)).status for _ in range(40)]
    assert statuses == [200] * 40


async def test_health_checks(system: Running, models: Models):
    """An endpoint that fails its checks gets no requests, and gets them again when it is well."""
    well, ill = models["place-well"], models["place-ill"]
    ill.behave(status=503)
    healthy = r"^cluster\.places/checked\.membership_healthy$"
    await eventually(lambda: list(system.stats(healthy).values()) == [1])
    ill.forget()
    statuses = [(await client.request(system.ingress_port, target="/places/checked")).status for _ in range(20)]
    assert statuses == [200] * 20
    assert {seen.path for seen in ill.requests} <= {"/ready"}
    assert any(seen.path == "/ready" for seen in well.requests)
    ill.behave()
    await eventually(lambda: list(system.stats(healthy).values()) == [2])
