"""All that is counted, by workers, Envoy and supervisor, in Prometheus' words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from extproc.headers import CALL_SECONDS
from extproc.telemetry import counters as of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from extproc.telemetry.counters import Key

# Counted by Envoy, or known to the supervisor: in the same keys as what workers count.
REQUESTS = "requests"
FAIL_OPEN = "fail_open"
ENVOY_UP = "envoy_up"
ENVOY_STARTS = "envoy_starts"
WORKER_STARTS = "worker_starts"
WORKERS_READY = "workers_ready"
GRAPH_INFO = "graph_info"
BUILD_INFO = "build_info"


@dataclass(frozen=True, slots=True)
class Described:
    """A metric: its name without ``_total``, what it says, its labels, and the bounds of a histogram in seconds."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    gauge: bool = False
    bounds: tuple[float, ...] = ()

    @property
    def type(self) -> str:
        """Prometheus' word for its kind."""
        return "histogram" if self.bounds else "gauge" if self.gauge else "counter"

    @property
    def exposed(self) -> str:
        """The name as it stands in a query."""
        return f"{self.name}_total" if self.type == "counter" else self.name


_CALL = ("graph", "model", "kind")
METRICS: dict[str, Described] = {
    REQUESTS: Described(
        "extproc_requests",
        "Requests by the graph they entered and the status that the client saw, as Envoy counts them. "
        'Status 0: the client left before an answer. Graph "-": none matched.',
        ("graph", "status"),
    ),
    of.DECISIONS: Described("extproc_decisions", "Branches taken by splits and switches.", ("graph", "node", "branch")),
    of.CALLS: Described(
        "extproc_calls",
        "Calls of models. Kind: tail (made by Envoy, its response is the answer), sub, challenger. "
        "Outcome: the class of the status (2xx), or why there was none: connect, reset, timeout, overloaded, too_large, "
        "cancelled.",
        (*_CALL, "outcome"),
    ),
    of.CALL_TIMES: Described(
        "extproc_call_duration_seconds",
        "How long calls took until their response was complete, with all their attempts. "
        "Of tail calls in whole milliseconds, as Envoy counts them.",
        _CALL,
        bounds=CALL_SECONDS,
    ),
    of.RETRIES: Described("extproc_call_retries", "Further attempts of calls, hedges apart.", _CALL),
    of.HEDGES: Described("extproc_call_hedges", "Calls for which a second attempt was made beside the first.", _CALL),
    of.SHED: Described(
        "extproc_shed",
        "Calls that were refused. Reason: concurrency (the model's limit in a worker) or circuit_breaker (in Envoy).",
        (*_CALL, "reason"),
    ),
    of.DEADLINES: Described(
        "extproc_deadline_exceeded",
        "Requests that were answered 504: the graph's deadline, or a model's. By: processor, or envoy for tail calls.",
        ("graph", "by"),
    ),
    FAIL_OPEN: Described(
        "extproc_fail_open", "Requests that Envoy sent on by itself while the processor was away.", ("graph",)
    ),
    of.EXCHANGES: Described(
        "extproc_exchanges",
        "Conversations between Envoy and processors. Outcome: tail, answer, passed (no graph matched), "
        "left (the client or Envoy left before the decision), refused (Envoy said what it must not), failed (our fault).",
        ("graph", "outcome"),
    ),
    of.ACTIVE: Described("extproc_exchanges_active", "Conversations under way.", gauge=True),
    of.CONNECTIONS: Described("extproc_connections", "Connections from Envoy to processors.", gauge=True),
    of.EXPRESSION_ERRORS: Described(
        "extproc_expression_errors",
        "Expressions that could not be evaluated: a condition counted as false, a key as missing.",
        ("graph", "node"),
    ),
    of.LOOP_LAG: Described(
        "extproc_event_loop_lag_seconds",
        "By how much workers' event loops were late, looked at ten times a second.",
        bounds=of.LAG_SECONDS,
    ),
    of.SPANS: Described(
        "extproc_spans",
        "Spans of processors. Outcome: exported, failed (the collector did not take them), dropped (too many waited).",
        ("outcome",),
    ),
    of.LOG_LINES_DROPPED: Described(
        "extproc_log_lines_dropped",
        "Lines of the log that were not written: too many requests failed, or nobody read standard error.",
    ),
    WORKERS_READY: Described("extproc_workers_ready", "Workers that listen.", gauge=True),
    WORKER_STARTS: Described("extproc_worker_starts", "Starts of worker processes.", ("worker",)),
    ENVOY_UP: Described("extproc_envoy_up", "Whether Envoy told its counts just now: 1, or 0.", gauge=True),
    ENVOY_STARTS: Described("extproc_envoy_starts", "Starts of the Envoy process."),
    GRAPH_INFO: Described("extproc_graph_info", "The graphs in force: always 1.", ("graph", "generation"), gauge=True),
    BUILD_INFO: Described("extproc_build_info", "This version: always 1.", ("version",), gauge=True),
}

