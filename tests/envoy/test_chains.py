"""Chains, ensembles, fallbacks and cascades on the real Envoy: what each model sees, and what the client is told."""

import asyncio
import json
import re

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client
from tests.kit.client import Response

pytestmark = pytest.mark.envoy

ROOTS = {
    "paths": "{chain: {steps: [{name: one, to: a}, {name: two, to: fixed}]}}",
    "filled": """{chain: {steps: [
        {name: one, to: a},
        {name: two, to: b, input: {all: "${request.body}", n: "${steps.one.body.n}", text: "is ${steps.one.status}"}}]}}""",
    "auto1": "{chain: {steps: [{name: one, to: w1}, {name: two, to: v1, input: auto}]}}",
    "auto2": "{chain: {steps: [{name: one, to: w2}, {name: two, to: v2, input: auto}]}}",
    "when": """{chain: {steps: [
        {name: one, to: a}, {name: two, to: b, when: steps.one.body.more}, {name: three, to: c}]}}""",
    "skip": "{chain: {steps: [{name: one, to: a, onError: skip}, {name: two, to: c}]}}",
    "instead": "{chain: {steps: [{name: one, to: a, onError: {to: b}}, {name: two, to: c}]}}",
    "output": """{chain: {
        steps: [{name: one, to: a}, {name: two, to: b}],
        output: {both: ["${steps.one.body.n}", "${steps.two.body.n}"], key: "${request.body.k}"}}}""",
    "gone": "{chain: {steps: [{name: one, to: down}, {name: two, to: c}]}}",
    "late": "{chain: {steps: [{name: one, to: quick}, {name: two, to: c}]}}",
    "collect": "{ensemble: {members: [{name: x, to: a}, {name: y, to: b}]}}",
    "some": "{ensemble: {members: [{name: x, to: a}, {name: y, to: b}, {name: z, to: c}], require: 2}}",
    "mean": """{ensemble: {
        members: [{name: x, to: w1, weight: 3}, {name: y, to: v1, weight: 1}], combine: mean}}""",
    "vote": "{ensemble: {members: [{name: x, to: a}, {name: y, to: b}, {name: z, to: c}], combine: vote}}",
    "first": "{ensemble: {members: [{name: x, to: a}, {name: y, to: b}], require: 1, combine: first}}",
    "told": """{ensemble: {
        members: [{name: x, to: a, input: {is: "${request.body.k}"}}, {name: y, to: b}],
        output: {x: "${members.x.body.n}", y: "${members.y.status}"}}}""",
    "quorum": """{ensemble: {
        members: [{name: x, to: a}, {name: y, to: b}, {name: z, to: c}], require: 2, wait: quorum}}""",
    "fallback": "{fallback: {routes: [{to: a, timeout: 150ms}, {to: c}]}}",
    "connects": '{fallback: {routes: [{to: down}, {to: c}], on: [connect, "429"]}}',
    "picky": "{fallback: {routes: [{to: a}, {to: c}], on: [connect]}}",
    "busy": "{fallback: {routes: [{to: narrow}, {to: c}]}}",
    "crowded": "{chain: {steps: [{name: one, to: narrow}, {name: two, to: c}]}}",
    "cascade": "{cascade: {routes: [{to: a, accept: response.body.sure > 0.5}, {to: c}]}}",
    "deep": '{switch: {cases: [{name: go, when: \'request.headers["k"] == "x"\', to: outer}], default: c}}',
    "chains": "{ensemble: {members: [{name: p, to: pair}, {name: z, to: c}]}}",
    "tried": "{chain: {steps: [{name: one, to: tries}, {name: two, to: choice}]}}",
}


GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: chains}
spec:
  match: [{prefix: /chains}]
  timeout: 1s
  models:
    a: {url: "http://<step-a>"}
    b: {url: "http://<step-b>"}
    c: {url: "http://<step-c>"}
    fixed: {url: "http://<step-c>/fixed"}
    quick: {url: "http://<step-a>", timeout: 150ms}
    narrow: {url: "http://<step-a>", concurrency: 1}
    v1: {url: "http://<step-b>/v1/models/b:predict"}
    v2: {url: "http://<step-b>/v2/models/b/infer"}
    w1: {url: "http://<step-a>/v1/models/a:predict"}
    w2: {url: "http://<step-a>/v2/models/a/infer"}
    down: {url: "http://<down>"}
  nodes:
    tries: {fallback: {routes: [{to: a}, {to: b}]}}
    parts: {split: {by: 'request.headers["k"]', routes: [{name: only, to: c, weight: 1}]}}
    pair: {chain: {steps: [{name: one, to: a}, {name: two, to: b}]}}
    outer: {chain: {steps: [{name: one, to: a}, {name: two, to: inner}]}}
    choice: {switch: {cases: [{when: 'request.headers["k"] == "x"', to: inner}], default: c}}
    inner: {chain: {steps: [{name: one, to: b}, {name: two, to: parts}]}}
"""
PLAIN = """
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: three}
spec:
  match: [{path: /three}]
  timeout: 1s
  models:
    a: {url: "http://<step-a>"}
    b: {url: "http://<step-b>"}
    c: {url: "http://<step-c>"}
  nodes: {root: {chain: {steps: [{name: one, to: a}, {name: two, to: b}, {name: three, to: c}]}}}
"""
# One graph with a node for each path below /chains: every model is one cluster, whoever calls it.
CASES = "".join(f"""{{when: 'request.path == "/chains/{name}"', to: {name}}}, """ for name in ROOTS)
GRAPHS = (
    GRAPH
    + f"    root: {{switch: {{cases: [{CASES}]}}}}\n"
    + "".join(f"    {name}: {node}\n" for name, node in ROOTS.items())
    + PLAIN
)
STUBS = ("step-a", "step-b", "step-c")
SECRET = "the model's own words"
EXACT = '{"k": 123456789012345678901234567890, "price": 1.10, "huge": 1e400, "zero": -0.0}'


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in STUBS:
        models[name].forget()


def told(**behaviours) -> list[tuple[str, str]]:
    """Tells each of the stubs how to answer: ``a={"status": 503}``."""
    return [(f"x-stub-step-{name}", json.dumps(behaviour)) for name, behaviour in behaviours.items()]


async def ask(system: Running, graph: str, headers=(), body: bytes = b'{"k": 1}', **others) -> Response:
    """Posts a body to a graph."""
    others = {"method": "POST", "target": path_of(graph), **others}
    return await client.request(
        system.ingress_port, headers=[("x-request-id", "the-id"), *headers], body=body, **others
    )


def path_of(graph: str) -> str:
    """Where a graph, or a node of the large one, is reached."""
    return "/three" if graph == "three" else f"/chains/{graph}"


def way(answer: Response) -> str:
    """The route that the client is shown, without the choice of a node by its path."""
    return re.sub(r"^root=\w+,?", "", answer.header("x-extproc-route") or "")


def seen(models: Models) -> str:
    """Which stubs were called, in order, by their letters."""
    requests = [(one.at, name[-1]) for name in STUBS for one in models[name].requests]
    return "".join(letter for _, letter in sorted(requests))


def check_error(answer: Response, status: int, code: str, route: str, **names: str) -> None:
    """The answer is an error made by the project, and repeats nothing of a model's."""
    assert (answer.status, answer.complete, answer.header("content-type")) == (status, True, "application/json")
    error = answer.json()["error"]
    message = error.pop("message")
    assert message
    assert SECRET not in message
    assert "127.0.0.1" not in message
    node = names.pop("graph")
    graph = node if node == "three" else "chains"
    own = {"node": "root" if node == "three" else node}
    assert error == {"code": code, "requestId": "the-id", "graph": graph, **own, **names}
    assert way(answer) == route
    assert (answer.header("x-extproc-graph") or "").startswith(f"{graph}@")
    assert answer.header("x-request-id") == "the-id"


