"""All workers' counts in Prometheus' words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from extproc.telemetry.counters import DECISIONS, EXPRESSION_ERRORS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from extproc.telemetry.counters import Key

METRICS = {
    DECISIONS: ("extproc_decisions", "Branches taken by splits and switches.", ("graph", "node", "branch")),
    EXPRESSION_ERRORS: (
        "extproc_expression_errors",
        "Expressions that could not be evaluated: a condition counted as false, a key as missing.",
        ("graph", "node"),
    ),
}


CHALLENGE_REQUESTS = "extproc_challenge_requests"
CHALLENGE_VERDICT = "extproc_challenge_verdict"
VERDICTS = ("collecting", "promote", "reject")


class _Challenges(Collector):
    """Requests of challenges by what became of them, and verdicts: 1 for the one that stands."""

    def __init__(self, reports: Sequence[Mapping[str, Any]]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        """Yield both metrics with all their series."""
        counts = CounterMetricFamily(
            CHALLENGE_REQUESTS,
            "Requests that reached a challenge, by what became of them.",
            labels=("graph", "challenger", "outcome"),
        )
        verdicts = GaugeMetricFamily(
            CHALLENGE_VERDICT,
            "Which verdict stands for a challenger.",
            labels=("graph", "challenger", "verdict"),
        )
        for report in self._reports:
            for one in report["challengers"]:
                names = [report["graph"], one["name"]]
                for outcome, count in one["counts"].items():
                    if outcome != "pending":  # it goes down again, which a counter must not
                        counts.add_metric([*names, outcome], count)
                for verdict in VERDICTS:
                    verdicts.add_metric([*names, verdict], float(one["verdict"] == verdict))
        yield counts
        yield verdicts


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


def exposition(counts: Counter[Key], reports: Sequence[Mapping[str, Any]] = ()) -> tuple[bytes, str]:
    """Return the text of /metrics and its content type; ``reports`` are the challenges'."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counts(counts))
    registry.register(_Challenges(reports))
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
