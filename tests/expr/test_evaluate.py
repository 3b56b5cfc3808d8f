"""Evaluation beyond CEL's own tables: records, absorption, integers of any size, and errors that tell no values."""

from __future__ import annotations

import math
import pickle

import pytest

from extproc.errors import BadRequest, ExtprocError
from extproc.expr import MAX_INT_BITS, EvaluationError, Record, compile_expression

VARIABLES = ("request", "a", "b")


def evaluate(text, **activation):
    return compile_expression(text, VARIABLES)(activation)


class Request(Record):
    """A host object: ``body`` is not JSON, ``broken`` cannot be told, everything else is absent but ``path``."""

    def get(self, name):
        if name == "body":
            raise BadRequest(400, "bad_body", "not JSON")
        if name == "broken":
            raise EvaluationError("the host cannot tell")
        if name == "nested":
            return {"self": self}
        return {"path": "/v1"}[name]

    def has(self, name):
        return name in {"body", "path", "nested"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("request.path", "/v1"),
        ('request["path"]', "/v1"),
        ('request["pa" + "th"]', "/v1"),
        ("request.nested.self.path", "/v1"),
        ("has(request.body)", True),
        ("has(request.host)", False),
        ('"path" in request', True),
        ('"host" in request', False),
        ("1 in request", False),
        ("[request].map(r, r.path)", ["/v1"]),
        ("[request].exists(r, has(r.path))", True),
        ("request == request", True),
        ("request == 1", False),
        ('request == "x"', False),
    ],
)
def test_records_are_read_like_maps(text, value):
    """Fields, string indexes, has() and `in` work on a Record."""
    assert evaluate(text, request=Request()) == value


@pytest.mark.parametrize(
    "text",
    ["request.host", 'request["host"]', "request[1]", "request.path.x", "request.exists(x, true)", "size(request)",
     "request < request", "request + request", "request.broken", "string(request)", "request ? 1 : 2"],
)  # fmt: skip
def test_what_a_record_cannot_do_is_an_evaluation_error(text):
    """An absent field, and everything maps can do that records cannot."""
    with pytest.raises(EvaluationError) as caught:
        evaluate(text, request=Request())
    assert caught.value.column > 0


@pytest.mark.parametrize(
    "text",
    [
        "request.body",
        "request.body || true",
        "true && request.body",
        "request.body.x == 1 || true",
        "false && request.nope || request.body == 1 || true",
        "request.body ? 1 : 2",
        "true ? request.body : 1",
        "[1].exists(x, request.body == 1)",
        "[request].all(r, r.body == 1)",
        "[1, 2].filter(x, request.body == x)",
        "[1].map(x, request.body)",
        "[1].exists_one(x, request.body == x)",
        "request.body.exists(x, true) || true",
        "has(request.body.x) || true",
        "request['bo' + 'dy'] == 1 || true",
        "size(request.body) > 1 || true",
        "!(request.body == 1) || true",
        "request.nested.self.body == 1 || true",
        "{'a': request.body}.a == 1 || true",
    ],
)
def test_what_a_record_raises_passes_unchanged(text):
    """The client's fault is not absorbed by logic or macros: the same exception leaves the expression."""
    with pytest.raises(BadRequest) as caught:
        evaluate(text, request=Request())
    assert caught.value.code == "bad_body"


@pytest.mark.parametrize("text", ["request.broken || true", "[1].exists(x, x == 1 || request.broken)"])
def test_an_evaluation_error_of_a_record_is_absorbed(text):
    """A Record may say that there is no value, with CEL's consequences."""
    assert evaluate(text, request=Request()) is True


def test_the_deciding_side_stops_evaluation():
    """What stands behind a deciding value is not evaluated: a body is not parsed in vain."""
    assert evaluate("true || request.body == 1", request=Request()) is True
    assert evaluate("false && request.body == 1", request=Request()) is False
    assert evaluate("[1, 2].exists(x, x == 1 || request.body == 1)", request=Request()) is True


def test_an_absent_variable_is_an_evaluation_error():
    """A declared variable that the activation does not hold is absent, and absorbed like any error."""
    with pytest.raises(EvaluationError, match="request is absent"):
        evaluate("request")
    assert evaluate("request.x == 1 || true") is True


