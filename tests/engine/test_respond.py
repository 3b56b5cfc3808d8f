"""Answers without a model."""

from __future__ import annotations

import json

import pytest

from tests.engine.deciding import answered, decide, error
from tests.plan.building import rooted

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def responding(written, headers=None, body=None):
    """The answer of a graph that is one respond node."""
    return answered(decide(rooted(f"{{respond: {written}}}"), headers, body))


BODIES = {
    "gone": (TEXT, b"gone"),
    "'Zoë 🦀'": (TEXT, "Zoë 🦀".encode()),
    "''": (TEXT, b""),
    "'42'": (TEXT, b"42"),
    "42": (JSON, b"42"),
    "1.5": (JSON, b"1.5"),
    "true": (JSON, b"true"),
    "null": (JSON, b"null"),
    "[]": (JSON, b"[]"),
    "{a: [1, {b: null}]}": (JSON, b'{"a":[1,{"b":null}]}'),
    "'${request.method}'": (TEXT, b"POST"),
    "'${1 + 1}'": (JSON, b"2"),
    "'at ${request.path}: ${[1, 2]}'": (TEXT, b"at /fraud: [1,2]"),
    "{path: '${request.path}', n: '${size(request.headers)}'}": (JSON, b'{"path":"/fraud","n":1}'),
    "'${request.headers}'": (JSON, b'{"x-request-id":"id-1"}'),
}


@pytest.mark.parametrize(("written", "expected"), BODIES.items())
def test_body(written, expected):
    """A text is text/plain, anything else JSON; templates are filled with their types."""
    answer = responding(f"{{status: 200, body: {written}}}")
    assert (dict(answer.headers)["content-type"], answer.body) == expected
    assert (answer.status, answer.route) == (200, "")
    assert answer.details.startswith("extproc.")


def test_no_body():
    """Without a body there is no content type."""
    answer = responding("{status: 204}")
    assert (answer.status, answer.headers, answer.body) == (204, (), b"")


@pytest.mark.parametrize("status", [200, 204, 301, 403, 410, 418, 500, 503, 599])
def test_status(status):
    """The status is the graph's own."""
    assert responding(f"{{status: {status}, body: x}}").status == status


def test_headers():
    """The graph's headers come as they are, with the content type beside them."""
    answer = responding("{status: 301, headers: {location: /new, x-a: b}, body: moved}")
    assert answer.headers == (("location", "/new"), ("x-a", "b"), ("content-type", TEXT))


@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_own_content_type(name):
    """A content type of the graph's own is the only one, in whatever case it is written."""
    answer = responding(f"{{status: 200, headers: {{{name}: text/html}}, body: <p>}}")
    assert answer.headers == (("content-type", "text/html"),)


def test_integers_stay_exact():
    """An integer beyond 64 bits comes back digit for digit."""
    number = 2**200 + 1
    answer = responding("{status: 200, body: {n: '${request.body.n}'}}", body=b'{"n": %d}' % number)
    assert json.loads(answer.body) == {"n": number}


def test_the_way_there_is_shown():
    """The answer's route lists the decisions that led to it."""
    plan = rooted("{switch: {cases: [{name: blocked, when: 'true', to: {respond: {status: 403, body: no}}}]}}")
    assert answered(decide(plan)).route == "root=blocked"


@pytest.mark.parametrize(
    "template",
    [
        "${request.headers.missing}",
        "x ${request.body.x}",
        "${1 / 0}",
        "${request}",
        "${0.0 / 0.0}",
        "${request.nothing}",
    ],
)
def test_a_body_that_cannot_be_computed(template):
    """An error in the template is 422 bad_expression, naming the node, with the route so far."""
    plan = rooted(
        f"{{switch: {{cases: [{{name: x, when: 'true', to: {{respond: {{status: 200, body: '{template}'}}}}}}]}}}}"
    )
    outcome = decide(plan)
    status, found = error(outcome)
    assert status == 422
    assert found.pop("message")
    assert found == {"code": "bad_expression", "graph": "fraud", "node": "root.x", "requestId": "id-1"}
    assert answered(outcome).route == "root=x"