# --- chains


async def test_bodies_go_from_step_to_step_byte_for_byte(system: Running, models: Models):
    """Each step gets the bytes and the content-type that the one before answered, with the client's method and query."""
    models["step-a"].script({"body": b"\0\xff\r\n one", "headers": {"content-type": "application/x-one"}})
    models["step-b"].script({"body": b" \t{not json", "headers": {"content-type": "text/x-two; charset=none"}})
    models["step-c"].script({"body": b"\xfe the end", "headers": {"x-own": "kept"}})
    sent = [("content-type", "application/x-zero"), ("x-own", "the client's"), ("cookie", "a=b")]
    answer = await ask(system, "three", sent, b"\x80\0 zero", method="PUT", target="/three?q=%20&q=")
    assert (answer.status, answer.body, answer.header("x-own")) == (200, b"\xfe the end", "kept")
    assert way(answer) == "a,b,c"
    requests = [models[name].requests[0] for name in STUBS]
    assert [one.body for one in requests] == [b"\x80\0 zero", b"\0\xff\r\n one", b" \t{not json"]
    assert [one.header("content-type") for one in requests] == [
        "application/x-zero",
        "application/x-one",
        "text/x-two; charset=none",
    ]
    for one in requests:
        assert (one.method, one.path) == ("PUT", "/three?q=%20&q=")
        assert one.header("content-length") == str(len(one.body))
        assert (one.header("x-own"), one.header("cookie")) == ("the client's", "a=b")
        assert (one.header("x-request-id"), one.header("host")) == ("the-id", f"127.0.0.1:{port_of(one, models)}")
        assert not [name for name, _ in one.headers if name.lower().startswith("x-extproc-")]
    assert [one.header("accept-encoding") for one in requests[:2]] == ["identity", "identity"]


def port_of(one, models: Models) -> int:
    """The port of the stub that saw a request."""
    return next(models[name].port for name in STUBS if one in models[name].requests)


async def test_a_models_path_keeps_the_query(system: Running, models: Models):
    """A step whose model has a path of its own goes there, with the client's query."""
    answer = await ask(system, "paths", told(c={"echo": True}), target="/chains/paths?q=1&r=%2F")
    assert answer.status == 200
    assert [one.path for one in (*models["step-a"].requests, *models["step-c"].requests)] == [
        "/chains/paths?q=1&r=%2F",
        "/fixed?q=1&r=%2F",
    ]


async def test_a_template_keeps_numbers_exact(system: Running, models: Models):
    """What a template moves stands in the call as the client, or the model, wrote it; the call is a POST of JSON."""
    models["step-a"].script({"body": b'{"n": [1.10, 1e400, 123456789012345678901234567890]}'})
    answer = await ask(system, "filled", [("content-type", "text/odd")], EXACT.encode(), method="PUT")
    assert answer.status == 200
    assert models["step-a"].requests[0].method == "PUT"
    (made,) = models["step-b"].requests
    assert (made.method, made.header("content-type")) == ("POST", "application/json")
    text = made.body.decode()
    assert EXACT in text
    assert '"n":[1.10, 1e400, 123456789012345678901234567890]' in text
    assert '"text":"is 200"' in text


async def test_auto_by_v1(system: Running, models: Models):
    """V1: the predictions are the next instances, number by number as they were."""
    models["step-a"].script({"body": b'{"predictions": [[1.10, 2], [3e0, 123456789012345678901]]}'})
    answer = await ask(system, "auto1", body=b'{"instances": [1]}')
    assert answer.status == 200
    (made,) = models["step-b"].requests
    assert made.body.replace(b" ", b"") == b'{"instances":[[1.10,2],[3e0,123456789012345678901]]}'
    assert (made.method, made.header("content-type")) == ("POST", "application/json")


