"""Any node may be champion or challenger, and a challenge may stand anywhere in a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.envoy.challenged import Watched, one_of, post, post_many, told
from tests.kit import client

if TYPE_CHECKING:
    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: at-{name}}}
spec:
  match: [{{path: /at-{name}}}]
  timeout: {timeout}
  models:
    one: {{url: "http://<at-one>/p", retries: 1}}
    two: {{url: "http://<at-two>/p", retries: 1}}
    three: {{url: "http://<at-three>/p", retries: 1}}
  nodes:
    root: {root}
    duel: {{challenge: {{champion: {champion}, challengers: [{{name: rival, to: {challenger}}}]}}}}
"""
ROOT = "{switch: {cases: [{when: 'request.path == \"/none\"', to: three}], default: duel}}"
LINE = "{chain: {steps: [{name: a, to: one}, {name: b, to: two}]}}"
LINE_BACK = "{chain: {steps: [{name: a, to: two}, {name: b, to: one}]}}"
MADE = "{chain: {steps: [{name: a, to: one}, {name: b, to: two}], output: {predictions: [\"${steps.b.status}\"]}}}"
MEAN = "{ensemble: {members: [{name: a, to: one}, {name: b, to: two}], combine: mean}}"
TRIES = "{fallback: {routes: [{to: one}, {to: two}]}}"
PARTS = "{split: {by: 'request.headers[\"k\"]', routes: [{name: x, to: one, weight: 1}, {name: y, to: two, weight: 1}]}}"
PICKS = "{cascade: {routes: [{to: one, accept: 'response.body.predictions[0] > 5'}, {to: two}]}}"
SAYS = "{respond: {status: 200, body: {predictions: [7]}}}"
NOWHERE = "{switch: {cases: [{when: 'request.headers[\"k\"] == \"x\"', to: one}]}}"
DUELS = {
    "chain": (ROOT, LINE, "three"),
    "made": (ROOT, MADE, "three"),
    "ensemble": (ROOT, MEAN, "three"),
    "fallback": (ROOT, TRIES, "three"),
    "split": (ROOT, PARTS, "three"),
    "cascade": (ROOT, PICKS, "three"),
    "respond": (ROOT, SAYS, "three"),
    "nowhere": (ROOT, NOWHERE, "three"),
    "rivalchain": (ROOT, "three", LINE),
    "rivalmean": (ROOT, "three", MEAN),
    "rivaltries": (ROOT, "three", TRIES),
    "rivalsplit": (ROOT, "three", PARTS),
    "rivalrespond": (ROOT, "three", SAYS),
    "rivalnowhere": (ROOT, "three", NOWHERE),
    "bothchains": (ROOT, LINE, LINE_BACK),
    "branch": ("{switch: {cases: [{name: vip, when: 'request.headers[\"k\"] == \"x\"', to: duel}], default: two}}", "one", "three"),
    "lot": ("{split: {by: 'request.headers[\"k\"]', routes: [{name: d, to: duel, weight: 1}, {name: t, to: two, weight: 1}]}}", "one", "three"),
    "step": ("{chain: {steps: [{name: a, to: duel}, {name: b, to: two}]}}", "one", "three"),
    "last": ("{chain: {steps: [{name: a, to: two}, {name: b, to: duel}]}}", "one", "three"),
    "member": ("{ensemble: {members: [{name: a, to: duel}, {name: b, to: two}]}}", "one", "three"),
    "route": ("{fallback: {routes: [{to: two}, {to: duel}]}}", "one", "three"),
    "twice": ("{chain: {steps: [{name: a, to: duel}, {name: b, to: duel}]}}", "one", "three"),
}  # fmt: skip
GRAPHS = "\n---\n".join(
    GRAPH.format(name=name, root=root, champion=champion, challenger=challenger, timeout="2s")
    for name, (root, champion, challenger) in DUELS.items()
)
ONE, TWO, THREE = {"json": {"predictions": [1]}}, {"json": {"predictions": [2]}}, {"json": {"predictions": [3]}}
FAILS = {"status": 503, "json": "no"}
BAD = {"status": 404, "json": "no"}
BODY = b'{"instances": [1]}'
STUBS = ("at-one", "at-two", "at-three")
# Graph, behaviours, headers; the status, the route and the predictions that the client gets; what it counts as.
CASES: list[tuple] = [
    ("chain", (ONE, TWO, THREE), "", 200, "root=default,one,two", [2], "paired"),
    ("chain", (FAILS, TWO, THREE), "", 502, "root=default,one!503", None, "champion_failed"),
    ("chain", (BAD, TWO, THREE), "", 404, "root=default,one!404", None, "champion_failed"),
    ("chain", (ONE, FAILS, THREE), "", 503, "root=default,one,two", None, "champion_failed"),
    ("chain", (ONE, TWO, FAILS), "", 200, "root=default,one,two", [2], "failed"),
    ("made", (ONE, TWO, THREE), "", 200, "root=default,one,two", [200], "paired"),
    ("ensemble", (ONE, TWO, THREE), "", 200, "root=default,one,two", [1.5], "paired"),
    ("ensemble", (ONE, FAILS, THREE), "", 502, None, None, "champion_failed"),
    ("fallback", (ONE, TWO, THREE), "", 200, "root=default,one", [1], "paired"),
    ("fallback", (FAILS, TWO, THREE), "", 200, "root=default,one!503,two", [2], "paired"),
    ("fallback", (FAILS, FAILS, THREE), "", 503, "root=default,one!503,two", None, "champion_failed"),
    ("fallback", (BAD, TWO, THREE), "", 404, "root=default,one!404", None, "champion_failed"),
    ("split", (ONE, TWO, THREE), "", 200, None, None, "paired"),
    ("cascade", ({"json": {"predictions": [9]}}, TWO, THREE), "", 200, "root=default,one", [9], "paired"),
    ("cascade", (ONE, TWO, THREE), "", 200, "root=default,one,two", [2], "paired"),
    ("respond", (ONE, TWO, THREE), "", 200, "root=default", [7], "paired"),
    ("nowhere", (ONE, TWO, THREE), "", 404, "root=default", None, "champion_failed"),
    ("nowhere", (ONE, TWO, THREE), "x", 200, None, [1], "paired"),
    ("rivalchain", (ONE, TWO, THREE), "", 200, "root=default,three", [3], "paired"),
    ("rivalchain", (FAILS, TWO, THREE), "", 200, "root=default,three", [3], "failed"),
    ("rivalchain", (ONE, {"stop": "hang"}, THREE), "", 200, "root=default,three", [3], "timeout"),
    ("rivalmean", (ONE, TWO, THREE), "", 200, "root=default,three", [3], "paired"),
    ("rivaltries", (FAILS, TWO, THREE), "", 200, "root=default,three", [3], "paired"),
    ("rivalsplit", (ONE, TWO, THREE), "", 200, "root=default,three", [3], "paired"),
    ("rivalrespond", (ONE, TWO, THREE), "", 200, "root=default,three", [3], "paired"),
    ("rivalnowhere", (ONE, TWO, THREE), "", 200, "root=default,three", [3], "failed"),
    ("bothchains", (ONE, TWO, THREE), "", 200, "root=default,one,two", [2], "paired"),
    ("branch", (ONE, TWO, THREE), "x", 200, "root=vip,one", [1], "paired"),
    ("branch", (ONE, TWO, THREE), "", 200, "root=default,two", [2], None),
    ("step", (ONE, TWO, THREE), "", 200, "one,two", [2], "paired"),
    ("step", (FAILS, TWO, THREE), "", 502, "one!503", None, "champion_failed"),
    ("last", (ONE, TWO, THREE), "", 200, "two,one", [1], "paired"),
    ("last", (ONE, FAILS, THREE), "", 502, "two!503", None, None),
    ("member", (ONE, TWO, THREE), "", 200, "one,two", None, "paired"),
    ("route", (ONE, TWO, THREE), "", 200, "two", [2], None),
    ("route", (ONE, FAILS, THREE), "", 200, "two!503,one", [1], "paired"),
    ("twice", (ONE, TWO, THREE), "", 200, "one,one", [1], "paired"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in STUBS:
        models[name].forget()


@pytest.mark.parametrize(
    ("graph", "behaviours", "key", "status", "route", "predictions", "outcome"),
    CASES,
    ids=[f"{graph} {outcome}" for graph, *_, outcome in CASES],
)
async def test_every_place(system: Running, graph, behaviours, key, status, route, predictions, outcome):
    """The client gets the champion's answer by the champion's way; the request is counted where it reached the challenge."""
    watched = Watched(system, f"at-{graph}")
    one, two, three = behaviours
    headers = [*told(at_one=one, at_two=two, at_three=three), ("k", key)]
    answer = await post(system, f"/at-{graph}", headers, BODY)
    assert (answer.status, answer.complete) == (status, True)
    assert route in {None, answer.header("x-extproc-route")}
    if predictions is not None:
        assert answer.json() == {"predictions": predictions}
    if outcome is None:  # it leads past the challenge: a request that does not shows that nothing else was counted
        at_duel = [*told(at_one=ONE, at_two=FAILS if graph in {"route"} else TWO, at_three=THREE), ("k", "x")]
        assert (await post(system, f"/at-{graph}", at_duel, BODY)).status == 200
    assert await watched.counts(1) == {outcome or "paired": 1}


@pytest.mark.parametrize(("graph", "sees"), [("chain", BODY), ("step", BODY), ("last", b'{"predictions": [2]}')])
async def test_the_challenger_has_what_the_champion_has(system: Running, models: Models, graph, sees):
    """Its leg begins with what reached the challenge: the request, or the response of the step before."""
    watched = Watched(system, f"at-{graph}")
    answer = await post(system, f"/at-{graph}", told(at_one=ONE, at_two=TWO, at_three=THREE), BODY)
    assert answer.status == 200
    assert await watched.counts(1) == {"paired": 1}
    assert [seen.body for seen in models["at-one"].requests] == [sees]
    assert [(seen.method, seen.path, seen.body) for seen in models["at-three"].requests] == [("POST", "/p", sees)]
    ours, theirs = (models[name].requests[0] for name in ("at-one", "at-three"))
    assert theirs.header("content-type") == ours.header("content-type") == "application/json"
    assert [name for name, _ in theirs.headers if name.startswith("x-extproc-")] == []


async def test_headers_of_a_challengers_call(system: Running, models: Models):
    """It has the client's headers, as every model has, but asks for no encoding; the query is the client's."""
    watched = Watched(system, "at-rivalchain")
    headers = [("x-own", "1"), ("accept-encoding", "br"), ("x-extproc-spoofed", "1"), ("authorization", "Bearer x")]
    headers += told(at_one=ONE, at_two=TWO, at_three=THREE)
    answer = await client.request(system.ingress_port, "POST", "/at-rivalchain?q=%2F", headers, BODY)
    assert answer.status == 200
    assert await watched.counts(1) == {"paired": 1}
    (champion,), (rival,) = models["at-three"].requests, models["at-one"].requests
    for name in ("x-own", "authorization", "x-request-id"):
        assert champion.header(name) == rival.header(name) != None  # noqa: E711
    assert (champion.header("accept-encoding"), rival.header("accept-encoding")) == ("br", "identity")
    assert (champion.path, rival.path) == ("/p?q=%2F", "/p?q=%2F")


async def test_a_split_champion_is_sticky(system: Running):
    """Who is champion for a key is told by the split as ever, and all are compared with the same challenger."""
    watched = Watched(system, "at-split")
    headers = told(at_one=ONE, at_two=TWO, at_three=THREE)
    found = {}
    for user in map(str, range(12)):
        routes = {(await post(system, "/at-split", [*headers, ("k", user)], BODY)).header("x-extproc-route") for _ in "ab"}
        assert len(routes) == 1
        found[user] = routes.pop()
    assert set(found.values()) == {"root=default,duel.champion=x,one", "root=default,duel.champion=y,two"}
    assert await watched.counts(24) == {"paired": 24}


@pytest.mark.parametrize("graph", ["rivalchain", "chain", "made", "step"])
async def test_a_second_time_is_no_pair(system: Running, graph):
    """However often one asks, each request is one."""
    watched = Watched(system, f"at-{graph}")
    answers = await post_many(system, f"/at-{graph}", 30, told(at_one=ONE, at_two=TWO, at_three=THREE))
    assert {answer.status for answer in answers} == {200}
    assert await watched.counts(30) == {"paired": 30}
    assert one_of(watched.report())["latency"]["champion"]["samples"] >= 30
