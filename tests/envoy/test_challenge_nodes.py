"""Any node may be champion or challenger, and a challenge may stand anywhere in a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.envoy.challenged import Watched, post, told
from tests.kit import client

if TYPE_CHECKING:
    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

# Which champion and which challenger there is, and which way leads to them, is told by headers.
GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: anynode}
spec:
  match: [{path: /anynode}]
  timeout: 2s
  models:
    one: {url: "http://<at-one>/p", retries: 1}
    two: {url: "http://<at-two>/p", retries: 1}
    three: {url: "http://<at-three>/p", retries: 1}
  nodes:
    root: {challenge: {champion: champion, challengers: [{name: rival, to: challenger}]}}
    champion:
      switch:
        cases:
          - {name: chain, when: 'request.headers["c"] == "chain"', to: line}
          - {name: made, when: 'request.headers["c"] == "made"', to: made}
          - {name: mean, when: 'request.headers["c"] == "mean"', to: average}
          - {name: tries, when: 'request.headers["c"] == "tries"', to: tries}
          - {name: parts, when: 'request.headers["c"] == "parts"', to: parts}
          - {name: picks, when: 'request.headers["c"] == "picks"', to: picks}
          - {name: says, when: 'request.headers["c"] == "says"', to: says}
          - {name: nowhere, when: 'request.headers["c"] == "nowhere"', to: nowhere}
          - {name: three, when: 'request.headers["c"] == "three"', to: three}
    challenger:
      switch:
        cases:
          - {name: chain, when: 'request.headers["r"] == "chain"', to: line}
          - {name: made, when: 'request.headers["r"] == "made"', to: made}
          - {name: mean, when: 'request.headers["r"] == "mean"', to: average}
          - {name: tries, when: 'request.headers["r"] == "tries"', to: tries}
          - {name: parts, when: 'request.headers["r"] == "parts"', to: parts}
          - {name: picks, when: 'request.headers["r"] == "picks"', to: picks}
          - {name: says, when: 'request.headers["r"] == "says"', to: says}
          - {name: nowhere, when: 'request.headers["r"] == "nowhere"', to: nowhere}
        default: three
    line: {chain: {steps: [{name: a, to: one}, {name: b, to: two}]}}
    made: {chain: {steps: [{name: a, to: one}, {name: b, to: two}], output: {predictions: ["${steps.b.status}"]}}}
    average: {ensemble: {members: [{name: a, to: one}, {name: b, to: two}], combine: mean}}
    tries: {fallback: {routes: [{to: one}, {to: two}]}}
    parts: {split: {by: 'request.headers["k"]', routes: [{to: one, weight: 1}, {to: two, weight: 1}]}}
    picks: {cascade: {routes: [{to: one, accept: 'response.body.predictions[0] > 5'}, {to: two}]}}
    says: {respond: {status: 200, body: {predictions: [7]}}}
    nowhere: {switch: {cases: [{when: 'request.headers["k"] == "x"', to: one}]}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: anyplace}
spec:
  match: [{path: /anyplace}]
  timeout: 2s
  models:
    one: {url: "http://<at-one>/p", retries: 1}
    two: {url: "http://<at-two>/p", retries: 1}
    three: {url: "http://<at-three>/p", retries: 1}
  nodes:
    root:
      switch:
        cases:
          - {name: branch, when: 'request.headers["c"] == "branch"', to: duel}
          - {name: step, when: 'request.headers["c"] == "step"', to: step}
          - {name: last, when: 'request.headers["c"] == "last"', to: last}
          - {name: member, when: 'request.headers["c"] == "member"', to: member}
          - {name: route, when: 'request.headers["c"] == "route"', to: route}
          - {name: twice, when: 'request.headers["c"] == "twice"', to: twice}
        default: two
    duel: {challenge: {champion: one, challengers: [{name: rival, to: three}]}}
    step: {chain: {steps: [{name: a, to: duel}, {name: b, to: two}]}}
    last: {chain: {steps: [{name: a, to: two}, {name: b, to: duel}]}}
    member: {ensemble: {members: [{name: a, to: duel}, {name: b, to: two}]}}
    route: {fallback: {routes: [{to: two}, {to: duel}]}}
    twice: {chain: {steps: [{name: a, to: duel}, {name: b, to: duel}]}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: headersonly}
spec:
  match: [{path: /headersonly}]
  models: {one: {url: "http://<at-one>/p"}, two: {url: "http://<at-two>/p"}, three: {url: "http://<at-three>/p"}}
  nodes:
    root:
      challenge:
        champion: {split: {by: 'request.headers["k"]', routes: [{to: one, weight: 1}, {to: two, weight: 1}]}}
        challengers: [{name: rival, to: {chain: {steps: [{name: a, to: three}, {name: b, to: three}]}}}]
"""
ONE, TWO, THREE = ({"json": {"predictions": [number]}} for number in (1, 2, 3))
FAILS = {"status": 503, "json": "no"}
MISSING = {"status": 404, "json": "no"}
HANGS = {"stop": "hang"}
BODY = b'{"instances": [1]}'
STUBS = ("at-one", "at-two", "at-three")
# Which champion; what one and two answer; the status, the way and the predictions that the client gets; the count.
CHAMPIONS: list[tuple[Any, ...]] = [
    ("chain", ONE, TWO, 200, "one,two", [2], "paired"),
    ("chain", FAILS, TWO, 502, "one!503", None, "champion_failed"),
    ("chain", MISSING, TWO, 404, "one!404", None, "champion_failed"),
    ("chain", ONE, FAILS, 503, "one,two", None, "champion_failed"),
    ("chain", HANGS, TWO, 504, "one!timeout", None, "champion_failed"),
    ("made", ONE, TWO, 200, "one,two", [200], "paired"),
    ("made", ONE, FAILS, 502, "one,two!503", None, "champion_failed"),
    ("mean", ONE, TWO, 200, "one,two", [1.5], "paired"),
    ("mean", ONE, FAILS, 502, None, None, "champion_failed"),
    ("tries", ONE, TWO, 200, "one", [1], "paired"),
    ("tries", FAILS, TWO, 200, "one!503,two", [2], "paired"),
    ("tries", FAILS, FAILS, 503, "one!503,two", None, "champion_failed"),
    ("tries", MISSING, TWO, 404, "one!404", None, "champion_failed"),
    ("picks", {"json": {"predictions": [9]}}, TWO, 200, "one", [9], "paired"),
    ("picks", ONE, TWO, 200, "one,two", [2], "paired"),
    ("says", ONE, TWO, 200, None, [7], "paired"),
    ("nowhere", ONE, TWO, 404, None, None, "champion_failed"),
    ("unknown", ONE, TWO, 404, None, None, "champion_failed"),
]
# Which challenger; what one and two answer; the count.
RIVALS: list[tuple[Any, ...]] = [
    ("chain", ONE, TWO, "paired"),
    ("chain", FAILS, TWO, "failed"),
    ("chain", ONE, MISSING, "failed"),
    ("chain", ONE, HANGS, "timeout"),
    ("made", ONE, TWO, "paired"),
    ("mean", ONE, TWO, "paired"),
    ("mean", ONE, FAILS, "failed"),
    ("tries", FAILS, TWO, "paired"),
    ("parts", ONE, TWO, "paired"),
    ("picks", ONE, TWO, "paired"),
    ("says", ONE, TWO, "paired"),
    ("nowhere", ONE, TWO, "failed"),
]
# Which way; the route and the predictions that the client gets; the count, None where it leads past the challenge.
PLACES: list[tuple[Any, ...]] = [
    ("branch", ONE, TWO, "root=branch,one", [1], "paired"),
    ("unknown", ONE, TWO, "root=default,two", [2], None),
    ("step", ONE, TWO, "root=step,one,two", [2], "paired"),
    ("step", FAILS, TWO, "root=step,one!503", None, "champion_failed"),
    ("last", ONE, TWO, "root=last,two,one", [1], "paired"),
    ("last", ONE, FAILS, "root=last,two!503", None, None),
    ("member", ONE, TWO, "root=member,one,two", None, "paired"),
    ("route", ONE, TWO, "root=route,two", [2], None),
    ("route", ONE, FAILS, "root=route,two!503,one", [1], "paired"),
    ("twice", ONE, TWO, "root=twice,one,one", [1], "paired"),
]


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in STUBS:
        models[name].forget()