CHALLENGE_REQUESTS = Described(
    "extproc_challenge_requests",
    "Requests that reached a challenge, by what became of them.",
    ("graph", "challenger", "outcome"),
)
CHALLENGE_VERDICT = Described(
    "extproc_challenge_verdict",
    "Which verdict stands for a challenger: 1 for collecting, promote or reject.",
    ("graph", "challenger", "verdict"),
    gauge=True,
)
VERDICTS = ("collecting", "promote", "reject")


class _Challenges(Collector):
    """Requests of challenges by what became of them, and verdicts: 1 for the one that stands."""

    def __init__(self, reports: Sequence[Mapping[str, Any]]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        """Yield both metrics with all their series."""
        counts = CounterMetricFamily(CHALLENGE_REQUESTS.name, CHALLENGE_REQUESTS.text, labels=CHALLENGE_REQUESTS.labels)
        verdicts = GaugeMetricFamily(CHALLENGE_VERDICT.name, CHALLENGE_VERDICT.text, labels=CHALLENGE_VERDICT.labels)
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
        self._by_name: dict[str, list[tuple[Key, int]]] = {}
        for (name, *labels), count in sorted(counts.items()):
            self._by_name.setdefault(name, []).append((tuple(labels), count))

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with all its series."""
        for key, metric in METRICS.items():
            yield self._histogram(key, metric) if metric.bounds else self._plain(key, metric)

    def _plain(self, key: str, metric: Described) -> Metric:
        family = (GaugeMetricFamily if metric.gauge else CounterMetricFamily)(
            metric.name, metric.text, labels=metric.labels
        )
        for labels, count in self._by_name.get(key, ()):
            family.add_metric(labels, count)
        return family

    def _histogram(self, key: str, metric: Described) -> Metric:
        family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        sums = dict(self._by_name.get(key + of.SUM, ()))
        for labels, classes in groupby(self._by_name.get(key, ()), lambda one: one[0][:-1]):
            counts = {one[0][-1]: one[1] for one in classes}
            family.add_metric(labels, _cumulative(metric.bounds, counts), sums.get(labels, 0) / 1e6)
        return family


def _cumulative(bounds: Sequence[float], counts: Mapping[str, int]) -> list[tuple[str, float]]:
    """Return a histogram's classes as Prometheus wants them: each with all below it."""
    total = 0
    classes = []
    for index, bound in enumerate((*bounds, float("inf"))):
        total += counts.get(str(index), 0)
        classes.append((floatToGoString(bound), float(total)))  # type: ignore[no-untyped-call]
    return classes


def exposition(counts: Counter[Key], reports: Sequence[Mapping[str, Any]] = ()) -> tuple[bytes, str]:
    """Return the text of /metrics and its content type; ``reports`` are the challenges'."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counts(counts))
    registry.register(_Challenges(reports))
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
