"""What Envoy's own statistics say, in the keys by which workers count."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from extproc.admin import envoy_counts as envoy_counts_module
from extproc.admin.envoy_counts import UNREADABLE, envoy_counts, read
from extproc.admin.metrics import exposition
from extproc.headers import CALL_SECONDS

AWAY = {"cancer-canary": "cancer-logistic", "open": "m"}
BOUNDS = [
    "1",
    "2.5",
    "5",
    "10",
    "25",
    "50",
    "100",
    "250",
    "500",
    "1000",
    "2500",
    "5000",
    "10000",
    "30000",
    "60000",
    "300000",
]


def requests(route, status, flags="-", attempts="1", count="1"):
    """A line about requests, as Envoy 1.40 prints it."""
    model = route.partition("/")[2] or AWAY.get(route, "")
    tags = f'route="{route}",model="{model}",status="{status}",flags="{flags}",attempts="{attempts}"'
    return f"# TYPE envoy_extproc_requests counter\nenvoy_extproc_requests{{{tags}}} {count}\n"


def times(route, totals, total, bounds=None):
    """A histogram of a route, as Envoy 1.40 prints it; ``totals`` are of each class and all below it."""
    name, tags = "envoy_vhost_route_upstream_rq_time", f'envoy_virtual_host="ingress",envoy_route="{route}"'
    classes = zip([*(bounds or BOUNDS), "+Inf"], totals, strict=True)
    lines = [f'{name}_bucket{{{tags},le="{bound}"}} {count}' for bound, count in classes]
    lines += [f"{name}_sum{{{tags}}} {total}", f"{name}_count{{{tags}}} {totals[-1]}"]
    return "\n".join([f"# TYPE {name} histogram", *lines, ""])


REAL = (
    requests("cancer-canary", 400)
    + requests("cancer-canary/cancer-logistic", 200, count="3")
    + requests("cancer-vote", 502, attempts="0")
    + requests("no_graph", 404, attempts="0")
    + times("cancer-canary", [1] * 17, "1.0476190476190476719153821250075")
    + times("cancer-canary/cancer-logistic", [0, 2, *[3] * 15], "7.146741303478608031696239777375")
)


def test_a_real_page():
    """Three tail calls, one request while the processor was away, one that it answered, one that no graph matched."""
    call = ("cancer-canary", "cancer-logistic", "tail")
    assert +read(REAL) == {
        ("requests", "cancer-canary", "400"): 1,
        ("requests", "cancer-canary", "200"): 3,
        ("requests", "cancer-vote", "502"): 1,
        ("requests", "-", "404"): 1,
        ("fail_open", "cancer-canary"): 1,
        ("calls", *call, "2xx"): 3,
        ("calls", *call, "4xx"): 1,
        ("call_times", *call, "1"): 2,
        ("call_times", *call, "2"): 1,
        ("call_times_sum_us", *call): 7146,
    }


def test_nothing_yet():
    """An Envoy that has seen no request prints nothing."""
    assert read("") == Counter()


def calls(text):
    """What a page says of tail calls, and besides requests of all else."""
    found = read(text)
    assert sum(count for key, count in found.items() if key[0] == "requests") == 1
    return {key: count for key, count in found.items() if key[0] != "requests"}


CALL = ("fraud", "m", "tail")


@pytest.mark.parametrize(
    ("status", "flags", "attempts", "expected"),
    [
        (200, "-", "1", {("calls", *CALL, "2xx"): 1}),
        (404, "-", "1", {("calls", *CALL, "4xx"): 1}),
        (500, "URX", "3", {("calls", *CALL, "5xx"): 1, ("call_retries", *CALL): 2}),
        (502, "URX,UF", "2", {("calls", *CALL, "connect"): 1, ("call_retries", *CALL): 1}),
        (503, "UF", "1", {("calls", *CALL, "connect"): 1}),
        (503, "NR", "0", {("calls", *CALL, "connect"): 1}),
        (502, "UC", "1", {("calls", *CALL, "reset"): 1}),
        (200, "UC", "1", {("calls", *CALL, "reset"): 1}),
        (504, "UT", "1", {("calls", *CALL, "timeout"): 1, ("deadlines", "fraud", "envoy"): 1}),
        (200, "SI", "1", {("calls", *CALL, "timeout"): 1}),
        (
            429,
            "UO",
            "1",
            {("calls", *CALL, "overloaded"): 1, ("shed", *CALL, "circuit_breaker"): 1},
        ),
        (0, "DC", "1", {("calls", *CALL, "cancelled"): 1}),
        (200, "DC", "1", {("calls", *CALL, "cancelled"): 1}),
        (0, "DC,UC", "1", {("calls", *CALL, "cancelled"): 1}),
        (0, "-", "1", {("calls", *CALL, "cancelled"): 1}),
        (0, "DC", "0", {}),
        (403, "-", "0", {}),
        (200, "-", "-", {}),
        (200, "XYZ", "1", {("calls", *CALL, "2xx"): 1}),
    ],
)
def test_how_a_tail_call_ended(status, flags, attempts, expected):
    """By Envoy's flags, else by its status; without an attempt there was no call."""
    assert calls(requests("fraud/m", status, flags, attempts)) == expected


