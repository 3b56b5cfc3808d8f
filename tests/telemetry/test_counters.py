"""What a worker counts, and how it reads at /metrics."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from extproc.admin.metrics import METRICS, exposition
from extproc.telemetry.counters import DECISIONS, EXPRESSION_ERRORS, Counters
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
    assert set(found) >= {name for name, *_ in METRICS.values()}
    assert all(not samples for _, samples in found.values())


def test_names():
    """Metrics begin with ``extproc_`` and have a help text."""
    for name, text, labels in METRICS.values():
        assert name.startswith("extproc_")
        assert not name.endswith("_total")
        assert text.endswith(".")
        assert labels[0] == "graph"


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