async def test_auto_by_v2(system: Running, models: Models):
    """V2: the outputs are the next inputs."""
    output = {"name": "y", "shape": [1, 2], "datatype": "FP64", "data": [0.1, 2]}
    models["step-a"].script({"json": {"model_name": "a", "outputs": [output]}})
    answer = await ask(system, "auto2", body=json.dumps({"inputs": [output]}).encode())
    assert answer.status == 200
    (made,) = models["step-b"].requests
    assert made.json() == {"inputs": [output]}


async def test_auto_of_what_predicts_nothing(system: Running, models: Models):
    """A response that the protocol knows nothing of is 422, and the next model is not called."""
    answer = await ask(system, "auto1", told(a={"json": {"words": SECRET}}))
    check_error(answer, 422, "bad_expression", "w1", graph="auto1")
    assert seen(models) == "a"


@pytest.mark.parametrize(
    ("more", "route", "called"), [(True, "a,b,c", "abc"), (False, "a,c", "ac"), ("no bool", "a,c", "ac")]
)
async def test_when(system: Running, models: Models, more, route, called):
    """A step whose condition does not hold is skipped, and the next one sees what this one would have seen."""
    behaviours = told(a={"json": {"more": more}}, b={"json": "b"})
    answer = await ask(system, "when", behaviours)
    assert (answer.status, way(answer), seen(models)) == (200, route, called)
    assert models["step-c"].requests[0].json() == ("b" if more is True else {"more": more})


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        ({"status": 503, "json": SECRET}, "a!503"),
        ({"status": 404}, "a!404"),
        ({"stop": "reset"}, "a!reset"),
        ({"status": 302, "headers": {"location": "/elsewhere"}}, "a!302"),
    ],
)
async def test_on_error_skip(system: Running, models: Models, failure, shown):
    """A failed step that may be skipped leaves the next one with what came in."""
    answer = await ask(system, "skip", told(a=failure, c={"echo": True}), b"came in")
    assert (answer.status, answer.body, way(answer)) == (200, b"came in", f"{shown},c")
    assert seen(models) == "ac"


async def test_on_error_to(system: Running, models: Models):
    """A failed step's stand-in gets the step's own input, and its response goes on."""
    behaviours = told(a={"status": 500}, b={"json": "stand-in"})
    answer = await ask(system, "instead", behaviours, b"came in")
    assert (answer.status, way(answer)) == (200, "a!500,b,c")
    assert models["step-b"].requests[0].body == b"came in"
    assert models["step-c"].requests[0].body == b'"stand-in"'


async def test_on_error_to_what_fails_too(system: Running, models: Models):
    """Where the stand-in fails, it is what the error names."""
    answer = await ask(system, "instead", told(a={"status": 500}, b={"status": 503, "json": SECRET}))
    check_error(answer, 502, "upstream_failed", "a!500,b!503", graph="instead", model="b")
    assert seen(models) == "ab"


async def test_output(system: Running):
    """A chain with an output answers it, as JSON."""
    behaviours = told(a={"json": {"n": 1}}, b={"json": {"n": [2]}, "headers": {"x-own": "not passed on"}})
    answer = await ask(system, "output", behaviours, EXACT.encode())
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.json() == {"both": [1, [2]], "key": 123456789012345678901234567890}
    assert (way(answer), answer.header("x-own")) == ("a,b", None)


async def test_output_that_cannot_be_computed(system: Running):
    """An output that mentions what is not there is 422, without the model's words."""
    answer = await ask(system, "output", told(a={"json": {"n": 1}}, b={"json": {SECRET: SECRET}}))
    check_error(answer, 422, "bad_expression", "a,b", graph="output")


