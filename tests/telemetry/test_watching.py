"""What becomes of the end of an exchange: a count, and a line where it failed by our fault or a model's."""

from __future__ import annotations

import logging

import pytest

from extproc.engine.outcome import Answer
from extproc.engine.traceparent import Traceparent
from extproc.telemetry.counters import DEADLINES, EXCHANGES, Counters
from extproc.telemetry.failures import FailureLog
from extproc.telemetry.watching import Watching
from tests.engine.deciding import request
from tests.engine.scripted import planned
from tests.telemetry.traced import SAMPLED, TRACE, Spans

PLAN = planned("{root: {split: {routes: [{to: a, weight: 1}]}}}")


@pytest.fixture
def counters():
    return Counters()


def answer(status, code, model=""):
    """An answer of the processor's."""
    return Answer(status, (), b"", "root=x,a", f"extproc.{code}", model)


def test_exchanges_are_counted(counters):
    """By graph and how they ended."""
    watching = Watching(counters, FailureLog())
    for graph, how in (("fraud", "tail"), ("fraud", "tail"), ("-", "passed")):
        watching.ended(graph, how)
    assert counters.counts == {(EXCHANGES, "fraud", "tail"): 2, (EXCHANGES, "-", "passed"): 1}


@pytest.mark.parametrize(
    ("status", "code", "level", "missed"),
    [
        (504, "deadline", "WARNING", 1),
        (502, "upstream_failed", "WARNING", 0),
        (429, "overloaded", "WARNING", 0),
        (503, "unavailable", "WARNING", 0),
        (413, "body_too_large", "DEBUG", 0),
        (404, "no_route", "DEBUG", 0),
        (200, "made", None, 0),
        (504, "made", None, 0),
        (500, "sub_call", None, 0),
        (404, "sub_call", None, 0),
    ],
)
def test_answers(caplog, status, code, level, missed):
    """A missed deadline counts; what failed has a line, what a graph's author or a model meant so has none."""
    counters = Counters()
    with caplog.at_level(logging.DEBUG, "extproc"):
        Watching(counters, FailureLog()).answered(PLAN, request(), answer(status, code, "a"), None)
    assert [record.levelname for record in caplog.records] == ([] if level is None else [level])
    assert counters.counts == ({(DEADLINES, "fraud", "processor"): 1} if missed else {})


def test_what_a_line_says(counters, caplog):
    """Graph, code, model, and the ids by which all else is found; the way as a field."""
    spans = Spans()
    watching = Watching(counters, FailureLog(), spans.traces(lambda: 0.0))
    trace = watching.trace(Traceparent(SAMPLED), PLAN, request())
    watching.answered(PLAN, request(), answer(502, "upstream_failed", "a"), trace)
    assert caplog.messages == [f"fraud: 502 upstream_failed (model a) request=id-1 trace={TRACE}"]
    assert caplog.records[0].route == "root=x,a"
    assert repr(watching) == "<Watching with traces>"


def test_without_traces(counters):
    """No request has a span."""
    watching = Watching(counters, FailureLog())
    assert watching.trace(Traceparent(SAMPLED), PLAN, request()) is None
    assert repr(watching) == "<Watching without traces>"