@pytest.mark.parametrize(
    ("route", "status", "flags", "attempts", "expected"),
    [
        ("open", 200, "-", "1", {("fail_open", "open"): 1, ("calls", "open", "m", "tail", "2xx"): 1}),
        ("open", 0, "DC", "1", {("fail_open", "open"): 1, ("calls", "open", "m", "tail", "cancelled"): 1}),
        ("open", 101, "-", "1", {("calls", "open", "m", "tail", "1xx"): 1}),
        ("open", 200, "-", "0", {}),
        ("open", 504, "-", "0", {}),
        ("closed", 503, "NC", "0", {}),
        ("closed", 503, "NC", "1", {}),
        ("no_graph", 404, "-", "0", {}),
        ("-", 400, "DPE", "0", {}),
    ],
)
def test_requests_without_a_tail_call(route, status, flags, attempts, expected):
    """A graph opened where Envoy sent a request on by its first route; else there was no call."""
    text = requests(route, status, flags, attempts)
    assert calls(text) == expected
    graph = "-" if route in {"-", "no_graph"} else route
    assert read(text)["requests", graph, str(status)] == 1


def test_many_lines_of_one_key():
    """Flags and attempts that come to the same are added up."""
    text = "".join(
        requests("fraud/m", 200, flags, attempts, "5") for flags, attempts in (("-", "1"), ("-", "2"), ("XX", "1"))
    )
    assert read(text) == {
        ("requests", "fraud", "200"): 15,
        ("calls", *CALL, "2xx"): 15,
        ("call_retries", *CALL): 5,
    }


def test_classes_of_durations():
    """Each is by itself, as workers have them, and comes out of /metrics as Envoy had it."""
    totals = [0, 0, 3, 3, 4, *[4] * 11, 6]
    found = read(times("fraud/m", totals, "1.2345e+06"))
    each = {key[-1]: count for key, count in found.items() if key[0] == "call_times" and count}
    assert each == {"2": 3, "4": 1, str(len(CALL_SECONDS)): 2}
    assert found["call_times_sum_us", *CALL] == 1_234_500_000
    families = {family.name: family for family in text_string_to_metric_families(exposition(found)[0].decode())}
    samples = families["extproc_call_duration_seconds"].samples
    assert [sample.value for sample in samples if sample.name.endswith("_bucket")] == totals
    assert {sample.value for sample in samples if sample.name.endswith("_count")} == {6}


def test_durations_of_nobodys_calls():
    """A route that makes no call has none, and a graph's first route calls one model after another."""
    totals = [1] * 17
    assert not read(times("closed", totals, 1) + times("no_graph", totals, 1) + times("open", totals, 1))


