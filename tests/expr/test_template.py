"""Templates: values with expressions in their strings, and texts of values."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import BadRequest
from extproc.expr import CompileError, EvaluationError, Record, compile_template, text_of

VARIABLES = ("request", "members")
ACTIVATION: dict[str, Any] = {
    "request": {
        "headers": {"x": "abc", "quote": 'a"b'},
        "body": {"n": 10**30, "d": 1.0, "l": [1, "é", None, True], "m": {"k": {"z": 1, "a": 2}}},
    },
    "members": {},
}


def fill(value, activation=ACTIVATION):
    return compile_template(value, VARIABLES)(activation)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        (1, 1),
        (1.5, 1.5),
        (True, True),
        (None, None),
        ([], []),
        ({}, {}),
        ("${request.body.n}", 10**30),
        ("${request.body.d}", 1.0),
        ("${request.body.l}", [1, "é", None, True]),
        ("${ request.headers.x }", "abc"),
        ("${true}", True),
        ("${null}", None),
        ("${[1, 2].map(x, x + 1)}", [2, 3]),
        ("${{'a': 1}}", {"a": 1}),
        ("${{'a': {'b': 1}}.a}", {"b": 1}),
        ("${{1: 'i', true: 'b'}.size()}", EvaluationError),
        ("${{1: 'i', false: 'b'}}", {"1": "i", "false": "b"}),
        ("${'}'}", "}"),
        ("${'${x}'}", "${x}"),
        ("${\"}\" + r\"\\}\" + '''}'}'''}", "}\\}}'}"),
        ("a${1}b${2}c", "a1b2c"),
        ("${1}${2}", "12"),
        (" ${1}", " 1"),
        ("${1} ", "1 "),
        ("v: ${request.headers.x}", "v: abc"),
        ("v: ${request.headers.quote}", 'v: a"b'),
        ("v: ${request.body.n}", "v: 1" + "0" * 30),
        ("v: ${request.body.d}", "v: 1.0"),
        ("v: ${request.body.l}", 'v: [1,"é",null,true]'),
        ("v: ${request.body.m}", 'v: {"k":{"z":1,"a":2}}'),
        ("v: ${{2: [1.5]}}", 'v: {"2":[1.5]}'),
        ("v: ${null}${true}${'t'}", "v: nulltruet"),
        ("$", "$"),
        ("$$", "$$"),
        ("{}", "{}"),
        ("$ {1}", "$ {1}"),
        ("$x", "$x"),
        ("$${1}", "${1}"),
        ("$${", "${"),
        ("$$${1}", "$${1}"),
        ("${1}$${2}${3}", "1${2}3"),
        ("a$${b}c${'d'}", "a${b}cd"),
        ("${1}}", "1}"),
        ("${// a comment with }\n1}", 1),
        ("${\n 1 +\n 1}", 2),
        ({"${request.headers.x}": "${1}"}, {"${request.headers.x}": 1}),
        ({"a": [{"b": "${1}"}, "c"]}, {"a": [{"b": 1}, "c"]}),
        ("${request.body.nope}", EvaluationError),
        ("x ${1 / 0}", EvaluationError),
        ("${double('nan')}", EvaluationError),
        ("${[double('inf')]}", EvaluationError),
        ("x ${[double('inf')]}", EvaluationError),
        ("x ${double('nan')}", EvaluationError),
        ("${{1: 1, '1': 2}}", EvaluationError),
    ],
)
def test_a_template_becomes_a_value(template, value):
    """A lone expression keeps its type, one within text is put in, ``$${`` is a literal ``${``, keys are literal."""
    if value is EvaluationError:
        with pytest.raises(EvaluationError):
            fill(template)
        return
    result = fill(template)
    assert result == value
    assert json.dumps(result) == json.dumps(value)


@pytest.mark.parametrize(
    ("template", "path", "line", "column", "part"),
    [
        ("${", (), 1, 1, 'not closed by a "}"'),
        ("ab ${1", (), 1, 4, 'not closed by a "}"'),
        ("${{'a': 1}", (), 1, 1, 'not closed by a "}"'),
        ("${1 // }", (), 1, 1, 'not closed by a "}"'),
        ("${}", (), 1, 3, "an expression is missing"),
        ("${'a}", (), 1, 3, "does not end"),
        ("x ${1 +}", (), 1, 8, "an expression is missing"),
        ("${1 2}", (), 1, 5, "expected the end"),
        ({"a": ["ok", "n: ${reqest.x}"]}, ("a", 1), 1, 6, 'did you mean "request"?'),
        ({"a": {"b c": "one\ntwo ${sise(1)}"}}, ("a", "b c"), 2, 7, 'did you mean "size"?'),
        ({"a": {1: "x"}}, ("a",), 1, 1, "keys are strings"),
        ({"a": [math.nan]}, ("a", 0), 1, 1, "JSON values only"),
        ({"a": b"x"}, ("a",), 1, 1, "JSON values only, no bytes"),
        ({"a": (1,)}, ("a",), 1, 1, "JSON values only, no tuple"),
    ],
)
def test_errors_of_a_template_have_a_path(template, path, line, column, part):
    """The path leads to the string, line and column into it."""
    with pytest.raises(CompileError) as caught:
        compile_template(template, VARIABLES)
    error = caught.value
    assert part in str(error)
    assert (error.path, error.line, error.column) == (path, line, column)


def test_a_template_that_holds_itself_is_refused():
    """YAML aliases can make cycles, and few lines with billions of values."""
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(CompileError, match="nested deeper"):
        compile_template(cycle, VARIABLES)
    laughs: object = "ha"
    for _ in range(20):
        laughs = [laughs] * 10
    with pytest.raises(CompileError, match="at most"):
        compile_template(laughs, VARIABLES)


@pytest.mark.parametrize(
    ("template", "constant"),
    [
        ("x", True),
        ({"a": [1, None]}, True),
        ("$${request}", True),
        ("${1 + 1}", True),
        ("a ${1 + 1} ${'b'}", True),
        ({"a": "${request.body}"}, False),
        ("x ${request.body}", False),
        ("${[1].map(x, x)}", False),
    ],
)
def test_constant_templates_are_known(template, constant):
    """Without a variable a template is constant; its repr says so."""
    compiled = compile_template(template, VARIABLES)
    assert compiled.constant is constant
    assert ("constant" in repr(compiled)) is constant


def test_a_template_shows_what_it_reads():
    """The repr of a template names its paths."""
    assert repr(compile_template("${request.body.x}", VARIABLES)) == "<Template reads=['request.body.x']>"


class Member(Record):
    """A record with one field, and one that is the client's fault."""

    def get(self, name):
        if name == "bad":
            raise BadRequest(400, "bad_body", "not JSON")
        return {"body": {"v": 1}}[name]

    def has(self, name):
        return name == "body"


@pytest.mark.parametrize(
    "template",
    [
        "${members}",
        "${members.a}",
        "x ${members}",
        "x ${members.a}",
        "${[members.a]}",
        "${{'m': members}}",
        "${[members]}",
    ],
)
def test_records_are_no_json(template):
    """A record is named field by field; the whole of it is an error, not the encoder's TypeError later."""
    with pytest.raises(EvaluationError, match="record"):
        fill(template, {"members": {"a": Member()}})


def test_fields_of_records_are_json():
    """A field of a record is a value like any other; what the record raises passes."""
    activation = {"members": {"a": Member()}}
    assert fill({"v": "${members.a.body}"}, activation) == {"v": {"v": 1}}
    assert fill("${members.map(m, members[m].body.v)}", activation) == [1]
    with pytest.raises(BadRequest):
        fill("x ${members.a.bad}", activation)


def test_a_large_body_is_passed_on_without_a_copy():
    """A lone path hands on the very object of the activation."""
    assert fill("${request.body.l}") is ACTIVATION["request"]["body"]["l"]


def test_deep_values_are_evaluation_errors_as_text():
    """A body nested deeper than the JSON encoder goes has no text, and no RecursionError either."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    activation = {"request": {"body": deep}}
    assert fill("${request.body}", activation) is deep
    for template in ("x ${request.body}", "${[request.body]}"):
        with pytest.raises(EvaluationError, match="too deeply"):
            fill(template, activation)
    with pytest.raises(EvaluationError, match="too deeply"):
        text_of(deep)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(JSON)
def test_any_json_passes_through(value):
    """A lone expression keeps the value, one in text keeps it as JSON."""
    activation = {"request": {"body": {"v": value}}}
    assert fill("${request.body.v}", activation) == value
    assert fill("${[request.body.v]}", activation) == [value]
    written = fill(" ${[request.body.v]}", activation)
    assert json.loads(written) == [value]


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.text("$${}ab'"))
def test_escaping_makes_any_text_literal(text):
    """With every ``${`` written ``$${`` a text stands for itself."""
    assert fill(text.replace("${", "$${")) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "abc"),
        ("", ""),
        ("é", "é"),
        ("1", "1"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (2.0**62, str(2**62)),
        (2.0**63, "9.223372036854776e+18"),
        (-(2.0**63), "-9.223372036854776e+18"),
        (10**30, "1" + "0" * 30),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ([1.0, "é", [2.5]], '[1,"é",[2.5]]'),
        ({"b": 1.0, "a": {"d": 1, "c": 2}}, '{"a":{"c":2,"d":1},"b":1}'),
        ({2: "x", 10: "y"}, '{"10":"y","2":"x"}'),
        ({True: 1}, '{"true":1}'),
    ],
)
def test_text_of_a_key(value, text):
    """Equal keys have one text, however a number was written and a map was ordered."""
    assert text_of(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, [math.nan], {"a": -math.inf}, Member(), [Member()]])
def test_what_has_no_text(value):
    """A NaN, an infinity and a record are no keys."""
    with pytest.raises(EvaluationError):
        text_of(value)
