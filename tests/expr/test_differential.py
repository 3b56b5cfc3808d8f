"""Random expressions: ours and Google's implementation give the same value, or both give none."""

from __future__ import annotations

from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.expr import EvaluationError, arithmetic
from tests.expr.grammar import BINDINGS, KINDS, expressions
from tests.expr.oracle import google, outcome, same

INT64 = 2**63


def no_mixing(value):
    """Undo the deviation that an int and a double can be added."""
    if type(value) is int:
        raise EvaluationError("ints and doubles do not mix")
    return value


def no_large(value):
    """Undo the deviation that integers have any size."""
    if not -INT64 <= value < INT64:
        raise EvaluationError("overflow")
    return value


@settings(max_examples=600, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(KINDS).flatmap(expressions), BINDINGS)
def test_random_expressions_mean_what_they_mean_to_google(text, bindings):
    """With the two documented deviations undone, values, types and errors are the same."""
    with (
        mock.patch.object(arithmetic, "to_double", no_mixing),
        mock.patch.object(arithmetic, "bounded", no_large),
    ):
        ours = outcome(text, bindings)
    theirs = google(text, bindings)
    assert same(ours, theirs), (text, bindings, ours, theirs)