BIG = 10**400 + 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + 1", BIG + 1),
        ("a - 1", BIG - 1),
        ("a * a", BIG * BIG),
        ("a / 3", BIG // 3),
        ("-a / 3", -(BIG // 3)),
        ("a % 7", BIG % 7),
        ("-a % 7", -(BIG % 7)),
        ("a % -7", BIG % 7),
        ("-a", -BIG),
        ("a == a + 0", True),
        ("a < a + 1", True),
        ("string(a)", str(BIG)),
        ("int(string(a))", BIG),
        ("a > 1e300", True),
        ("a in [a]", True),
        ("9007199254740993 == 9007199254740992.0", False),
        ("9007199254740993 > 9007199254740992.0", True),
        ("9007199254740992 == 9007199254740992.0", True),
        ("b == 9007199254740993", False),
        ("int(1e300)", int(1e300)),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("0xffffffffffffffffffff", 0xFFFFFFFFFFFFFFFFFFFF),
        ("{a: 'x'}[a]", "x"),
    ],
)
def test_integers_are_exact_at_any_size(text, value):
    """Arithmetic, comparison with doubles and conversion lose no digit."""
    result = evaluate(text, a=BIG, b=9007199254740992.0)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", ["a + 0.5", "a * 1.0", "1.5 - a", "a / 2.0", "double(a)"])
def test_an_integer_beyond_doubles_does_not_mix(text):
    """There is no double near it, so there is no value."""
    with pytest.raises(EvaluationError, match="too large for a double"):
        evaluate(text, a=BIG)


@pytest.mark.parametrize("text", ["a * a", "a + a", "-a - a", "a * 2", "int(b)", "int(b + b)"])
def test_integers_stop_growing(text):
    """Beyond MAX_INT_BITS there is an error, never a ValueError of Python's own limit."""
    largest = 2**MAX_INT_BITS - 1
    with pytest.raises(EvaluationError):
        evaluate(text, a=largest, b="9" * 4300)


def test_the_largest_integer_can_be_written():
    """Whatever arithmetic may make has a text."""
    largest = 2**MAX_INT_BITS - 1
    assert evaluate("string(a + 0)", a=largest) == str(largest)
    assert evaluate("int(string(a))", a=largest) == largest


@pytest.mark.parametrize(
    "text", ["int(a)", "double(a)", "a == b", "a < b", "a.contains(b)", "a.matches(b)", "a in [b]"]
)
def test_long_texts_cost_little(text):
    """A text of millions of digits is refused or compared, not parsed digit by digit."""
    digits = "9" * 6_000_000
    try:
        value = evaluate(text, a=digits, b=digits[:-1])
    except EvaluationError:
        return
    assert value in {True, False}


SECRET = "s3cr3t"  # an error must never show it

LEAKY = [
    "a.x", "a['x']", "b[a]", "int(a)", "double(a)", "a + 1", "a < 1", "a % 2", "-a", "!a", "a && true", "a || false",
    "a ? 1 : 2", "a.matches(a + '(')", "a.exists(x, true)", "[a].map(x, x + 1)", "[a].filter(x, x)", "[a].all(x, x)",
    "1 in a", "{'k': 1}[a]", "[1][a]", "{a: 1, a: 2}", "a.contains(1)", "a.startsWith(b)", "string(b)", "size(1.5) + a",
    "b[a].c", "b.missing", "[1, 2][b.n]", "has(a.x)", "a * 2", "{b: 1}", "a[0]",
]  # fmt: skip


@pytest.mark.parametrize("text", LEAKY)
def test_messages_never_hold_values(text):
    """What went wrong is said in terms of the expression and of types; the place is known."""
    with pytest.raises(EvaluationError) as caught:
        evaluate(text, a=SECRET, b={SECRET + "key": SECRET, "n": 31337})
    assert SECRET not in repr(caught.value)
    assert "31337" not in repr(caught.value)
    assert caught.value.line == 1
    assert caught.value.column > 0
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("1 + a.x", 1, 7),
        ("1 + (2 * (a % 'x'))", 1, 13),
        ("true &&\n  a / 0 == 1", 2, 5),
        ("[1].map(x, x + 'a')", 1, 14),
        ("size(1)", 1, 1),
        ("a.b.c.d", 1, 7),
        ("'x' + 'y' + 1", 1, 11),
    ],
)
def test_an_evaluation_error_points_at_the_innermost_operation(text, line, column):
    """Line and column are those of the operator, function or field that has no value."""
    with pytest.raises(EvaluationError) as caught:
        evaluate(text, a=1)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_an_evaluation_error_is_one_of_the_projects():
    """It is an ExtprocError and survives pickling."""
    error = pickle.loads(pickle.dumps(EvaluationError("no", 3, 2)))  # noqa: S301 - our own bytes
    assert (str(error), error.column, error.line) == ("no", 3, 2)
    assert isinstance(error, ExtprocError)


def test_a_program_shows_its_text():
    """The repr is the expression."""
    assert repr(compile_expression("1 + a", VARIABLES)) == "<Program '1 + a'>"


def test_programs_keep_no_state():
    """Evaluations do not see each other, also after an error in the middle of a loop."""
    program = compile_expression("[1, 2].map(x, [x, a].map(y, y + x))", VARIABLES)
    with pytest.raises(EvaluationError):
        program({"a": "no"})
    assert program({"a": 1}) == [[2, 2], [4, 3]]
    assert program({"a": 5}) == [[2, 6], [4, 7]]


@pytest.mark.parametrize("text", ["a in ['x', 'y']", "a == 'x'", "a > 1", "a in ['x'] && b == 2", "has(a.b) || b < 2"])
def test_comparisons_with_constants_are_specialised(text):
    """Constants are folded whatever stands before them, so that such conditions need no frame."""
    assert not compile_expression(text, VARIABLES)._metered


def test_constant_folding_keeps_errors_for_evaluation():
    """A constant part without a value fails where it is evaluated, not when it is compiled."""
    assert evaluate("true || 1 / 0 == 1") is True
    with pytest.raises(EvaluationError, match="division by zero"):
        evaluate("1 / 0")
    with pytest.raises(EvaluationError, match="regular expression"):
        evaluate("'a'.matches('(' + '')")


def test_doubles_follow_ieee():
    """Zeroes have signs, and a NaN is nothing's equal."""
    assert math.isnan(evaluate("0.0 / 0.0"))
    assert evaluate("1 / -0.0") == -math.inf
    assert evaluate("a == a", a=math.nan) is False
    assert evaluate("a in [a]", a=math.nan) is False
    assert evaluate("[a] == [a]", a=math.nan) is False


def test_lone_surrogates_do_not_leak_an_encoding_error():
    """Header bytes that are no UTF-8 may arrive as surrogates; matches() has no value for them."""
    with pytest.raises(EvaluationError, match="Unicode"):
        evaluate("a.matches('x')", a="\udcff")
    with pytest.raises(EvaluationError, match="regular expression"):
        evaluate("'a'.matches(a)", a="\udcff")
