"""Traces as the processor and Envoy make them, built by hand."""

from __future__ import annotations

from extproc.telemetry.span import Link, Span
from tests.telemetry.spans import CLIENT, ENVOY, OURS, event, span, span_id, trace_id

EXT_PROC = "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"


def envoy(number: int, parent: int, name: str, start: float, took: float, status: object = "200", **more) -> Span:  # noqa: PLR0917 - as one reads it
    """A span of Envoy's; ``flags`` say why there was no answer."""
    flags = more.pop("flags", "-")
    kind = more.pop("kind", "client")
    said = {"http.status_code": status, "response_flags": flags, "peer.address": "127.0.0.1:1"}
    failed = "error" if str(status) >= "500" else "unset"
    return span(number, parent, name, start, took, service=ENVOY, kind=kind, attributes=said, status=failed, **more)


def call(number: int, parent: int, model: str, start: float, took: float, outcome: int | str, **said) -> Span:  # noqa: PLR0917 - as one reads it
    """A sub-call's span: ``outcome`` is a status, or what came in place of one."""
    events = said.pop("events", ())
    attributes = {"extproc.model": model, "extproc.node": "root", "extproc.deadline.left": 0.3}
    attributes |= {f"extproc.{name}": value for name, value in said.items()}
    failed = outcome not in {200, "cancelled"}
    if isinstance(outcome, int):
        attributes |= {"http.response.status_code": outcome, "extproc.outcome": f"{outcome // 100}xx"}
    else:
        attributes["extproc.outcome"] = outcome
    return span(
        number,
        parent,
        f"call {model}",
        start,
        took,
        service=OURS,
        kind="client",
        attributes=attributes | ({"error.type": str(outcome)} if failed else {}),
        events=events,
        status="error" if failed else "unset",
        message=outcome if failed and isinstance(outcome, str) else "",
    )


def graph(number: int, parent: int, name: str, start: float, took: float, **said) -> Span:
    """A run's span."""
    events = said.pop("events", ())
    attributes = {"extproc.graph": name, "extproc.generation": "1a2b3c4d", "extproc.deadline.left": 1.98}
    attributes |= {f"extproc.{key}": value for key, value in said.items() if key != "status"}
    if "status" in said:
        attributes["http.response.status_code"] = said["status"]
    return span(
        number, parent, f"graph {name}", start, took, service=OURS, kind="server", attributes=attributes, events=events
    )


def top(name: str, took: float, status: object = "200", **more) -> list[Span]:
    """Envoy's span of a request, and that of its conversation with the processor."""
    return [
        envoy(1, CLIENT, f"POST {name}", 0, took, status, kind="server", **more),
        span(2, 1, EXT_PROC, 0.25, took - 0.5, service=ENVOY, kind="client", attributes={"http.status_code": "200"}),
    ]


ENSEMBLE = [
    *top("vote", 12),
    graph(3, 2, "vote", 0.5, 11, outcome="answer", route="forest,boosting!connect,logistic", status=200),
    call(4, 3, "forest", 1, 6, 200),
    envoy(5, 4, "POST forest", 1.25, 5.5),
    call(6, 3, "boosting", 1.1, 2, "connect", attempts=2, events=(event("retry", 2, attempt=2),)),
    envoy(7, 6, "POST boosting", 1.2, 0.5, "503", flags="URX,UF"),
    call(8, 3, "logistic", 1.2, 9.8, 200),
    envoy(9, 8, "POST logistic", 1.4, 9.4),
]
HEDGE = [
    *top("slow", 100),
    graph(3, 2, "slow", 1, 98, outcome="answer", route="slow", status=200),
    call(4, 3, "slow", 2, 96, 200, attempts=2, hedged=True, events=(event("hedge", 52, attempt=2),)),
    envoy(5, 4, "POST slow", 3, 95),
    envoy(6, 4, "POST slow", 53, 44, "0", flags="DC"),
]
CHALLENGE = [
    *top("fraud", 5),
    envoy(7, 1, "POST fraud-v1", 2, 2.5),
    graph(3, 2, "fraud", 0.5, 0.25, outcome="tail", model="fraud-v1", route="fraud-v1"),
    span(
        4,
        3,
        "challenger gbm",
        3,
        7,
        service=OURS,
        attributes={"extproc.leg": "challenger", "extproc.challenger": "gbm", "extproc.outcome": "answered"},
        links=(Link(trace_id(1), span_id(3), {"extproc.leg": "champion"}),),
    ),
    call(5, 4, "fraud-v2", 3.5, 6, 200),
    envoy(6, 5, "POST fraud-v2", 4, 5),
]
SPLIT = [
    *top("fraud", 8, "502", flags="UF"),
    graph(
        3,
        2,
        "fraud",
        1,
        0.5,
        outcome="tail",
        model="fraud-v2",
        route="pick=odd,root=canary,fraud-v2",
        events=(
            event("expression_failed", 1.1, node="pick", expression="request.body.x > 1"),
            event("decision", 1.2, node="pick", branch="default"),
            event(
                "decision", 1.3, node="root", branch="canary", expression='request.headers["x-user-id"]', result="a key"
            ),
        ),
    ),
    envoy(4, 1, "POST fraud-v2", 2, 5, "0", flags="UF"),
]
ORPHANS = [
    graph(3, 2, "vote", 0.5, 11, outcome="left"),
    call(4, 3, "forest", 1, 6, "cancelled"),
    envoy(1, CLIENT, "POST vote", 0, 12, "0", flags="DC", kind="server"),
    envoy(9, 8, "POST logistic", 1.4, 9.4),
]
