"""Models behind TLS: own authority, server names, client certificates, and no trust where none is due."""

from typing import TYPE_CHECKING, cast

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client

if TYPE_CHECKING:
    from tests.envoy.stubs import Tls

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: secure}
spec:
  match: [{prefix: /secure}]
  timeout: 3s
  models:
    ca: {url: "https://<tls:tls-ca>/x", tls: {ca: "<file:ca>"}}
    local: {url: "https://localhost:<port:tls-ca>/x", tls: {ca: "<file:ca>"}}
    sni: {url: "https://<named:tls-named>/x", tls: {ca: "<file:ca>", sni: model.test}}
    insecure: {url: "https://<named:tls-named>/x", tls: {insecure: true}}
    mutual: {url: "https://<mutual:tls-mutual>/x", tls: {ca: "<file:ca>", cert: "<file:client>", key: "<file:key>"}}
    h2: {url: "https://<tlsh2:tls-h2>/x", tls: {ca: "<file:ca>"}}
    h2only: {url: "https://<tlsh2:tls-h2>/x", http2: true, tls: {ca: "<file:ca>"}}
    system: {url: "https://<tls:tls-ca>/x"}
    other: {url: "https://<named:tls-named>/x", tls: {ca: "<file:ca>"}}
    nocert: {url: "https://<mutual:tls-mutual>/x", tls: {ca: "<file:ca>"}}
    plain: {url: "http://<tls:tls-ca>/x"}
    untls: {url: "https://<untls>/x", tls: {ca: "<file:ca>"}}
  nodes:
    root:
      switch:
        cases:
          - {when: 'request.query["to"] == "ca"', to: ca}
          - {when: 'request.query["to"] == "local"', to: local}
          - {when: 'request.query["to"] == "sni"', to: sni}
          - {when: 'request.query["to"] == "insecure"', to: insecure}
          - {when: 'request.query["to"] == "mutual"', to: mutual}
          - {when: 'request.query["to"] == "h2"', to: h2}
          - {when: 'request.query["to"] == "h2only"', to: h2only}
          - {when: 'request.query["to"] == "system"', to: system}
          - {when: 'request.query["to"] == "other"', to: other}
          - {when: 'request.query["to"] == "nocert"', to: nocert}
          - {when: 'request.query["to"] == "plain"', to: plain}
          - {when: 'request.query["to"] == "untls"', to: untls}
"""


@pytest.mark.parametrize(
    ("to", "stub"),
    [
        ("ca", "tls-ca"),
        ("local", "tls-ca"),
        ("sni", "tls-named"),
        ("insecure", "tls-named"),
        ("mutual", "tls-mutual"),
        ("h2", "tls-h2"),
        ("h2only", "tls-h2"),
    ],
)
async def test_trusted(system: Running, to, stub):
    """A model whose certificate fits is called over TLS, bodies and all."""
    answer = await client.request(system.ingress_port, "POST", f"/secure?to={to}", body=b"x" * 100_000)
    assert answer.status == 200, answer.body
    assert (answer.json()["model"], answer.json()["body_length"]) == (stub, 100_000)
    assert answer.json()["path"] == f"/x?to={to}"


@pytest.mark.parametrize("to", ["system", "other", "nocert", "plain", "untls"])
async def test_not_trusted(system: Running, to):
    """An unknown authority, another name, a missing certificate, or no TLS on one side: 502, and nothing is sent."""
    answer = await client.request(system.ingress_port, "POST", f"/secure?to={to}", body=b"secret")
    assert answer.status == 502
    error = answer.json()["error"]
    assert (error["code"], error["graph"], error["model"]) == ("upstream_failed", "secure", to)
    assert b"CERTIFICATE" not in answer.body


async def test_the_name_that_is_asked_for(system: Running, models: Models):
    """``sni`` is the name asked for; without it the url's host, when that is a name."""
    await client.request(system.ingress_port, target="/secure?to=sni")
    await client.request(system.ingress_port, target="/secure?to=local")
    named, local = cast("Tls", models["tls-named"]), cast("Tls", models["tls-ca"])
    assert "model.test" in named.names
    assert "localhost" in local.names
    assert not any((name or "").startswith("127.") for name in [*named.names, *local.names])
