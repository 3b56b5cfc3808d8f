"""Google's CEL as an oracle, and how its values compare with ours."""

from __future__ import annotations

import functools
import math

from cel_expr_python import cel

from extproc.expr import CompileError, EvaluationError, compile_expression

VARIABLES = ("m", "l", "s", "e", "z")


class Failed:
    """The outcome of an expression without a value."""

    def __repr__(self) -> str:
        return "<failed>"


FAILED = Failed()


@functools.cache
def _environment():
    return cel.NewEnv(variables=dict.fromkeys(VARIABLES, cel.Type.DYN))


def google(text, bindings):
    """The value Google's implementation gives without static types, which JSON has not; FAILED for any error."""
    try:
        value = _environment().compile(text, disable_check=True).eval(data=bindings)
    except RuntimeError:
        return FAILED
    return FAILED if value.type().name() == "ERROR" else _unsigned(value.plain_value())


def _unsigned(value):
    """The value with ``string()`` of a NaN written without its sign, which means nothing."""
    if isinstance(value, dict):
        return {_unsigned(key): _unsigned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unsigned(item) for item in value]
    return value.replace("-nan", "nan") if isinstance(value, str) else value


def outcome(text, bindings):
    """Our value, or FAILED."""
    try:
        return compile_expression(text, VARIABLES)(bindings)
    except (CompileError, EvaluationError):
        return FAILED


def same(left, right):
    """Whether two values are the same, their types too; a NaN is the same as a NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return typed_keys(left) == typed_keys(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or repr(left) == repr(right)
    return left == right


def typed_keys(mapping):
    """The keys with their types."""
    return {(type(key), key) for key in mapping}
