"""The step budget: what grows with a request's size stops."""

from __future__ import annotations

import pytest

from extproc.expr import STEP_BUDGET, BudgetExceededError, EvaluationError, compile_expression, compile_template

NUMBERS = list(range(3000))
TEXT = "x" * 1_000_000

ENDLESS = {
    "nested macros": "l.map(a, l.map(b, l.map(c, a + b + c)))",
    "nested quantifiers": "l.all(a, l.all(b, l.exists(c, c == a + b + 100000) || true))",
    "filter in filter": "l.filter(a, l.filter(b, a == b) == [])",
    "exists_one": "l.exists_one(a, l.exists_one(b, false))",
    "maps of keys": "m.map(a, m.map(b, m.map(c, c)))",
    "a heavy body": "l.map(a, l.map(b, [a, b, a, b, a, b, a, b, a, b, a, b] == []))",
    "concatenation of strings": "l.map(a, t + t)",
    "concatenation of lists": "l.map(a, l + l)",
    "contains": "l.map(a, t.contains('xy'))",
    "equality of lists": "l.map(a, l == k)",
    "equality of maps": "l.map(a, m == n)",
    "equality of strings": "l.map(a, t == u)",
    "order of strings": "l.map(a, t < u)",
    "membership": "l.map(a, l.map(b, -1 in l))",
    "membership of lists": "l.map(a, l in [[1], k])",
    "matches": "l.map(a, t.matches('y$'))",
    "startsWith": "l.map(a, t.startsWith(u))",
    "products": "l.map(a, l.map(b, i * i))",
    "quotients": "l.map(a, l.map(b, i / 3))",
    "string of integers": "l.map(a, l.map(b, string(i)))",
    "int of strings": "l.map(a, l.map(b, int(d)))",
}


def activation():
    return {
        "l": NUMBERS,
        "k": [*NUMBERS[:-1], -1],
        "m": {str(number): number for number in NUMBERS},
        "n": {str(number): number for number in NUMBERS},
        "t": TEXT,
        "u": TEXT[:-1] + "y",
        "i": 10**2000,
        "d": "9" * 4000,
    }


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_work_that_grows_with_the_request_stops(text):
    """Loops in loops, and operations on large values in loops, use up the budget."""
    program = compile_expression(text, activation().keys())
    with pytest.raises(BudgetExceededError, match="budget") as caught:
        program(activation())
    assert caught.value.column > 0


@pytest.mark.parametrize(
    "text",
    [
        "l.all(a, l.all(b, l.all(c, true))) || true",
        "[1].exists(x, l.map(a, t + t) == [] || true)",
        "['a', 1].exists(x, x == 1 ? l.map(a, t + t) == [] : x > 0) || true",
    ],
)
def test_nothing_absorbs_an_exceeded_budget(text):
    """An evaluation that took too long has no value, whatever stands beside it."""
    with pytest.raises(EvaluationError, match="budget"):
        compile_expression(text, activation().keys())(activation())


def test_one_look_at_each_number_of_a_large_body_fits():
    """A 1 MiB body of short numbers can be gone through once."""
    program = compile_expression("l.all(x, x >= 0)", ["l"])
    assert program({"l": [1] * (STEP_BUDGET // 3)}) is True


def test_each_evaluation_has_a_budget_of_its_own():
    """What one evaluation used is not missing in the next."""
    program = compile_expression("l.all(x, x >= 0)", ["l"])
    body = {"l": [1] * (STEP_BUDGET // 4)}
    assert program(body) is program(body) is program(body) is True


def test_the_expressions_of_a_template_share_one_budget():
    """A template cannot multiply the budget by its number of expressions."""
    hole = "${l.all(x, x >= 0)}"
    body = {"l": [1] * (STEP_BUDGET // 4)}
    assert compile_template([hole], ["l"])(body) == [True]
    with pytest.raises(BudgetExceededError):
        compile_template([hole] * 5, ["l"])(body)


def test_values_nested_deeper_than_the_stack_compare():
    """Equality does not recurse: a deep body is equal to itself and no RecursionError."""
    left: object = 1
    right: object = 1
    for _ in range(20_000):
        left, right = [left], [right]
    program = compile_expression("a == b && !(a != b) && a in [b] && {'k': a} == {'k': b}", ["a", "b"])
    assert program({"a": left, "b": right}) is True


def test_folding_constants_is_bounded():
    """A constant that would take long is left to the evaluation's budget."""
    text = "'" + "x" * 500 + "'"
    assert compile_expression(f"size({text} + {text})", [])({}) == 1000