def test_other_bounds():
    """Classes that are not ours are passed over: those that are ours hold all below them."""
    bounds = ["1", "2", *BOUNDS[1:]]
    found = read(times("fraud/m", [1, 2, *[3] * 16], 9, bounds))
    assert +found == {("call_times", *CALL, "0"): 1, ("call_times", *CALL, "1"): 2, ("call_times_sum_us", *CALL): 9000}


def test_statistics_of_others():
    """Are passed over."""
    text = '# TYPE envoy_cluster_upstream_rq counter\nenvoy_cluster_upstream_rq{a="b"} 7\nenvoy_up 1\n'
    assert read(text + requests("fraud/m", 200)) == read(requests("fraud/m", 200))


# --- what is no such page


STRANGE = [
    "envoy_extproc_requests 1\n",
    'envoy_extproc_requests{route="a"} 1\n',
    requests("a/b", 200, count="NaN"),
    requests("a/b", 200, count="+Inf"),
    requests("a/b", 200, count="x"),
    requests("a/b", 200).replace("}", ""),
    "<html>no</html>",
    "envoy_vhost_route_upstream_rq_time_bucket 1\n",
    times("a/b", ["x", *[1] * 16], 1),
    times("a/b", [1] * 17, "NaN"),
    times("a/b", [1] * 17, 1).replace('le="5"', 'le="five"'),
    times("a/b", [1] * 17, 1).replace('le="5"', 'lower="5"'),
]


class Says:
    """An Envoy that answers so."""

    def __init__(self, answer):
        self.answer = answer
        self.asked: list[str] = []

    async def get(self, path):
        """Answer."""
        self.asked.append(path)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def counted(answer):
    """What is counted where Envoy answers so."""
    return await envoy_counts(cast("Any", Says(answer)))


@pytest.mark.parametrize("text", STRANGE)
async def test_a_page_that_cannot_be_read(text):
    """Is as good as none: Envoy counts as away, and nothing is raised into /metrics."""
    with pytest.raises(UNREADABLE):
        read(text)
    assert await counted(text) is None


@pytest.mark.parametrize("error", [aiohttp.ClientConnectionError(), OSError(), TimeoutError()])
async def test_an_envoy_that_is_away(error):
    """Says nothing."""
    assert await counted(error) is None


async def test_an_envoy_that_hangs(monkeypatch):
    """Is waited for as long as Prometheus waits for us, and no longer."""

    class Hangs:
        async def get(self, _path):
            await asyncio.Event().wait()

    monkeypatch.setattr(envoy_counts_module, "PATIENCE", 0.01)
    assert await envoy_counts(cast("Any", Hangs())) is None


async def test_what_is_asked_for():
    """What Envoy counts of requests, and its durations: of a page, what is read of it."""
    envoy = Says(REAL)
    assert await envoy_counts(cast("Any", envoy)) == read(REAL)
    assert envoy.asked == [
        r"/stats/prometheus?filter=^(extproc%5C.requests|vhost%5C.ingress%5C..*%5C.upstream_rq_time$)"
    ]


PIECES = st.sampled_from(
    [
        "envoy_extproc_requests", "envoy_vhost_route_upstream_rq_time", "_bucket", "_sum", "{", "}", 'route="a/b"',
        'model="b"', 'status="200"', 'flags="-"', 'attempts="1"', 'attempts="²"', 'envoy_route="a/b"', 'le="5"', 'le="nan"', 'le="-Inf"',
        ",", " ", "\n", "1", "NaN", "1e400", "-1", "# TYPE envoy_extproc_requests counter", "# EOF", '"', "\\", "=", "#",
        "\x00", "é",
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=14).map("".join))
@example(requests("a/b", "²", attempts="²"))
@example(requests("a/b", "", "", ""))
def test_any_page(text):
    """Is read, or is not: nothing else is raised; what is counted are whole numbers."""
    try:
        found = read(text)
    except UNREADABLE:
        return
    assert all(isinstance(count, int) and math.isfinite(count) for count in found.values())