def ids(cases: list[tuple[Any, ...]]) -> list[str]:
    """What the cases are called."""
    return [f"{number} {case[0]} {case[-1]}" for number, case in enumerate(cases)]


@pytest.mark.parametrize("case", CHAMPIONS, ids=ids(CHAMPIONS))
async def test_champions(system: Running, case):
    """The client gets what the node answers, by the way that it took; a 2xx is paired, all else has failed."""
    kind, one, two, status, way, predictions, outcome = case
    watched = Watched(system, "anynode")
    answer = await post(system, "/anynode", [*told(at_one=one, at_two=two, at_three=THREE), ("c", kind)], BODY)
    assert (answer.status, answer.complete) == (status, True)
    taken = f"champion={kind}," if kind != "unknown" else ""
    assert way is None or answer.header("x-extproc-route") == f"{taken}{way}"
    if predictions is not None:
        assert answer.json() == {"predictions": predictions}
    assert await watched.counts(1) == {outcome: 1}


@pytest.mark.parametrize(("kind", "one", "two", "outcome"), RIVALS, ids=ids(RIVALS))
async def test_challengers(system: Running, kind, one, two, outcome):
    """The client knows nothing of the challenger's node, which answers or fails like a model."""
    watched = Watched(system, "anynode")
    headers = [*told(at_one=one, at_two=two, at_three=THREE), ("c", "three"), ("r", kind)]
    answer = await post(system, "/anynode", headers, BODY)
    assert (answer.status, answer.json()) == (200, THREE["json"])
    assert answer.header("x-extproc-route") == "champion=three,three"
    assert await watched.counts(1) == {outcome: 1}


