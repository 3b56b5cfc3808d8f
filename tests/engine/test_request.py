"""A request as expressions see it."""

from __future__ import annotations

import json

import pytest

from extproc.engine.request import Request
from extproc.errors import BadRequest
from extproc.expr import EvaluationError, compile_expression
from tests.engine.deciding import request


def value(text, headers=None, body=None):
    """The value of an expression over one request."""
    return compile_expression(text, {"request"})({"request": request(headers, body)})


FIELDS = [
    ("request.method", {":method": "PATCH"}, "PATCH"),
    ("request.path", {":path": "/a/b?x=1"}, "/a/b"),
    ("request.path", {":path": "/a?"}, "/a"),
    ("request.path", {":path": "/a?b?c"}, "/a"),
    ("request.path", {":path": "/a%2Fb%20c"}, "/a%2Fb%20c"),
    ("request.path", {":path": "*"}, "*"),
    ("request.host", {":authority": "h:8080"}, "h:8080"),
    ("request.id", {"x-request-id": "abc"}, "abc"),
    ("request.headers", {"a": "b", ":scheme": "http"}, {"a": "b", "x-request-id": "id-1"}),
    ("':path' in request.headers", {}, False),
    ("request.query", {":path": "/"}, {}),
    ("request.query", {":path": "/?"}, {}),
    ("request.query", {":path": "/?a=1&b=2&a=3"}, {"a": "1", "b": "2"}),
    ("request.query", {":path": "/?a=b%20c+d%26&%C3%A9=%F0%9F%A6%80"}, {"a": "b c d&", "é": "🦀"}),
    ("request.query", {":path": "/?a=&b&=c"}, {"a": "", "b": "", "": "c"}),
    ("request.query", {":path": "/?a=1;b=2"}, {"a": "1;b=2"}),
    ("request.query", {":path": "/?a=b?c=d"}, {"a": "b?c=d"}),
    ("request.query", {":path": "/?a=%zz&b=%ff"}, {"a": "%zz", "b": "\ufffd"}),
    ("request.query.a", {":path": "/?a=1"}, "1"),
    ("has(request.query.a)", {":path": "/?b=1"}, False),
    ("has(request.body)", {}, False),
    ("has(request.path)", {}, True),
    ("has(request.nothing)", {}, False),
    ("'host' in request && !('body' in request)", {}, True),
]


@pytest.mark.parametrize(("text", "headers", "expected"), FIELDS)
def test_fields(text, headers, expected):
    """Method, path without its query, query decoded with first values, host, id and headers without pseudo-headers."""
    assert value(text, headers) == expected


def test_missing_pseudo_headers_are_empty():
    """A request without method, path, authority or id has empty ones."""
    bare = Request({})
    assert [bare.get(name) for name in ("method", "path", "host", "id")] == ["", "", "", ""]
    assert (bare.get("query"), bare.get("headers")) == ({}, {})


@pytest.mark.parametrize("name", ["nothing", "raw_body", "get", "has", "__class__", "target", "scheme", "Body", ""])
def test_nothing_else_is_a_field(name):
    """What is no field of the contract is absent, Python's own attributes above all."""
    with pytest.raises(KeyError):
        request(data=b"{}").get(name)
    with pytest.raises(EvaluationError):
        value(f'request["{name}"]', body=b"{}")
    assert not request(data=b"{}").has(name)


BODIES = [
    (b'{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
    (b" [1] \n", [1]),
    (b'"text"', "text"),
    (b"null", None),
    (b'{"a": 1, "a": 2}', {"a": 2}),
    (b'{"": {"": 0}}', {"": {"": 0}}),
    ('"Zoë \\ud83e\\udd80"'.encode(), "Zoë 🦀"),
    (b"9007199254740993", 9007199254740993),
    (b"18446744073709551616", 18446744073709551616),
    (b"-%d" % 10**100, -(10**100)),
    (b"1.0", 1.0),
]


@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_body(body, expected):
    """The parsed JSON; integers are exact at any size, of duplicate keys the last one counts."""
    found = value("request.body", body=body)
    assert found == expected
    assert type(found) is type(expected)


def test_huge_integers_compare_exactly():
    """Two integers beyond 64 bits that differ in the last digit are different."""
    body = b'{"n": %d}' % (2**90 + 1)
    assert value(f"request.body.n == {2**90 + 1}", body=body) is True
    assert value(f"request.body.n == {2**90}", body=body) is False


def test_the_body_is_parsed_once():
    """Reading the body twice gives the same object."""
    one = request(data=b'{"a": {}}')
    assert one.get("body") is one.get("body")


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", " identity "])
def test_no_encoding(encoding):
    """An identity encoding is none."""
    assert value("request.body", {"content-encoding": encoding}, b"1") == 1


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [({}, b"{", 400, "bad_body"), ({"content-encoding": "gzip"}, b"{}", 415, "bad_encoding")],
)
def test_an_unreadable_body(headers, body, status, code):
    """Reading it raises BadRequest, which no operator of an expression absorbs."""
    for text in (
        "request.body",
        "true || request.body",
        "request.body == 1 || true",
        "[1].exists(x, request.body == x)",
    ):
        if text == "true || request.body":
            assert value(text, headers, body) is True
            continue
        with pytest.raises(BadRequest) as raised:
            value(text, headers, body)
        assert (raised.value.status, raised.value.code) == (status, code)


def test_an_unread_body_is_never_touched():
    """Every other field can be read beside a body that is no JSON and compressed."""
    one = request({"content-encoding": "gzip"}, b"\xff\x00")
    fields = {name: one.get(name) for name in ("headers", "method", "path", "query", "host", "id")}
    assert json.dumps(fields)
    assert one.has("body")


def test_a_body_that_is_absent():
    """Without a body reading it is an evaluation error, not the client's fault, whatever the encoding says."""
    with pytest.raises(EvaluationError):
        value("request.body", {"content-encoding": "gzip"})
