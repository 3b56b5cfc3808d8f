"""Arbitrary texts and values: whatever goes wrong is one of the two errors of this room."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.expr import CompileError, EvaluationError, compile_expression, compile_template
from tests.expr.grammar import BINDINGS, JSON
from tests.expr.oracle import VARIABLES

# fmt: off
TOKENS = st.sampled_from([
    "m", "l", "s", "e", "x", "1", "0", "1.5", "'a'", '"b"', "'''c'''", "true", "null", "(", ")", "[", "]", "{", "}", ",",
    ".", ":", "?", "!", "-", "+", "*", "/", "%", "<", "<=", "==", "!=", "&&", "||", "in", "has", "size", "int", "double",
    "string", ".size()", ".map(", ".exists(", ".contains(", ".matches(", "//", "${", "$${", "\n", "'", "r'", "0x", "1e",
    "'é", "\\",
])
# fmt: on
QUICK = settings(max_examples=300, derandomize=True, deadline=None, database=None)


@QUICK
@given(st.lists(TOKENS, max_size=12).map("".join) | st.lists(TOKENS, max_size=12).map(" ".join), BINDINGS)
def test_any_sequence_of_tokens_compiles_or_is_a_compile_error(text, bindings):
    """And what compiles has a value or an evaluation error; the column lies in the text."""
    culprit: Any = None
    program = None
    try:
        program = compile_expression(text, VARIABLES)
    except CompileError as error:
        culprit = error
    if program is None:
        lines = text.split("\n")
        assert culprit.line <= len(lines)
        assert 1 <= culprit.column <= len(lines[culprit.line - 1]) + 1
        return
    with contextlib.suppress(EvaluationError):
        program(bindings)


@QUICK
@given(st.text() | st.lists(TOKENS, max_size=8).map("".join).map(lambda text: f"a ${{{text}}}"), BINDINGS)
def test_any_text_is_a_template_or_a_compile_error(text, bindings):
    """Templates fail in the same two ways."""
    with contextlib.suppress(CompileError, EvaluationError):
        compile_template([text], VARIABLES)(bindings)


@QUICK
@given(JSON, JSON)
def test_equality_is_symmetric_and_membership_follows_it(left, right):
    """For any two JSON values; bools are no numbers at any depth."""
    bindings = {"m": left, "l": right}
    equal = compile_expression("m == l", VARIABLES)(bindings)
    assert compile_expression("l == m", VARIABLES)(bindings) is equal
    assert compile_expression("m != l", VARIABLES)(bindings) is (not equal)
    assert compile_expression("m in [l]", VARIABLES)(bindings) is equal
    assert compile_expression("[l].exists(x, x == m)", VARIABLES)(bindings) is equal
    assert compile_expression("{'k': m} == {'k': l}", VARIABLES)(bindings) is equal
