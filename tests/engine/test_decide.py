"""From a request to a model or an answer."""

from __future__ import annotations

import gc
import math

import pytest

from extproc.engine.request import Request
from tests.engine.deciding import Recording, answered, called, decide, error
from tests.plan.building import rooted

HEADER = 'request.headers["x-user-id"]'
STICKY = "{split: {by: '%s', routes: [{name: stable, to: a, weight: 90}, {name: canary, to: b, weight: 10}]}}"
COIN = "{split: {routes: [{name: heads, to: a, weight: 1}, {name: tails, to: b, weight: 1}]}}"
A, B = ("fraud/a", "root=stable,a"), ("fraud/b", "root=canary,b")


@pytest.mark.parametrize(("user", "expected"), [("ada", B), ("bob", A), ("carol", A), ("1.5", B)])
def test_a_sticky_split_needs_no_chance(user, expected):
    """A key decides as the golden vectors say, and no random number is drawn."""
    recorder = Recording()
    assert called(decide(rooted(STICKY % HEADER), {"x-user-id": user}, recorder=recorder)) == expected
    branch = expected[1].split("=")[1].split(",")[0]
    assert recorder.told == [("decided", "fraud", "root", branch, HEADER, user)]


@pytest.mark.parametrize(("chance", "expected"), [(0.0, A), (0.89, A), (0.91, B), (math.nextafter(1.0, 0.0), B)])
@pytest.mark.parametrize("headers", [{}, {"x-user-id": ""}], ids=["missing", "empty"])
def test_without_a_key_chance_decides(headers, chance, expected):
    """A missing key and an empty one are the same: one random number decides."""
    assert called(decide(rooted(STICKY % HEADER), headers, chance=[chance])) == expected


@pytest.mark.parametrize("body", [b'{"user": null}', b'{"user": ""}', b"{}", b"[]", b"1", b"null", None], ids=repr)
def test_no_key_in_the_body(body):
    """A null, an empty text, a missing field and a body of another shape or none are no key."""
    plan = rooted(STICKY % "request.body.user")
    assert called(decide(plan, data=body, chance=[0.95])) == B


@pytest.mark.parametrize(
    ("one", "other"), [(b"1", b"1.0"), (b"1", b'"1"'), (b"[1,2]", b"[1.0, 2]"), (b'{"a":1,"b":2}', b'{"b":2,"a":1}')]
)
def test_keys_are_values_not_bytes(one, other):
    """However a key is written, the same value goes the same way: 1, 1.0 and "1" are one key."""
    listed = ", ".join(f"{{name: r{number}, to: a, weight: 1}}" for number in range(50))
    routes = f"routes: [{listed}]"
    plan = rooted(f"{{split: {{by: request.body.user, {routes}}}}}")
    assert called(decide(plan, data=b'{"user": %b}' % one)) == called(decide(plan, data=b'{"user": %b}' % other))


@pytest.mark.parametrize("key", [b"0", b"false", b"[]", b"{}"], ids=repr)
def test_falsy_values_are_keys(key):
    """Zero, false and empty lists and maps are there, so they are keys, and no number is drawn."""
    called(decide(rooted(STICKY % "request.body.user"), data=b'{"user": %b}' % key))


@pytest.mark.parametrize(
    ("by", "body"),
    [
        ("request", None),
        ("0.0 / 0.0", None),
        ("[request]", None),
        ("1e308 * 10.0", None),
        ("request.body", b"[" * 600 + b"1" + b"]" * 600),
    ],
    ids=["record", "nan", "list of a record", "infinity", "deep"],
)
def test_a_value_that_cannot_be_a_key(by, body):
    """What has no text is an error while evaluating ``by``: a missing key, counted."""
    recorder = Recording()
    outcome = decide(rooted(STICKY % by), data=body, chance=[0.95], recorder=recorder)
    assert called(outcome) == B
    assert recorder.told[0] == ("failed", "fraud", "root", by)
    assert recorder.told[1][:4] == ("decided", "fraud", "root", "canary")