@pytest.mark.parametrize(
    ("graph", "failure", "status", "code", "route", "model"),
    [
        ("three", {"status": 500, "json": SECRET}, 502, "upstream_failed", "a!500", "a"),
        ("three", {"status": 503, "json": SECRET}, 502, "upstream_failed", "a!503", "a"),
        ("three", {"stop": "reset"}, 502, "upstream_failed", "a!reset", "a"),
        ("three", {"stop": "close"}, 502, "upstream_failed", "a!reset", "a"),
        ("three", {"size": 1000, "stop": "reset", "stop_at": "middle"}, 502, "upstream_failed", "a!reset", "a"),
        ("three", {"stop": "hang"}, 504, "deadline", "a!timeout", "a"),
        ("three", {"size": 1000, "stop": "hang", "stop_at": "middle"}, 504, "deadline", "a!timeout", "a"),
        ("late", {"delay": 0.6}, 504, "deadline", "quick!timeout", "quick"),
        ("gone", {}, 502, "upstream_failed", "down!connect", "down"),
    ],
)
async def test_a_step_that_fails(system: Running, models: Models, *, graph, failure, status, code, route, model):
    """The chain ends with it: each way of failing has its status, its code and its name in the route."""
    answer = await ask(system, graph, told(a=failure))
    check_error(answer, status, code, route, graph=graph, model=model)
    assert 'step "one"' in answer.json()["error"]["message"]
    assert "bc" not in seen(models)
    assert seen(models) in {"a", ""}


