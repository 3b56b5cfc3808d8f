"""No way of writing a path reaches another graph's model unseen."""

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: open}
spec:
  match: [{prefix: /tricks/open}]
  models: {open: {url: "http://<open>"}}
  nodes: {root: {split: {routes: [{to: open, weight: 1}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: shut}
spec:
  match: [{prefix: /tricks/shut}]
  models: {shut: {url: "http://<shut>"}}
  nodes:
    root:
      switch:
        cases: [{name: key, when: 'request.headers["x-key"] == "right"', to: shut}]
        default: {respond: {status: 403, body: no}}
"""
INTO_SHUT = [
    "/tricks/open/../shut",
    "/tricks/open/../shut/x",
    "/tricks/open/./../shut",
    "/tricks/open/x/../../shut",
    "/tricks//shut",
    "//tricks/shut",
    "/tricks/shut//",
    "/tricks/open/%2e%2e/shut",
    "/tricks/open/%2E%2E/shut",
    "/tricks/open/.%2e/shut",
    "/tricks/open/..//shut",
    "/tricks/%73hut",
    "/tricks/open/..%2fshut",
    "/tricks/open/%2e%2e%2fshut",
    "/tricks%2fshut",
    "/tricks%2Fopen%2f..%2fshut",
    "/tricks/open%5c..%5cshut",
    "/tricks/open\\..\\shut",
    "/tricks/open/;/../shut",
    "/tricks/open;/../shut",
    "/tricks/open/..;/shut",
    "/tricks/shut;x=1",
    "/tricks/shut?/../open",
    "/tricks/shut#/../open",
    "http://test.local/tricks/open/../shut",
    "/tricks/open/%252e%252e/shut",
    "/tricks/open/%00/../shut",
    "/tricks/SHUT",
]


@pytest.mark.parametrize("target", INTO_SHUT)
async def test_no_path_gets_past_the_graph(system: Running, models: Models, target):
    """The guarded model is never reached without its key, and what the open one is asked for is no path beside it."""
    shut, opened = models["shut"], models["open"]
    opened.forget()
    answer = await client.request(system.ingress_port, target=target)
    assert shut.requests == []
    for seen in opened.requests:
        path = seen.path.partition("?")[0]
        assert path.startswith("/tricks/open")
        assert "/../" not in path
        assert "//" not in path
    assert answer.status in {200, 307, 400, 403, 404}
    if answer.status == 200:
        assert answer.header("x-extproc-route") == "root=open,open"


@pytest.mark.parametrize(
    "target", ["/tricks/open/../shut", "//tricks//shut", "/tricks/./shut", "/tricks/open/%2e%2e/shut"]
)
async def test_expressions_see_the_path_that_was_matched(system: Running, target):
    """A path is normalised before it is matched, so that the guarded graph's own rule answers."""
    answer = await client.request(system.ingress_port, target=target)
    assert (answer.status, answer.body, answer.header("x-extproc-route")) == (403, b"no", "root=default")


async def test_escaped_slashes_are_redirected(system: Running):
    """A client that escapes a slash is told the plain path, and nothing behind it was asked."""
    answer = await client.request(system.ingress_port, target="/tricks%2Fshut")
    assert (answer.status, answer.header("location")) == (307, "/tricks/shut")


async def test_the_key_opens(system: Running, models: Models):
    """With its key the guarded model answers, on the normalised path."""
    answer = await client.request(system.ingress_port, target="/tricks/open/../shut/x", headers=[("x-key", "right")])
    assert (answer.status, answer.json()["path"]) == (200, "/tricks/shut/x")
    models["shut"].forget()
