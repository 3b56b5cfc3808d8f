"""The champion's answer and the champion's request are what they would be without a challenge, sampled or not."""

import asyncio
import json
from typing import Any

import pytest

from tests.envoy.challenged import LIMIT, as_shown, framed, told
from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client
from tests.kit.behaviour import Seen
from tests.kit.client import Response

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: same-{name}}}
spec:
  match: [{{path: /same, headers: {{x-twin: {name}}}}}]
  timeout: 1s
  maxBody: 64KiB
  models: {{champ: {{url: "http://<same-champ>/p"}}, {models}}}
  nodes: {{root: {root}, {nodes}}}
"""
RIVAL = 'rival: {url: "http://<same-rival>/p"}'
ALONE = "{split: {routes: [{to: %s, weight: 1}]}}"
READS = "{switch: {cases: [{when: request.body.none == 1, to: %s}], default: %s}}"


def plain(name: str, root: str) -> str:
    """A graph without a challenge."""
    return GRAPH.format(name=name, root=root, models="", nodes="")


def duel(name: str, root: str, challengers: str = "{name: rival, to: rival}") -> str:
    """A graph that leads to a challenge."""
    node = f"duel: {{challenge: {{champion: champ, challengers: [{challengers}]}}}}"
    return GRAPH.format(name=name, root=root, models=RIVAL, nodes=node)


# Each with the graph it is compared with: one without a challenge that reads the same of a request.
TWINS = {"sampled": "plain", "unsampled": "plain", "reading": "plainreading", "keyed": "plainreading"}
GRAPHS = "\n---\n".join(
    [
        plain("plain", ALONE % "champ"),
        plain("plainreading", READS % ("champ", "champ")),
        duel("sampled", ALONE % "duel"),
        duel("unsampled", ALONE % "duel", "{name: rival, to: rival, sample: 0.0000000001}"),
        duel("reading", READS % ("duel", "duel"), "{name: rival, to: rival}, {name: second, to: rival}"),
        duel("keyed", ALONE % "duel", "{name: rival, to: rival, sample: 50%, by: request.body.user}"),
    ]
)
JSON = {"predictions": [1, 2.5, "x"]}
ANSWERS: dict[str, dict[str, Any]] = {
    "json": {"json": JSON},
    "chunked": {"json": JSON, "chunks": 3},
    "nothing": {"size": 0},
    "nothing in chunks": {"size": 0, "chunks": 1},
    "204": {"status": 204},
    "304": {"status": 304, "headers": {"etag": '"x"'}, "json": JSON},
    "302": {"status": 302, "headers": {"location": "http://elsewhere.test/é?x=1"}, "json": JSON},
    "404": {"status": 404, "json": {"error": "mine"}},
    "500": {"status": 500, "json": {"error": "mine"}, "headers": {"retry-after": "7"}},
    "503 in chunks": {"status": 503, "size": 5000, "chunks": 5},
    "gzip": {"size": 300, "headers": {"content-encoding": "gzip"}},
    "br": {"size": 300, "headers": {"content-encoding": "br"}},
    "repeated": {"json": JSON, "headers": [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["X-Own", "Ünï"]]},
    "closing": {"json": JSON, "headers": {"connection": "close"}},
    "spoofing": {
        "json": JSON,
        "headers": {"x-extproc-latency": "1", "x-extproc-route": "x", "x-extproc-graph": "x", "x-extproc-failed": "UF"},
    },
    "events": {"json": JSON, "chunks": 3, "headers": {"content-type": "text/event-stream"}},
    "as large as is compared": {"size": LIMIT},
    "larger than is compared": {"size": LIMIT + 1},
    "larger, in chunks": {"size": 2 * LIMIT, "chunks": 7},
    "slow": {"json": JSON, "chunks": 2, "every": 0.2, "delay": 0.2},
    "never beginning": {"stop": "reset"},
    "late": {"stop": "hang"},
}
REQUESTS: dict[str, tuple[Any, ...]] = {
    "a post": ("POST", [], b'{"user": "ada"}', "content-length"),
    "in chunks": ("POST", [], b'{"user": "ada"}', "chunked"),
    "nothing": ("POST", [], b"", "content-length"),
    "nothing in chunks": ("POST", [], b"", "chunked"),
    "as large as may be": ("POST", [], b" " * (64 * 1024 - 2) + b"{}", "content-length"),
    "as large as may be, in chunks": ("POST", [], b" " * (64 * 1024 - 2) + b"{}", "chunked"),
    "a get": ("GET", [], b"", None),
    "a head": ("HEAD", [], b"", None),
    "an options": ("OPTIONS", [("origin", "http://x.test")], b"", None),
    "a get with a body": ("GET", [], b'{"user": "ada"}', "content-length"),
    "a delete": ("DELETE", [], b'{"user": 1}', "content-length"),
    "waiting": ("POST", [("expect", "100-continue")], b'{"user": "ada"}', "content-length"),
    "spoofing": (
        "POST",
        [("x-extproc-latency", "1"), ("x-extproc-model", "same-plain/champ")],
        b"{}",
        "content-length",
    ),
    "many headers": (
        "PUT",
        [("cookie", "a=1"), ("X-Own", "é"), ("x-own", "2"), ("accept-encoding", "br, gzip"), ("te", "trailers")],
        b"{}",
        "content-length",
    ),
}


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in ("same-champ", "same-rival"):
        models[name].forget()


async def ask(system: Running, graph: str, headers, body: bytes = b"", method: str = "POST") -> Response:
    """Sends a request to one of the graphs."""
    fields = [("x-twin", graph), ("x-request-id", f"id-{graph}"), *headers]
    return await client.request(system.ingress_port, method, "/same?q=%2F", fields, body)


async def ask_all(system: Running, *request, **others) -> dict[str, Response]:
    """Sends the same request to every graph."""
    names = [*TWINS, *set(TWINS.values())]
    answers = await asyncio.gather(*(ask(system, name, *request, **others) for name in names))
    return dict(zip(names, answers, strict=True))


def nameless(answer: Response, graph: str) -> dict[str, Any]:
    """The answer without the graph's name and the id: the project's own errors say both."""
    shown = as_shown(answer)
    headers = [(name, value) for name, value in shown["headers"] if name != "x-request-id"]
    if answer.body.startswith(b'{"error":{"code"'):
        headers = [(name, value) for name, value in headers if name != "content-length"]
        body = answer.body.replace(f'"same-{graph}"'.encode(), b'"G"').replace(f'"id-{graph}"'.encode(), b'"I"')
        return {**shown, "headers": headers, "body": body}
    return {**shown, "headers": headers}


@pytest.mark.parametrize("behaviour", ANSWERS.values(), ids=ANSWERS)
async def test_the_answer(system: Running, behaviour: dict[str, Any]):
    """Status, every header, body and end are those of a graph without a challenge, whatever the champion answers."""
    headers, body = framed(json.dumps({"user": "ada"}).encode(), "content-length")
    told_all = [*told(same_champ=behaviour, same_rival={"json": {"predictions": [7]}}), *headers]
    answers = await ask_all(system, told_all, body)
    for graph, twin in TWINS.items():
        assert nameless(answers[graph], graph) == nameless(answers[twin], twin), graph
        assert answers[graph].header("x-request-id") == f"id-{graph}"
        assert answers[graph].header("x-extproc-latency") is None
        assert (answers[graph].header("x-extproc-graph") or "").startswith(f"same-{graph}@")
        assert (answers[graph].header("x-extproc-route") or "").split(",")[1:] == ["champ"]


@pytest.mark.parametrize("request_sent", REQUESTS.values(), ids=REQUESTS)
async def test_the_request(system: Running, models: Models, request_sent):
    """The champion gets the same request: method, path, query, every header, framing, body; and its answer comes back."""
    method, headers, body, framing = request_sent
    framing_headers, data = framed(body, framing) if framing else ([], b"")
    sent = [*headers, *framing_headers, *told(same_champ={"json": JSON}, same_rival={"json": JSON})]
    answers = await ask_all(system, sent, data, method=method)
    seen = {one.header("x-twin"): one for one in models["same-champ"].requests}
    for graph, twin in TWINS.items():
        assert nameless(answers[graph], graph) == nameless(answers[twin], twin), graph
        assert _as_seen(seen[graph]) == _as_seen(seen[twin]), graph
        assert (seen[graph].body, seen[graph].complete) == (body, True)
    assert len(seen) == len(models["same-champ"].requests)


def _as_seen(seen: Seen) -> tuple[Any, ...]:
    headers = [(name, value) for name, value in seen.headers if name not in {"x-twin", "x-request-id"}]
    return seen.method, seen.path, headers, seen.body, seen.trailers


async def test_an_answer_that_breaks_off(system: Running):
    """It never looks like a whole one: it is cut, or, where nothing of it was passed on yet, the project's 502."""
    for how in ({"size": 100_000}, {"size": 100_000, "chunks": 4}):
        broken = {**how, "stop": "close", "stop_at": "middle"}
        for answer in (await ask_all(system, told(same_champ=broken, same_rival={"json": JSON}))).values():
            assert (answer.status, answer.complete) in {(200, False), (502, True)}
            assert answer.status == 200 or answer.json()["error"]["code"] == "upstream_failed"
