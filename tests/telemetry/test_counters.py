"""What a worker counts, and how it reads at /metrics."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from extproc.admin.metrics import METRICS, exposition
from extproc.graph.document import Model
from extproc.plan.model import plan_model
from extproc.telemetry.counters import (
    CALL_TIMES,
    CALLS,
    CHALLENGER,
    DECISIONS,
    EXPRESSION_ERRORS,
    HEDGES,
    RETRIES,
    SHED,
    SUB,
    SUM,
    CallCounts,
    Counters,
)
from tests.engine.deciding import decide
from tests.plan.building import rooted

PLAN = "{switch: {cases: [{name: gold, when: request.headers.tier == 'gold', to: a}], default: next}}"
NEXT = "  next: {split: {by: request.headers.user, routes: [{name: x, to: a, weight: 1}, {name: y, to: b, weight: 1}]}}"
HOSTILE = ['"', "\\", "\n", '\\"', "\\n", "}", "{", ",", "=", "é", "🦀", " ", "", "a b", "\t", "#", "x" * 500]


def parsed(counts):
    """The metrics of an exposition as Prometheus' own parser reads them: family -> {labels: value}."""
    text, content_type = exposition(counts)
    assert content_type.startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in families}) == len(families)
    return {
        family.name: (
            family.type,
            {(sample.name, *sorted(sample.labels.items())): sample.value for sample in family.samples},
        )
        for family in families
    }


def test_decisions_are_counted():
    """Every branch taken counts under graph, node and branch; every failed expression under graph and node."""
    counters = Counters()
    plan = rooted(PLAN, more=NEXT)
    for headers, chance in (({"tier": "gold"}, []), ({"tier": "gold"}, []), ({"tier": "x"}, [0.9]), ({}, [0.1])):
        decide(plan, headers, chance=chance, recorder=counters)
    assert counters.counts == {
        (DECISIONS, "fraud", "root", "gold"): 2,
        (DECISIONS, "fraud", "root", "default"): 2,
        (DECISIONS, "fraud", "next", "y"): 1,
        (DECISIONS, "fraud", "next", "x"): 1,
        (EXPRESSION_ERRORS, "fraud", "root"): 1,
        (EXPRESSION_ERRORS, "fraud", "next"): 2,
    }
    assert repr(counters) == "<Counters 6 series>"


def test_exposition():
    """The text parses, with the contract's names and labels, as counters."""
    found = parsed(Counter({(DECISIONS, "fraud", "root", "gold"): 3, (EXPRESSION_ERRORS, "fraud", "root"): 1}))
    assert found["extproc_decisions"] == (
        "counter",
        {("extproc_decisions_total", ("branch", "gold"), ("graph", "fraud"), ("node", "root")): 3.0},
    )
    assert found["extproc_expression_errors"] == (
        "counter",
        {("extproc_expression_errors_total", ("graph", "fraud"), ("node", "root")): 1.0},
    )


def test_nothing_counted():
    """Before the first request every metric is there, without series."""
    found = parsed(Counter())
    assert set(found) >= {metric.name for metric in METRICS.values()}
    assert all(not samples for _, samples in found.values())


def test_names():
    """Metrics begin with ``extproc_`` and have a help text."""
    for metric in METRICS.values():
        assert metric.name.startswith("extproc_")
        assert not metric.name.endswith("_total")
        assert metric.text.endswith(".")
        assert "graph" not in metric.labels[1:]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_strange_names(name):
    """Whatever a label holds comes back as it was."""
    found = parsed(Counter({(DECISIONS, name, "root", name): 1}))
    ((_, *labels),) = found["extproc_decisions"][1]
    assert dict(labels) == {"graph": name, "node": "root", "branch": name}


def test_large_counts_and_many_series():
    """A thousand series and counts beyond 32 bits are exact."""
    counts = Counter({(DECISIONS, "g", "n", f"b{number}"): 2**40 + number for number in range(1000)})
    samples = parsed(counts)["extproc_decisions"][1]
    assert sorted(samples.values()) == [2**40 + number for number in range(1000)]


def test_a_count_that_nobody_shows():
    """A count of an unknown kind spoils nothing."""
    found = parsed(Counter({("unheard", "of"): 1, (DECISIONS, "g", "n", "b"): 1}))
    assert len(found["extproc_decisions"][1]) == 1


MODEL = plan_model("fraud", "fraud-v1", Model(url="http://127.0.0.1:1/"))


@pytest.mark.parametrize(
    ("outcome", "attempts", "hedged", "expected"),
    [
        ("2xx", 1, False, {}),
        ("5xx", 3, False, {(RETRIES, "fraud", "fraud-v1", SUB): 2}),
        ("2xx", 2, True, {(HEDGES, "fraud", "fraud-v1", SUB): 1}),
        ("2xx", 3, True, {(HEDGES, "fraud", "fraud-v1", SUB): 1, (RETRIES, "fraud", "fraud-v1", SUB): 1}),
        ("overloaded", 1, False, {(SHED, "fraud", "fraud-v1", SUB, "circuit_breaker"): 1}),
    ],
)
def test_calls_are_counted(outcome, attempts, hedged, expected):
    """Each once by outcome and once by duration; further attempts and sheds by themselves."""
    counters = Counters()
    CallCounts(counters, SUB).called(MODEL, outcome, 0.0031, attempts, hedged=hedged)
    assert counters.counts == {
        (CALLS, "fraud", "fraud-v1", SUB, outcome): 1,
        (CALL_TIMES, "fraud", "fraud-v1", SUB, "2"): 1,
        (CALL_TIMES + SUM, "fraud", "fraud-v1", SUB): 3100,
        **expected,
    }


def test_a_call_that_was_never_made_took_no_time():
    """It is shed by the processor's own limit."""
    counters = Counters()
    CallCounts(counters, CHALLENGER).called(MODEL, "overloaded", 0.0, 0, hedged=False)
    assert counters.counts == {
        (CALLS, "fraud", "fraud-v1", CHALLENGER, "overloaded"): 1,
        (SHED, "fraud", "fraud-v1", CHALLENGER, "concurrency"): 1,
    }


def test_a_histogram():
    """A duration at a bound belongs below it, and one beyond all bounds to the last class."""
    counters = Counters()
    for seconds in (0.0, 0.001, 0.0011, 400.0):
        CallCounts(counters, SUB).called(MODEL, "2xx", seconds, 1, hedged=False)
    kind, samples = parsed(counters.counts)["extproc_call_duration_seconds"]
    assert kind == "histogram"
    labels = (("graph", "fraud"), ("kind", "sub"), ("model", "fraud-v1"))
    at = {
        dict(key[1:])["le"]: value for key, value in samples.items() if key[0] == "extproc_call_duration_seconds_bucket"
    }
    assert (at["0.001"], at["0.0025"], at["300.0"], at["+Inf"]) == (2, 3, 3, 4)
    assert samples["extproc_call_duration_seconds_count", *labels] == 4
    assert samples["extproc_call_duration_seconds_sum", *labels] == pytest.approx(400.0021)


def test_the_loops_lag():
    """A histogram without labels."""
    counters = Counters()
    counters.lagged(0.02)
    samples = parsed(counters.counts)["extproc_event_loop_lag_seconds"][1]
    assert samples[("extproc_event_loop_lag_seconds_count",)] == 1
    assert samples["extproc_event_loop_lag_seconds_bucket", ("le", "0.025")] == 1
    assert samples["extproc_event_loop_lag_seconds_bucket", ("le", "0.01")] == 0
