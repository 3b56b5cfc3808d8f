"""What an expression is known to read before any request."""

from __future__ import annotations

import pytest

from extproc.expr import compile_expression, compile_template

VARIABLES = ("request", "steps", "response")

CASES = {
    "request": {("request",)},
    "request.method": {("request", "method")},
    'request.headers["x-user-id"]': {("request", "headers", "x-user-id")},
    "request.body.predictions[0]": {("request", "body", "predictions")},
    "request.body.predictions[0].x": {("request", "body", "predictions")},
    'steps["my-step"].body': {("steps", "my-step", "body")},
    "request.headers[steps.a.body]": {("request", "headers"), ("steps", "a", "body")},
    'request["headers"]["a" + "b"]': {("request", "headers")},
    "has(request.body.x)": {("request", "body", "x")},
    '"x" in request.headers': {("request", "headers")},
    "request.body.list.exists(r, r.x == 1)": {("request", "body", "list")},
    "request.body.list.map(r, r.x == request.host, r[steps.a.body])": {
        ("request", "body", "list"),
        ("request", "host"),
        ("steps", "a", "body"),
    },
    "[1].exists(request, request.body == 1)": set(),
    "[1].exists(r, r == 1) || request.body": {("request", "body")},
    "request.body.exists(request, request.x) && request.path == ''": {("request", "body"), ("request", "path")},
    "true || request.body.x == 1": {("request", "body", "x")},
    "(request.body).x": {("request", "body", "x")},
    "(true ? request.body : response.body).x": {("request", "body"), ("response", "body")},
    "size(request.path) + int(request.query.n)": {("request", "path"), ("request", "query", "n")},
    "{request.id: [request.host]}": {("request", "id"), ("request", "host")},
    "1 + 1": set(),
}


@pytest.mark.parametrize(("text", "reads"), CASES.items())
def test_reads_are_the_static_paths(text, reads):
    """Selects and constant string keys make a path; what is dynamic ends it; macro variables are none."""
    assert compile_expression(text, VARIABLES).reads == reads


def test_a_template_reads_what_its_expressions_read():
    """Nested strings count, keys and literal text do not."""
    template = compile_template(
        {"${request.id}": ["${request.body.a}", "x ${steps.a.status} $${request.host}"], "n": 1}, VARIABLES
    )
    assert template.reads == {("request", "body", "a"), ("steps", "a", "status")}
