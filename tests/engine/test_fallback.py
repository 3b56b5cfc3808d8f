"""fallback: what leads on to the next route, and for how long each is tried."""

from __future__ import annotations

import pytest

from extproc.engine.calling import Cause
from tests.engine.scripted import BODY, Fails, Hangs, Says, ask, planned, predicts

ROUTES = "[{to: a}, {to: b}]"
NOBODY = "a failure that no list holds"


def fallback(routes: str = ROUTES, more: str = "", **known):
    """A plan of a fallback."""
    return planned(f"{{root: {{fallback: {{routes: {routes}{more}}}}}}}", **known)


FAILURES = [
    (Fails(Cause.CONNECT), "connect", 502),
    (Fails(Cause.RESET), "reset", 502),
    (Fails(Cause.TIMEOUT), "timeout", 504),
    (Fails(Cause.OVERLOADED), "429", 429),
    (Fails(Cause.TOO_LARGE), NOBODY, 502),
    (Says(429, b"x"), "429", 429),
    (Says(500, b"x"), "5xx", 502),
    (Says(503, b"x"), "5xx", 502),
    (Says(404, b"x"), NOBODY, 404),
    (Says(302, b"x"), NOBODY, 302),
]


@pytest.mark.parametrize("on", ["connect", "reset", "timeout", "429", "5xx", None])
@pytest.mark.parametrize(("line", "listed", "status"), FAILURES, ids=str)
def test_what_leads_on(on, line, listed, status):
    """A failure that ``on`` lists leads to the next route, which is Envoy's call; any other is the answer."""
    more = "" if on is None else f", on: ['{on}']"
    found = ask(fallback(more=more), {"a": line})
    shown = line.status if isinstance(line, Says) else line.cause.value
    if listed != NOBODY and on in {listed, None}:
        assert (found.tail.model.name, found.tail.route, found.tail.payload) == ("b", f"a!{shown},b", None)
        assert found.tail.timeout == pytest.approx(0.99)
        return
    assert (found.answer.status, found.answer.route) == (status, f"a!{shown}")
    if found.answer.details == "extproc.sub_call":
        assert found.answer.body == b"x"
    else:
        assert (found.error[1]["model"], found.error[1]["node"]) == ("a", "root")


def test_success_is_the_answer():
    """A 2xx of any route is the answer, and the next ones are not called."""
    found = ask(fallback(), {"a": Says(204, b"", headers=(("x-a", "1"),))})
    assert (found.answer.status, found.answer.headers, found.answer.route) == (204, (("x-a", "1"),), "a")


def test_every_route_gets_the_input():
    """The same for all, however the one before failed."""
    found = ask(fallback("[{to: a}, {to: b}, {to: c}]"), {"a": Says(500), "b": Says(500)})
    assert found.bodies == {"a": BODY, "b": BODY}
    assert (found.tail.payload, found.tail.route) == (None, "a!500,b!500,c")


def test_a_route_has_its_own_timeout():
    """It ends the route, and counts as ``timeout``; the last one's bounds Envoy's call."""
    found = ask(
        fallback("[{to: a, timeout: 0.1}, {to: b, timeout: 0.2}, {to: c, timeout: 0.3}]"), {"a": Hangs(), "b": Hangs()}
    )
    assert found.events == ["0 a called", "100 a timeout", "100 b called", "300 b timeout"]
    assert found.tail.model.name == "c"
    assert found.tail.timeout == pytest.approx(0.3)


def test_a_route_never_has_more_than_is_left():
    """A route's timeout is cut by the deadline."""
    found = ask(fallback("[{to: a, timeout: 0.9}, {to: b, timeout: 0.5}]"), {"a": Hangs()})
    assert found.tail.timeout == pytest.approx(0.1)


def test_a_routes_timeout_bounds_all_of_it():
    """Of a chain as a route all steps together."""
    deep = "{chain: {steps: [{name: one, to: a}, {name: two, to: b}]}}"
    found = ask(fallback(f"[{{to: {deep}, timeout: 0.1}}, {{to: c}}]"), {"a": Says(after=60), "b": Says(after=60)})
    assert found.events == ["0 a called", "60 a 200", "60 b called", "100 b timeout"]
    assert found.tail.route == "a,b!timeout,c"


def test_the_deadline_ends_it():
    """At the graph's deadline no other route is tried."""
    found = ask(fallback("[{to: a}, {to: b}, {to: {respond: {status: 200}}}]"), {"a": Hangs()})
    status, error = found.error
    assert (status, error["code"], error["model"], error["node"], found.took) == (504, "deadline", "a", "root", 1000)
    assert found.answer.route == "a!timeout"


def test_the_last_routes_failure_is_the_answer():
    """Within another node the last route is a sub-call, whose failure is the fallback's."""
    plan = planned(
        f"{{root: {{chain: {{output: 1, steps: [{{name: one, to: {{fallback: {{routes: {ROUTES}}}}}}}]}}}}}}"
    )
    found = ask(plan, {"a": Says(500), "b": Fails(Cause.RESET)})
    assert (found.error[0], found.error[1]["model"]) == (502, "b")
    assert found.answer.route == "a!500,b!reset"


def test_a_respond_at_the_end():
    """What is answered when nobody else does."""
    found = ask(fallback("[{to: a}, {to: {respond: {status: 200, body: {default: true}}}}]"), {"a": Says(503)})
    assert (found.answer.status, found.answer.body, found.answer.route) == (200, b'{"default":true}', "a!503")


def test_a_route_that_is_a_fallback():
    """Fallbacks nest, and splits within them decide once each."""
    deep = "{split: {routes: [{name: l, to: a, weight: 1}, {name: r, to: b, weight: 1}]}}"
    inner = f"{{fallback: {{routes: [{{to: {deep}}}, {{to: c}}]}}}}"
    found = ask(fallback(f"[{{to: {inner}}}, {{to: d}}]"), {"b": Says(500), "c": Says(500)}, chance=[0.9])
    assert found.tail.route == "root.routes[0].routes[0]=r,b!500,c!500,d"


def test_one_route():
    """A lone route is Envoy's call."""
    assert ask(fallback("[{to: a, timeout: 0.25}]"), body=None).tail.timeout == pytest.approx(0.25)


def test_a_body_that_cannot_be_read_ends_it():
    """The client's error is no failure of a route's."""
    deep = "{switch: {cases: [{when: request.body.x, to: a}], default: b}}"
    found = ask(fallback(f"[{{to: {deep}}}, {{to: c}}]"), body=b"no JSON")
    assert found.error[0] == 400


def test_predictions_are_passed_on():
    """A sub-call's response is the answer byte for byte."""
    assert ask(fallback(), {"a": predicts(1)}).answer.body == b'{"predictions":[1]}'
