"""What Envoy counted of requests and tail calls, in the keys by which workers count."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from extproc.admin.metrics import FAIL_OPEN, REQUESTS
from extproc.calls.causes import known_cause
from extproc.engine.calling import Cause
from extproc.envoy.admin import AWAY
from extproc.envoy.names import (
    ATTEMPTS_TAG,
    FLAGS_TAG,
    INGRESS,
    MODEL_TAG,
    NO_GRAPH_ROUTE,
    REQUESTS_STAT,
    ROUTE_TAG,
    STATUS_TAG,
    TIME_STAT,
)
from extproc.headers import CALL_SECONDS
from extproc.telemetry import counters as of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.samples import Sample

    from extproc.envoy.admin import EnvoyAdmin
    from extproc.telemetry.counters import Key

_PAGE = f"/stats/prometheus?filter=^(extproc%5C.{REQUESTS_STAT}|vhost%5C.{INGRESS}%5C..*%5C.{TIME_STAT}$)"
_REQUESTS = f"envoy_extproc_{REQUESTS_STAT}"
_TIMES = f"envoy_vhost_route_{TIME_STAT}"
_TIMED_ROUTE = "envoy_route"  # how Envoy's page names a route in its statistics
_NONE = "-"
_BOUNDS = (*CALL_SECONDS, float("inf"))
_DEADLINE = "504"
_SWITCHED = "101"  # protocols: what is upgraded goes to the away-model, processor or not
PATIENCE = 1.0  # seconds for Envoy's page: Prometheus waits for ours, and workers' counts are in it
# What is raised for a page that is none of Envoy's: by the parser, for labels that are missing, and for numbers.
UNREADABLE = (ValueError, LookupError, OverflowError, TypeError, AttributeError)
_LEFT = "DC"  # Envoy's flag where the client closed the connection


async def envoy_counts(admin: EnvoyAdmin) -> Counter[Key] | None:
    """Return what Envoy counted since it started, None while it does not answer, or nothing that can be read."""
    try:
        async with asyncio.timeout(PATIENCE):
            return read(await admin.get(_PAGE))
    except (*AWAY, *UNREADABLE):
        return None


def read(text: str) -> Counter[Key]:
    """Read Envoy's page. Raises UNREADABLE."""
    counts: Counter[Key] = Counter()
    # A counter of Envoy's has no _total, and is no counter to the parser: it is looked at sample by sample.
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith(_TIMES):
                counts.update(dict(_time(sample)))
            elif sample.name.startswith(_REQUESTS):
                for key, count in _request(sample):
                    counts[key] += count
    return _apart(counts)


def _request(sample: Sample) -> Iterator[tuple[Key, int]]:
    labels, count = sample.labels, int(sample.value)
    route, status = labels[ROUTE_TAG], labels[STATUS_TAG]
    flags = "" if labels[FLAGS_TAG] == _NONE else labels[FLAGS_TAG]
    attempts = int(labels[ATTEMPTS_TAG]) if labels[ATTEMPTS_TAG].isdecimal() else 0
    graph, second_pass, _ = route.partition("/")
    if route in {NO_GRAPH_ROUTE, _NONE}:
        graph = _NONE
    model = "" if labels[MODEL_TAG] == _NONE else labels[MODEL_TAG]
    yield (REQUESTS, graph, status), count
    cause = None if _LEFT in flags.split(",") else known_cause(flags)
    if cause is Cause.TIMEOUT and status == _DEADLINE:  # a stream that stood still has a status of its own
        yield (of.DEADLINES, graph, of.ENVOY), count
    if model and not second_pass and attempts and status != _SWITCHED:
        yield (FAIL_OPEN, graph), count
    if not model or not (attempts or (second_pass and cause)):
        return
    call = (graph, model, of.TAIL)
    yield (of.CALLS, *call, _outcome(cause, status, left=_LEFT in flags.split(","))), count
    if attempts > 1:
        yield (of.RETRIES, *call), count * (attempts - 1)
    if cause is Cause.OVERLOADED:
        yield (of.SHED, *call, of.CIRCUIT_BREAKER), count


def _outcome(cause: Cause | None, status: str, *, left: bool) -> str:
    if cause is not None:
        return cause.value
    return "cancelled" if left or status == "0" else f"{status[:1]}xx"


def _time(sample: Sample) -> Iterator[tuple[Key, int]]:
    graph, _, model = sample.labels[_TIMED_ROUTE].partition("/")
    if not model:
        return  # requests that came while the processor was away: whose calls they were changes with promotions
    call = (graph, model, of.TAIL)
    if sample.name.endswith("_sum"):
        yield (of.CALL_TIMES + of.SUM, *call), int(sample.value * 1000)
    elif sample.name.endswith("_bucket"):
        bound = float(sample.labels["le"]) / 1000
        at = next((index for index, one in enumerate(_BOUNDS) if one == bound or abs(one - bound) < one / 1000), None)
        if at is not None:
            yield (of.CALL_TIMES, *call, str(at)), int(sample.value)


def _apart(counts: Counter[Key]) -> Counter[Key]:
    """Return a histogram's classes each by itself: Envoy's hold all below them."""
    apart = Counter(counts)
    for key, total in counts.items():
        if key[0] == of.CALL_TIMES and key[-1] != "0":
            apart[key] = total - counts[(*key[:-1], str(int(key[-1]) - 1))]
    return apart
