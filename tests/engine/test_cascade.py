"""cascade: whose answer is accepted."""

from __future__ import annotations

import pytest

from extproc.engine.calling import Cause
from tests.engine.scripted import BODY, Fails, Hangs, Says, ask, planned

SURE = "response.body.p > 0.9"


def cascade(accept: str = SURE, last: str = "b", more: str = "", **known):
    """A plan of a cascade of two routes."""
    return planned(f"{{root: {{cascade: {{routes: [{{to: a, accept: '{accept}'}}, {more}{{to: {last}}}]}}}}}}", **known)


def test_accepted():
    """The first response that is accepted is the answer, as it is."""
    found = ask(cascade(), {"a": Says(201, {"p": 0.95}, headers=(("x-a", "1"),))})
    assert (found.answer.status, found.answer.headers, found.answer.body) == (201, (("x-a", "1"),), b'{"p":0.95}')
    assert found.answer.route == "a"


@pytest.mark.parametrize(
    "line",
    [
        Says(body={"p": 0.5}),
        Says(404),
        Says(500),
        Says(429),
        Says(302),
        *(Fails(cause) for cause in Cause if cause is not Cause.STATUS),
    ],
    ids=str,
)
def test_not_accepted(line):
    """What is not accepted, or no 2xx, or no response at all goes on to the next: Envoy's call, with the same input."""
    found = ask(cascade(), {"a": line})
    shown = (
        ""
        if isinstance(line, Says) and line.status == 200
        else f"!{line.status if isinstance(line, Says) else line.cause.value}"
    )
    assert (found.tail.model.name, found.tail.route, found.tail.payload) == ("b", f"a{shown},b", None)
    assert found.tail.timeout == pytest.approx(0.99)


@pytest.mark.parametrize("accept", ["response.body.p", "1", "[true]"])
def test_only_true_accepts(accept):
    """A condition that is a text, a number or a list does not hold."""
    assert ask(cascade(accept), {"a": Says(body={"p": "true"})}).tail.model.name == "b"


@pytest.mark.parametrize("body", [{"q": 1}, b"no JSON", {"p": "x"}], ids=str)
def test_an_accept_that_cannot_be_computed(body):
    """422, naming the cascade; nothing of the response is told, and nobody else is called."""
    found = ask(cascade(), {"a": Says(body=body)})
    assert (found.error[0], found.error[1]["code"], found.error[1]["node"]) == (422, "bad_expression", "root")
    assert found.events == ["0 a called", "10 a 200"]


def test_an_accept_that_reads_the_request():
    """``accept`` sees the request too; a body that is no JSON is the client's error."""
    plan = cascade('request.headers.tier == "free" || response.status == 204')
    assert ask(plan, {"a": Says(body=b"")}, headers={"tier": "free"}).answer.route == "a"
    assert ask(plan, {"a": Says(204, b"")}, headers={"tier": "gold"}).answer.route == "a"
    assert ask(plan, {"a": Says(body=b"")}, headers={"tier": "gold"}).tail.route == "a,b"
    found = ask(cascade("request.body.x == 1"), {"a": Says(body={})}, body=b"no JSON")
    assert (found.error[0], found.error[1]["node"]) == (400, "root")


def test_three_routes():
    """They are tried one after the other, each with the input."""
    found = ask(
        cascade(last="c", more="{to: b, accept: response.body.ok}, "), {"a": Says(503), "b": Says(body={"ok": False})}
    )
    assert found.events == ["0 a called", "10 a 503", "10 b called", "20 b 200"]
    assert found.bodies == {"a": BODY, "b": BODY}
    assert found.tail.route == "a!503,b,c"


def test_the_deadline():
    """It ends the route under way and the cascade: 504."""
    found = ask(cascade(), {"a": Hangs()})
    assert (found.error[0], found.error[1]["model"], found.error[1]["node"]) == (504, "a", "root")
    assert found.answer.route == "a!timeout"


def test_what_was_not_accepted_is_no_answer():
    """Also not when it came so late that nobody else can be asked: 504."""
    found = ask(cascade(), {"a": Says(body={"p": 0.5}, after=999.8)})
    status, error = found.error
    assert (status, error["code"], error["node"]) == (504, "deadline", "root")
    assert error["message"] == 'node "root" did not answer in time'


def test_an_acceptable_answer_at_the_deadline():
    """Is in time."""
    assert ask(cascade(), {"a": Says(body={"p": 1.0}, after=999.8)}).answer.status == 200


def test_the_last_response_is_the_answer():
    """Within another node the last route is a sub-call, and its failure the cascade's."""
    inner = f"{{cascade: {{routes: [{{to: a, accept: '{SURE}'}}, {{to: b}}]}}}}"
    plan = planned(f"{{root: {{chain: {{output: 1, steps: [{{name: one, to: {inner}}}]}}}}}}")
    found = ask(plan, {"a": Says(body={"p": 0}), "b": Says(418, b"tea")})
    assert (found.answer.status, found.answer.body, found.answer.route) == (418, b"tea", "a,b!418")
    assert ask(plan, {"a": Says(503), "b": Says(503)}).error[1]["model"] == "b"