@pytest.mark.parametrize("case", PLACES, ids=ids(PLACES))
async def test_places(system: Running, case):
    """A request is counted where it reached the challenge, once; what follows is not the champion's."""
    place, one, two, route, predictions, outcome = case
    watched = Watched(system, "anyplace")
    answer = await post(system, "/anyplace", [*told(at_one=one, at_two=two, at_three=THREE), ("c", place)], BODY)
    assert answer.header("x-extproc-route") == route
    assert answer.complete
    if predictions is not None:
        assert (answer.status, answer.json()) == (200, {"predictions": predictions})
    # What leads past the challenge is counted nowhere: with one that does not, one was seen.
    if outcome is None:
        headers = [*told(at_one=ONE, at_two=TWO, at_three=THREE), ("c", "branch")]
        assert (await post(system, "/anyplace", headers, BODY)).status == 200
    assert await watched.counts(1) == {outcome or "paired": 1}


@pytest.mark.parametrize(
    ("graph", "kind", "sees"),
    [
        ("anynode", "chain", BODY),
        ("anyplace", "branch", BODY),
        ("anyplace", "step", BODY),
        ("anyplace", "last", b'{"predictions": [2]}'),
    ],
)
async def test_the_challenger_has_what_the_champion_has(system: Running, models: Models, graph, kind, sees):
    """Its leg begins with what reached the challenge: the request, or the response of the step before."""
    watched = Watched(system, graph)
    headers = [*told(at_one=ONE, at_two=TWO, at_three=THREE), ("c", kind)]
    assert (await post(system, f"/{graph}", headers, BODY)).status == 200
    assert await watched.counts(1) == {"paired": 1}
    (ours,), (theirs,) = models["at-one"].requests, models["at-three"].requests
    for seen in (ours, theirs):
        assert (seen.method, seen.path, seen.body) == ("POST", "/p", sees)
        assert seen.header("content-type") == "application/json"
        assert [name for name, _ in seen.headers if name.startswith("x-extproc-")] == []


async def test_headers_of_a_challengers_call(system: Running, models: Models):
    """It has the client's headers, as every model has, and asks for no encoding; the query is the client's."""
    watched = Watched(system, "anyplace")
    headers = [("x-own", "1"), ("accept-encoding", "br"), ("x-extproc-spoofed", "1"), ("authorization", "Bearer x")]
    headers += [*told(at_one=ONE, at_three=THREE), ("c", "branch")]
    answer = await client.request(system.ingress_port, "POST", "/anyplace?q=%2F", headers, BODY)
    assert answer.status == 200
    assert await watched.counts(1) == {"paired": 1}
    (ours,), (theirs,) = models["at-one"].requests, models["at-three"].requests
    for name in ("x-own", "authorization", "x-request-id", "content-length"):
        assert ours.header(name)
        assert ours.header(name) == theirs.header(name)
    assert (ours.header("accept-encoding"), theirs.header("accept-encoding")) == ("br", "identity")
    assert (ours.path, theirs.path) == ("/p?q=%2F", "/p?q=%2F")


async def test_a_split_of_headers_alone(system: Running, models: Models):
    """Who is champion for a key the split tells as ever; the challenger's chain goes on beside it."""
    watched = Watched(system, "headersonly")
    headers = told(at_one=ONE, at_two=TWO, at_three={"echo": True})
    found = {}
    for user in map(str, range(12)):
        answers = [await post(system, "/headersonly", [*headers, ("k", user)], BODY) for _ in range(2)]
        routes = {answer.header("x-extproc-route") for answer in answers}
        assert len(routes) == 1
        found[user] = routes.pop()
    assert set(found.values()) == {"root.champion=one,one", "root.champion=two,two"}
    assert await watched.counts(24) == {"unparsable": 24}
    assert [seen.body for seen in models["at-three"].requests] == [BODY] * 48