@pytest.mark.parametrize("status", [400, 404, 409, 429])
async def test_a_steps_other_answers_are_passed_on(system: Running, models: Models, status):
    """A sub-call's 4xx is the answer: its status, its body, its headers, cookies one by one."""
    headers = [("set-cookie", "a=1"), ("set-cookie", "b=2; Path=/"), ("x-own", "é"), ("content-type", "text/own")]
    headers += [("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("server", "own"), ("x-extproc-route", "the model's")]
    models["step-a"].script({"status": status, "body": b"\0 as it is", "headers": headers})
    answer = await ask(system, "three")
    assert (answer.status, answer.body) == (status, b"\0 as it is")
    assert way(answer) == f"a!{status}"
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2; Path=/"]
    assert (answer.header("content-type"), answer.header("content-length")) == ("text/own", "10")
    assert (answer.header("date"), answer.header("server")) == ("Thu, 01 Jan 1970 00:00:00 GMT", "own")
    assert answer.header("x-own") in {"é", "é".encode().decode("latin-1")}
    assert seen(models) == "a"


async def test_the_concurrency_of_a_steps_model(system: Running, models: Models):
    """Above its limit a sub-call fails at once, and the error says so. The other is served."""
    stub = models["step-a"]
    answers = await _crowd(system, stub, "crowded")
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    for answer in refused:
        check_error(answer, 429, "overloaded", "narrow!overloaded", graph="crowded", model="narrow")
    assert any(answer.status == 200 for answer in answers)


async def test_overloaded_falls_back(system: Running, models: Models):
    """In a fallback, overloaded counts as 429."""
    answers = await _crowd(system, models["step-a"], "busy")
    assert {answer.status for answer in answers} == {200}
    assert {way(answer) for answer in answers} == {"narrow", "narrow!overloaded,c"}


async def _crowd(system: Running, stub, graph: str) -> list[Response]:
    """More requests at once than two processors with one slot each take: two are served, the rest refused."""
    headers = told(a={"delay": 0.4})
    first = [asyncio.create_task(ask(system, graph, headers)) for _ in range(8)]
    await stub.until(lambda: len(stub.requests) >= 1)
    return list(await asyncio.gather(*first))


# --- ensembles


async def test_collect(system: Running, models: Models):
    """Every member gets the request's body, and the answer has their bodies by name."""
    behaviours = told(a={"json": {"n": 1.5}}, b={"body": None, "json": [2]})
    answer = await ask(system, "collect", behaviours, b"came in")
    assert (answer.status, answer.json()) == (200, {"x": {"n": 1.5}, "y": [2]})
    assert (answer.header("content-type"), way(answer)) == ("application/json", "a,b")
    assert [models[name].requests[0].body for name in STUBS[:2]] == [b"came in", b"came in"]


async def test_mean(system: Running):
    """The weighted mean, element by element, in the first member's body."""
    behaviours = told(a={"json": {"predictions": [1, [2, 3]], "own": True}}, b={"json": {"predictions": [5, [2, 7]]}})
    answer = await ask(system, "mean", behaviours)
    assert (answer.status, answer.json()) == (200, {"predictions": [2, [2, 4]], "own": True})


async def test_vote(system: Running):
    """The majority, per element; ties go to the first listed."""
    behaviours = told(
        a={"json": {"predictions": ["cat", 1, 3]}},
        b={"json": {"predictions": ["dog", 1, 4]}},
        c={"json": {"predictions": ["dog", 2, 5]}},
    )
    answer = await ask(system, "vote", behaviours)
    assert (answer.status, answer.json()) == (200, {"predictions": ["dog", 1, 3]})


async def test_first(system: Running):
    """The first listed that succeeded: its whole response."""
    behaviours = told(a={"status": 404}, b={"json": 2, "headers": {"x-own": "b"}})
    answer = await ask(system, "first", behaviours)
    assert (answer.status, answer.json(), answer.header("x-own")) == (200, 2, "b")
    assert way(answer) == "a!404,b"


async def test_members_in_an_output(system: Running, models: Models):
    """An output sees the members, and a member may have an input of its own."""
    answer = await ask(system, "told", told(a={"json": {"n": 1}}, b={"status": 201}))
    assert (answer.status, answer.json()) == (200, {"x": 1, "y": 201})
    assert models["step-a"].requests[0].body == b'{"is":1}'
    assert models["step-b"].requests[0].body == b'{"k": 1}'


async def test_require(system: Running):
    """With as many as required the answer holds who succeeded."""
    answer = await ask(system, "some", told(a={"json": 1}, b={"status": 500}, c={"json": 3}))
    assert (answer.status, answer.json(), way(answer)) == (200, {"x": 1, "z": 3}, "a,b!500,c")


async def test_too_few_members(system: Running, models: Models):
    """When it cannot be enough any more the rest are cut off, unlisted, and the first failed one is named."""
    behaviours = told(a={"stop": "hang"}, b={"status": 404, "json": SECRET}, c={"stop": "reset", "delay": 0.2})
    answer = await ask(system, "some", behaviours)
    check_error(answer, 502, "upstream_failed", "b!404,c!reset", graph="some", model="b")
    assert 'member "y"' in answer.json()["error"]["message"]
    await models["step-a"].until(lambda: [one.ended for one in models["step-a"].requests] == ["client_gone"])


async def test_a_member_that_is_late(system: Running):
    """At the deadline the answer is of those that succeeded, if they are enough."""
    behaviours = told(a={"json": 1}, b={"json": 2}, c={"stop": "hang"})
    answer = await ask(system, "some", behaviours)
    assert (answer.status, answer.json(), way(answer)) == (200, {"x": 1, "y": 2}, "a,b,c!timeout")


async def test_quorum(system: Running, models: Models):
    """The answer comes as soon as enough succeeded; the slowest is cut off, unlisted."""
    behaviours = told(a={"stop": "hang"}, b={"json": 2}, c={"json": 3})
    answer = await ask(system, "quorum", behaviours)
    assert (answer.status, answer.json(), way(answer)) == (200, {"y": 2, "z": 3}, "b,c")
    await models["step-a"].until(lambda: all(one.ended == "client_gone" for one in models["step-a"].requests))


# --- fallbacks and cascades


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        ({"status": 500}, "a!500"),
        ({"status": 429}, "a!429"),
        ({"stop": "reset"}, "a!reset"),
        ({"delay": 0.6}, "a!timeout"),
    ],
)
async def test_a_fallback_goes_on(system: Running, models: Models, failure, shown):
    """A primary that fails in a listed way is followed by the next, which gets the same request."""
    answer = await ask(system, "fallback", told(a=failure), b"came in", target="/chains/fallback?q=1")
    assert (answer.status, answer.json()["model"]) == (200, "step-c")
    assert way(answer) == f"{shown},c"
    (request,) = models["step-c"].requests
    assert (request.body, request.path) == (b"came in", "/chains/fallback?q=1")