def test_a_missing_key_is_counted():
    """An expression error in ``by`` is told to the recorder before the decision."""
    recorder = Recording()
    decide(rooted(STICKY % HEADER), chance=[0.0], recorder=recorder)
    assert recorder.told == [
        ("failed", "fraud", "root", HEADER),
        ("decided", "fraud", "root", "stable", HEADER, None),
    ]


@pytest.mark.parametrize(("chance", "model"), [(0.0, "a"), (0.4999, "a"), (0.5, "b"), (0.9999, "b")])
def test_a_split_without_by(chance, model):
    """Without ``by`` one random number decides every request."""
    recorder = Recording()
    key, route = called(decide(rooted(COIN), chance=[chance], recorder=recorder))
    name = {"a": "heads", "b": "tails"}[model]
    assert (key, route) == (f"fraud/{model}", f"root={name},{model}")
    assert recorder.told == [("decided", "fraud", "root", name, None, None)]


def test_nested_decisions_are_listed_in_order():
    """The route lists the decisions on the way, then the model."""
    plan = rooted("{switch: {cases: [{name: gold, when: request.method == 'POST', to: deep}]}}", more=f"  deep: {COIN}")
    recorder = Recording()
    assert called(decide(plan, chance=[0.7], recorder=recorder)) == ("fraud/b", "root=gold,deep=tails,b")
    assert [told[:4] for told in recorder.told] == [
        ("decided", "fraud", "root", "gold"),
        ("decided", "fraud", "deep", "tails"),
    ]


SWITCH = (
    "{switch: {cases: [{name: one, when: request.headers.x == '1', to: a},"
    " {name: two, when: request.headers.x.startsWith('1'), to: b},"
    " {name: never, when: request.headers.y, to: b}]%s}}"
)


@pytest.mark.parametrize(("x", "route"), [("1", "root=one,a"), ("12", "root=two,b"), ("2", "root=default,a")])
def test_the_first_true_case_wins(x, route):
    """Cases are tried in document order, then the default is taken."""
    assert called(decide(rooted(SWITCH % ", default: a"), {"x": x, "y": "true"}))[1] == route


def test_only_true_is_true():
    """A condition that is a text, a number or a list does not hold."""
    cases = ", ".join(
        f"{{name: c{i}, when: '{text}', to: a}}" for i, text in enumerate(["1", '"true"', "[true]", "null"])
    )
    assert called(decide(rooted(f"{{switch: {{cases: [{cases}], default: b}}}}")))[1] == "root=default,b"


def test_an_error_counts_as_false():
    """A case that cannot be evaluated does not hold, the recorder is told, and the next one is tried."""
    recorder = Recording()
    assert called(decide(rooted(SWITCH % ", default: b"), recorder=recorder)) == ("fraud/b", "root=default,b")
    assert recorder.told == [
        ("failed", "fraud", "root", "request.headers.x == '1'"),
        ("failed", "fraud", "root", "request.headers.x.startsWith('1')"),
        ("failed", "fraud", "root", "request.headers.y"),
        ("decided", "fraud", "root", "default", None, None),
    ]


def test_the_taken_case_is_recorded():
    """The recorder learns which condition held."""
    recorder = Recording()
    decide(rooted(SWITCH % ""), {"x": "1"}, recorder=recorder)
    assert recorder.told == [("decided", "fraud", "root", "one", "request.headers.x == '1'", True)]


def test_an_expression_beyond_its_budget_counts_as_false():
    """A condition that would run for ever is stopped, counted and does not hold."""
    recorder = Recording()
    body = b'{"l": [%b]}' % b",".join([b"1"] * 300)
    plan = rooted(
        "{switch: {cases: [{when: 'request.body.l.all(x, request.body.l.all(y, request.body.l.all(z, true)))', to: a}],"
        " default: b}}"
    )
    assert called(decide(plan, data=body, recorder=recorder))[0] == "fraud/b"
    assert recorder.told[0][0] == "failed"


def test_no_route():
    """No case and no default: 404, naming graph, node and request."""
    plan = rooted("{switch: {cases: [{name: in, when: 'true', to: deep}]}}", more=f"  deep: {SWITCH % ''}")
    outcome = decide(plan)
    status, found = error(outcome)
    assert status == 404
    assert found.pop("message")
    assert found == {"code": "no_route", "graph": "fraud", "node": "deep", "requestId": "id-1"}
    assert answered(outcome).route == "root=in"


