"""Traces of a running system as trees of lines, to be compared with what is expected."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.envoy.running import eventually
from tests.kit import client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.envoy.running import Running
    from tests.kit.client import Response

EXT_PROC = "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"
SHOWN = ("extproc.outcome", "error.type")


@dataclass
class Sent:
    """A request with a span of its own as the client's, which is exported nowhere."""

    sampled: bool = True
    trace: str = field(default_factory=lambda: secrets.token_hex(16))
    span: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def traceparent(self) -> str:
        """What the client sends."""
        return f"00-{self.trace}-{self.span}-{int(self.sampled):02x}"

    async def ask(self, system: Running, path: str, headers: Sequence[tuple[str, str]] = (), **others: Any) -> Response:
        """Post a body."""
        others = {"method": "POST", "json": {"k": 1}, **others}
        told = [("traceparent", self.traceparent), *headers]
        return await client.request(system.ingress_port, target=path, headers=told, **others)


def spans_of(system: Running, trace: str) -> list[dict[str, Any]]:
    """What came of a trace so far."""
    status, _, text = system.admin(f"/traces/{trace}")
    found: list[dict[str, Any]] = json.loads(text)["spans"] if status == 200 else []
    return found


def tree(spans: list[dict[str, Any]], root: str) -> list[str]:
    """The spans as indented lines below the client's, children by name; those without a parent come last, as ``?``."""
    assert len({span["spanId"] for span in spans}) == len(spans), "a span came twice"
    known = {span["spanId"] for span in spans}
    orphans = [span for span in spans if span["parentId"] not in known and span["parentId"] != root]
    return [*_below(spans, root, 0), *(f"? {_line(span)}" for span in orphans)]


def _below(spans: list[dict[str, Any]], parent: str, depth: int) -> Iterator[str]:
    children = sorted(
        (span for span in spans if span["parentId"] == parent), key=lambda span: (_line(span), span["start"])
    )
    for span in children:
        yield "  " * depth + _line(span)
        yield from _below(spans, span["spanId"], depth + 1)


def _line(span: dict[str, Any]) -> str:
    who = "envoy" if span["service"] == "extproc-envoy" else span["service"]
    name = "ext_proc" if span["name"] == EXT_PROC else span["name"]
    words = [f"{who}: {name}".strip(), *(str(span["attributes"][key]) for key in SHOWN if key in span["attributes"])]
    words += ["ERROR"] if span["status"] == "error" else []
    words += ["<- " + ",".join(event["name"] for event in span["events"])] if span["events"] else []
    return " ".join(words).strip()


async def shows(system: Running, sent: Sent, expected: str) -> list[dict[str, Any]]:
    """Wait until a trace is the expected tree, and return its spans."""
    lines = [line for line in expected.splitlines() if line.strip()]
    indent = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    wanted = [line[indent:] for line in lines]
    try:
        await eventually(lambda: tree(spans_of(system, sent.trace), sent.span) == wanted, within=10)
    except TimeoutError:
        raise AssertionError("the trace is\n" + "\n".join(tree(spans_of(system, sent.trace), sent.span))) from None
    return spans_of(system, sent.trace)


def named(spans: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one span of that name."""
    (found,) = [span for span in spans if span["name"] == name]
    return found
