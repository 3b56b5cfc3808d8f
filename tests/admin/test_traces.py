"""Traces on the admin address, over HTTP."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from extproc.admin.app import AdminServer
from extproc.admin.challenges import NoChallenges
from extproc.admin.traces import NO_TRACES, Traces
from extproc.telemetry.kept import TRACE_LEFT, KeptTraces, Limits
from tests.admin.watched import TOKEN, Address, Observed, told
from tests.telemetry.spans import BEGAN, ENVOY, event, span, trace_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INGRESS = "http://127.0.0.1:10000"


@contextlib.asynccontextmanager
async def listening(traces: Traces, host: str = "127.0.0.1") -> AsyncIterator[Address]:
    """Run the admin address."""
    server = AdminServer(Observed(NoChallenges()), host, 0, TOKEN, traces)
    await server.start()
    try:
        yield Address(int(server.address.rpartition(":")[2]))
    finally:
        await server.stop()


async def test_the_list():
    """A line for each trace, the newest first, and where a request can be sent."""
    kept = KeptTraces(Limits(traces=2))
    for one in (
        span(1, trace=1),
        span(2, 0xC, "POST fraud", took=2.5, trace=2, service=ENVOY),
        span(3, 2, "graph fraud", trace=2, status="error"),
        span(4, name="GET x", start=7, trace=3),
    ):
        kept.add(one, 100)
    async with listening(Traces(kept, INGRESS)) as address:
        answer = await address.get("/traces")
    assert answer.header("cache-control") == "no-store"
    line = {"service": "unknown_service", "duration": 1_000_000, "spans": 1, "error": False}
    assert answer.json() == {
        "ingress": INGRESS,
        "traces": [
            {**line, "traceId": trace_id(3), "name": "GET x", "start": BEGAN + 7_000_000},
            {
                "traceId": trace_id(2),
                "name": "POST fraud",
                "service": ENVOY,
                "start": BEGAN,
                "duration": 2_500_000,
                "spans": 2,
                "error": True,
            },
        ],
        "received": 4,
        "dropped": {TRACE_LEFT: 1},
    }


async def test_a_trace():
    """All its spans, as they were told; whatever a value is, it is JSON."""
    kept = KeptTraces()
    spans = [
        span(1, 0xC, "POST fraud", service=ENVOY, attributes={"http.status_code": "200"}),
        span(2, 1, "graph fraud", events=(event("decision", 0.5, node="root", branch="canary"),)),
        span(3, 1, "\x1b[31m<script>", attributes={"x": float("nan"), "y": [1, None, {"a": 2**63}]}),
    ]
    for one in spans:
        kept.add(one, 100)
    async with listening(Traces(kept, INGRESS)) as address:
        answer = await address.get(f"/traces/{trace_id(1)}", accept="text/html")
    assert answer.header("content-type") == "application/json"
    found = answer.json()
    assert found["traceId"] == trace_id(1)
    *whole, last = found["spans"]
    assert whole == [one.data() for one in spans[:2]]
    assert (last["name"], last["attributes"]) == ("\x1b[31m<script>", {"x": None, "y": [1, None, {"a": 2**63}]})


async def test_a_trace_that_is_not_there():
    """It may be on its way: whoever asks again gets it, even when many others come before."""
    kept = KeptTraces(Limits(traces=2))
    async with listening(Traces(kept, INGRESS)) as address:
        for path in (f"/traces/{trace_id(1)}", f"/traces/{'x' * 5000}", "/traces/%3Cscript%3E"):
            status, code, _ = told(await address.get(path))
            assert (status, code) == (404, "not_found")
        for number in (1, *range(10, 20)):
            kept.add(span(number, trace=number), 100)
        assert (await address.get(f"/traces/{trace_id(1)}")).status == 200
    assert [len(asked) for asked in kept._asked] == [32]


async def test_no_traces_are_kept():
    """That is told with what to do, and where spans go instead; without a system that is asked for its ingress too."""
    for traces in (NO_TRACES, Traces(None, INGRESS, "jaeger:4317")):
        async with listening(traces) as address:
            for path in ("/traces", f"/traces/{trace_id(1)}"):
                answer = await address.get(path)
                assert answer.status == 404
                assert answer.json() == {
                    "error": {
                        "code": "no_traces",
                        "message": "no traces are kept here: start it with extproc up --traces",
                    },
                    "ingress": traces.ingress,
                    "collector": traces.collector,
                }


async def test_nothing_can_be_changed_there():
    """Traces are read, nothing else."""
    async with listening(Traces(KeptTraces())) as address:
        for path in ("/traces", f"/traces/{trace_id(1)}"):
            assert (await address.post(path, {}, ("authorization", f"Bearer {TOKEN}"))).status == 405


def test_who_keeps_no_traces_imports_nothing_for_it():
    """The admin address alone has neither gRPC nor OpenTelemetry in memory."""
    program = "import sys, extproc.admin.app, extproc.admin.traces; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert not {"grpc", "opentelemetry", "extproc.telemetry.receiver"} & set(done.stdout.split())
