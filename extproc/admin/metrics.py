"""All workers' counts in Prometheus' words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from extproc.telemetry.counters import DECISIONS, EXPRESSION_ERRORS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from extproc.telemetry.counters import Key

METRICS = {
    DECISIONS: ("extproc_decisions", "Branches taken by splits and switches.", ("graph", "node", "branch")),
    EXPRESSION_ERRORS: (
        "extproc_expression_errors",
        "Expressions that could not be evaluated: a condition counted as false, a key as missing.",
        ("graph", "node"),
    ),
}


class _Counts(Collector):
    def __init__(self, counts: Counter[Key]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield each metric with all its series."""
        for key, (name, text, labels) in METRICS.items():
            family = CounterMetricFamily(name, text, labels=labels)
            for (metric, *values), count in sorted(self._counts.items()):
                if metric == key:
                    family.add_metric(values, count)
            yield family


def exposition(counts: Counter[Key]) -> tuple[bytes, str]:
    """Return the text of /metrics and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counts(counts))
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