async def test_a_primary_that_is_down(system: Running):
    """A refused connection is a listed way of failing too."""
    answer = await ask(system, "connects")
    assert (answer.status, way(answer)) == (200, "down!connect,c")


@pytest.mark.parametrize(("graph", "status"), [("fallback", 404), ("fallback", 200), ("fallback", 302), ("picky", 429)])
async def test_a_fallback_keeps_other_answers(system: Running, models: Models, graph, status):
    """Any other answer of the primary is the answer."""
    answer = await ask(system, graph, told(a={"status": status, "json": "own"}))
    assert (answer.status, answer.body, seen(models)) == (status, b'"own"', "a")
    assert way(answer) == ("a" if status == 200 else f"a!{status}")


async def test_a_failure_that_is_not_listed(system: Running, models: Models):
    """A 5xx that the fallback does not list is the chain's own: 502."""
    answer = await ask(system, "picky", told(a={"status": 503, "json": SECRET}))
    check_error(answer, 502, "upstream_failed", "a!503", graph="picky", model="a")
    assert seen(models) == "a"


@pytest.mark.parametrize(
    ("first", "route"),
    [({"json": {"sure": 0.9}}, "a"), ({"json": {"sure": 0.1}}, "a,c"), ({"status": 404}, "a!404,c")],
)
async def test_cascade(system: Running, first, route):
    """The first response that is accepted is the answer, else the last route's."""
    answer = await ask(system, "cascade", told(a=first, c={"json": "last"}))
    assert (answer.status, way(answer)) == (200, route)
    assert answer.json() == ({"sure": 0.9} if route == "a" else "last")


async def test_an_accept_that_cannot_be_computed(system: Running, models: Models):
    """That is 422, and the last route is not asked."""
    answer = await ask(system, "cascade", told(a={"json": {"words": SECRET}}))
    check_error(answer, 422, "bad_expression", "a", graph="cascade")
    assert seen(models) == "a"


# --- nests


async def test_a_tail_deep_down(system: Running, models: Models):
    """Switch to chain to chain to split: the last call is Envoy's, on the response of the step before."""
    answer = await ask(system, "deep", [("k", "x"), *told(b={"json": "b"}, c={"status": 503, "json": "own"})])
    assert (answer.status, answer.body) == (503, b'"own"')  # a tail call's own status
    assert way(answer) == "deep=go,a,b,parts=only,c"
    assert models["step-c"].requests[0].body == b'"b"'
    answer = await ask(system, "deep")
    assert (answer.status, way(answer)) == (200, "deep=default,c")


async def test_an_ensemble_of_chains(system: Running, models: Models):
    """A member may be a chain; calls stand in document order, whatever came back first."""
    behaviours = told(a={"json": "a", "delay": 0.1}, b={"json": "b"}, c={"json": "c"})
    answer = await ask(system, "chains", behaviours)
    assert (answer.status, answer.json(), way(answer)) == (200, {"p": "b", "z": "c"}, "a,b,c")
    assert models["step-b"].requests[0].body == b'"a"'


async def test_a_chain_of_choices(system: Running):
    """A fallback as a step, a switch as the last one."""
    answer = await ask(system, "tried", [("k", "x"), *told(a={"status": 500})])
    assert (answer.status, way(answer)) == (200, "a!500,b,choice=inner,b,parts=only,c")
    answer = await ask(system, "tried", told(a={"status": 500}, b={"status": 500}))
    check_error(answer, 502, "upstream_failed", "a!500,b!500", graph="tried", model="b")


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_a_request_without_a_body(system: Running, models: Models, method):
    """Step one gets none, the tail the response of the step before, with the client's own method."""
    answer = await ask(system, "three", told(b={"json": "b"}), b"", method=method)
    assert (answer.status, way(answer)) == (200, "a,b,c")
    assert [models[name].requests[0].method for name in STUBS] == [method] * 3
    assert models["step-a"].requests[0].body == b""
    assert models["step-c"].requests[0].body == b'"b"'
