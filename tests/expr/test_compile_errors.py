"""What is wrong with a text, and the column at the culprit."""

from __future__ import annotations

import pickle

import pytest

from extproc.errors import GraphError
from extproc.expr import MAX_DEPTH, MAX_TEXT, CompileError, compile_expression

VARIABLES = ("request", "steps")

# text: (column, a part of the message)
CASES = {
    "": (1, "an expression is missing"),
    "   ": (4, "an expression is missing"),
    "1 +": (4, "an expression is missing"),
    "1 + * 2": (5, 'expected a value, found "*"'),
    "(1": (3, 'expected ")"'),
    "[1, 2": (6, 'expected "]"'),
    "{'a' 1}": (6, 'expected ":" after a map\'s key'),
    "true ? 1": (9, 'expected ":"'),
    "1 2": (3, "expected the end"),
    "1 == 2)": (7, "expected the end"),
    "request.": (9, "expected a field's name"),
    "request.in": (9, "expected a field's name"),
    "request.1": (8, "expected the end"),
    "size(1,)": (8, "expected an argument"),
    "reqest.path": (1, 'no variable named "reqest"; did you mean "request"?'),
    "1 == step.a": (6, 'did you mean "steps"?'),
    "zzz": (1, 'no variable named "zzz"'),
    "[1].map(item, itm)": (15, 'did you mean "item"?'),
    "[1].map(x, x) == [x]": (19, 'no variable named "x"'),
    "sise(request)": (1, 'no function named "sise"; did you mean "size"?'),
    'request.path.startWith("a")': (14, 'did you mean "startsWith"?'),
    "[1].exist(x, x == 1)": (5, 'did you mean "exists"?'),
    "hass(request.path)": (1, 'did you mean "has"?'),
    "size()": (1, "size() takes 1 argument, not 0"),
    "1 + size(1, 2)": (5, "size() takes 1 argument, not 2"),
    "'a'.size(1)": (5, "size() takes 0 arguments, not 1"),
    "'a'.contains()": (5, "contains() takes 1 argument, not 0"),
    "contains('a', 'b')": (1, "x.contains(...)"),
    "'a'.int()": (5, "int(x)"),
    "map([1], x, x)": (1, "called on a list or map"),
    "[1].map(x)": (5, "map() takes 2 or 3 arguments, not 1"),
    "[1].all(x, true, true)": (5, "all() takes 2 arguments, not 3"),
    "[1].map(request.x, 1)": (17, "the name of its variable"),
    "has(request)": (5, "has() takes one field selection"),
    "has(request['x'])": (12, "has() takes one field selection"),
    "has()": (1, "has() takes one field selection"),
    "'a'.matches('(')": (13, "not a regular expression"),
    "matches('a', '(?=a)')": (14, "not a regular expression"),
    "'a'.matches(r'\\1')": (13, "not a regular expression"),
    "'a'.matches('a{1000}{1000}')": (13, "not a regular expression"),
    "'a'.matches(r'\\pL{300}')": (13, "pattern too large"),
    "1 + 'abc": (5, "does not end"),
    "'a\nb'": (1, "does not end"),
    '"""a': (1, "does not end"),
    "'ab\\z'": (4, "escape"),
    "'\\uD800'": (2, "escape"),
    "'\\U00110000'": (2, "escape"),
    "'\\400'": (2, "escape"),
    "b'abc'": (1, "bytes literals are outside the subset"),
    "1 + rb'abc'": (5, "bytes literals are outside the subset"),
    "1e400": (1, "too large for a double"),
    "12abc": (3, "a number does not run into a name"),
    "0xg": (2, "a number does not run into a name"),
    "request.path = 'a'": (14, 'equality is "=="'),
    "true & false": (6, 'and is "&&"'),
    "true | false": (6, 'or is "||"'),
    "request.`a-b`": (9, "backticks"),
    "1 # 2": (3, "unexpected character '#'"),
    "é": (1, "unexpected character"),
    "for == 1": (1, '"for" is a reserved word'),
    "1 + package": (5, '"package" is a reserved word'),
    "while(1)": (1, '"while" is a reserved word'),
    "[1].map(if, 1)": (9, '"if" is a reserved word'),
    "request{a: 1}": (8, "expected the end"),
    ".request": (1, 'expected a value, found "."'),
    "'😀' + x": (7, 'no variable named "x"'),
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_the_column_is_the_culprits(text, expected):
    """A wrong text is refused with a reason and the 1-based column of what is wrong."""
    with pytest.raises(CompileError) as caught:
        compile_expression(text, VARIABLES)
    column, part = expected
    assert part in str(caught.value)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_lines_are_counted():
    """In a text of several lines the column is within its line, also after a string of several lines."""
    with pytest.raises(CompileError) as caught:
        compile_expression('request.path == """a\nb""" &&\n  reqest.id == 1', VARIABLES)
    assert (caught.value.line, caught.value.column) == (3, 3)


@pytest.mark.parametrize("word", ["as", "for", "if", "in_", "package", "null_", "while"])
def test_reserved_words_may_be_fields(word):
    """Only variables and functions cannot have a reserved name."""
    assert compile_expression(f"request.{word}", VARIABLES)({"request": {word: 1}}) == 1


HOSTILE = {
    "brackets": "(" * 100_000,
    "closed brackets": "(" * 1500 + "1" + ")" * 1500,
    "lists": "[" * 2000 + "]" * 2000,
    "maps": "{1:" * 1000 + "1" + "}" * 1000,
    "nots": "!" * 4000 + "true",
    "minuses": "-" * 4000 + "1",
    "selects": "request" + ".a" * 2000,
    "indexes": "request" + "[0]" * 1000,
    "calls": "'a'" + ".size()" * 500,
    "nested calls": "size(" * 600 + "1" + ")" * 600,
    "conditionals": "true?1:" * 580 + "1",
    "conditionals inside": "(true?" * 500 + "1" + ":1)" * 500,
    "sums": "1" + "+1" * 2000,
    "powers of nesting": "1+(" * 900 + "1" + ")" * 900,
    "macros": "[1].map(x," * 300 + "x" + ")" * 300,
    "mixed operators": "1||1&&1==1+1*(" * 200 + "1" + ")" * 200,
    "quotes": "'" * 100_001,
    "backslashes": "'" + "\\" * 100_001,
    "comments": "//" * 100_000,
    "digits": "9" * 100_000,
    "hex digits": "0x" + "f" * 100_000,
    "exponent": "1e" + "9" * 4000,
    "spaces": " " * 100_000,
    "a name": "a" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_compile_errors(text):
    """Nothing that is too long or nested too deeply ends in another exception."""
    with pytest.raises(CompileError):
        compile_expression(text, VARIABLES)


DEEPEST = {
    "brackets": "(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1),
    "lists": "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1),
    "sums": "1" + "+1" * (MAX_DEPTH - 1),
    "conditionals": "true ? 1 : " * (MAX_DEPTH - 1) + "1",
    "nested macros": "[1].map(x, " * (MAX_DEPTH // 2) + "x" + ")" * (MAX_DEPTH // 2),
    "a long chain of ||": " || ".join(["request.a == 1"] * 200),
    "a long list": "[" + ",".join(["1"] * 1900) + "]",
}


@pytest.mark.parametrize("text", DEEPEST.values(), ids=DEEPEST)
def test_the_deepest_texts_allowed_also_run(text):
    """What the limits let through compiles and evaluates within Python's stack."""
    compile_expression(text, VARIABLES)({"request": {"a": 1}})


def test_the_longest_text_allowed():
    """MAX_TEXT characters are an expression, one more is an error there."""
    text = "1" + " " * (MAX_TEXT - 2)
    assert compile_expression(text + " ", VARIABLES)({}) == 1
    with pytest.raises(CompileError, match=str(MAX_TEXT)):
        compile_expression(text + " 1", VARIABLES)


def test_a_compile_error_is_the_graph_authors():
    """It is a GraphError, has message, line, column and path, and survives pickling."""
    error = pickle.loads(pickle.dumps(CompileError("wrong", 3, 2, ("a", 0))))  # noqa: S301 - our own bytes
    assert (error.message, error.column, error.line, error.path) == ("wrong", 3, 2, ("a", 0))
    assert str(error) == "wrong"
    assert isinstance(error, GraphError)