def test_an_unknown_id_is_left_out():
    """An error names what is known: without a request id there is no empty one."""
    _, found = error(decide(rooted(SWITCH % ""), {"x-request-id": ""}))
    assert "requestId" not in found


def test_no_request_outlives_its_error():
    """A refused request is forgotten: nothing keeps it, its headers or its body alive."""
    plan = rooted(SWITCH % "")

    def alive():
        gc.collect()
        return sum(type(one) is Request for one in gc.get_objects())

    before = alive()
    for _ in range(5):
        assert error(decide(plan, {"x": "0"}))[0] == 404
    assert alive() == before


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "bad_body"),
        (b"\xff\xfe", {}, 400, "bad_body"),
        (b'"\xff"', {}, 400, "bad_body"),
        (b"{} {}", {}, 400, "bad_body"),
        (b"NaN", {}, 400, "bad_body"),
        (b'"\\ud800"', {}, 400, "bad_body"),
        (b"[" * 100_000, {}, 400, "bad_body"),
        (b"{}", {"content-encoding": "gzip"}, 415, "bad_encoding"),
        (b"{}", {"content-encoding": " GZIP "}, 415, "bad_encoding"),
        (b"{}", {"content-encoding": "br"}, 415, "bad_encoding"),
        (b"{}", {"content-encoding": "gzip,identity"}, 415, "bad_encoding"),
    ],
    ids=[
        "half",
        "utf-16",
        "latin",
        "two",
        "nan",
        "surrogate",
        "deep",
        "gzip",
        "blanks",
        "br",
        "two-encodings",
    ],
)
@pytest.mark.parametrize(
    "root",
    [
        STICKY % "request.body.user",
        "{switch: {cases: [{when: request.body.x == 1, to: a}], default: b}}",
        "{respond: {status: 200, body: '${request.body}'}}",
    ],
    ids=["by", "when", "template"],
)
def test_a_body_that_cannot_be_read(root, body, headers, status, code):
    """A body that an expression needs and that is not JSON, or compressed, is the client's error wherever it is read."""
    found_status, found = error(decide(rooted(root), headers, body))
    assert (found_status, found["code"], found["graph"], found["node"]) == (status, code, "fraud", "root")
    assert found["requestId"] == "id-1"


def test_an_upload_of_nothing():
    """A body of no bytes is no body: it is absent, which is an expression's error, not bad JSON."""
    root = rooted("{switch: {cases: [{name: empty, when: '!has(request.body)', to: a}], default: b}}")
    assert called(decide(root, {}, b"")) == ("fraud/a", "root=empty,a")


def test_a_body_that_nobody_needs():
    """An earlier case that holds spares the body: it is never parsed, however broken and compressed it is."""
    plan = rooted(
        "{switch: {cases: [{name: gold, when: request.headers.tier == 'gold', to: a}, {when: request.body.x == 1, to: b}]}}"
    )
    headers = {"tier": "gold", "content-encoding": "gzip"}
    assert called(decide(plan, headers, b"\xff no JSON")) == ("fraud/a", "root=gold,a")


def test_asking_whether_there_is_a_body_does_not_parse_it():
    """``has(request.body)`` holds for a body that is not JSON, and not without one."""
    plan = rooted("{switch: {cases: [{when: has(request.body), to: a}], default: b}}")
    assert called(decide(plan, data=b"no JSON"))[0] == "fraud/a"
    assert called(decide(plan))[0] == "fraud/b"


def test_errors_tell_nothing_of_the_request():
    """No error's text holds a part of the body or a header's value."""
    secret = "s3cr3t"
    plan = rooted("{respond: {status: 200, body: '${request.body.x + int(request.headers.token)}'}}")
    for body in (b"s3cr3t", b'{"x": "s3cr3t"}', b'{"s3cr3t": 1}'):
        answer = answered(decide(plan, {"token": secret}, body))
        assert answer.status in {400, 422}
        assert secret.encode() not in answer.body
        assert secret not in answer.details
