"""What ``extproc trace`` prints: for people, or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from rich.text import Text

from extproc.commands.trace_facts import shown
from extproc.commands.trace_list import listed
from extproc.commands.trace_tree import TraceTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from extproc.commands.trace_nesting import Nesting
    from extproc.commands.trace_request import Response
    from extproc.commands.trace_system import Overview
    from extproc.telemetry.span import Span

FIRST_ERROR: Final = 400  # status from which on the answer's body says what is wrong
EXCERPT: Final = 300  # characters of it
GRAPH, ROUTE = "x-extproc-graph", "x-extproc-route"


class Teller(Protocol):
    """Prints what is found."""

    def overview(self, overview: Overview) -> None:
        """Print which traces are kept."""

    def answered(self, response: Response) -> None:
        """The request was answered."""

    def trace(self, trace_id: str, spans: Sequence[Span], nesting: Nesting) -> None:
        """Print a trace, of which nothing may have come."""


class PeopleTeller:
    """Prints for people."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def overview(self, overview: Overview) -> None:
        """Print a line for each trace."""
        traces = overview.document["traces"]
        self._console.print(listed(traces) if traces else "No trace is kept yet: send a request.")

    def answered(self, response: Response) -> None:
        """Print the status, where the request went, and of an error what it says."""
        bad = response.status >= FIRST_ERROR
        status = Text(f"{response.status} {shown(response.reason)}".strip(), style="bold red" if bad else "bold green")
        took = f"  in {response.seconds * 1000:,.2f} ms, {response.size:,} bytes after {response.ended * 1000:,.2f} ms"
        self._line(Text.assemble(status, took))
        for name in (GRAPH, ROUTE):
            if said := response.header(name):
                self._line(Text.assemble((f"{name}: ", "dim"), shown(said, EXCERPT)))
        if bad and response.start:
            self._line(Text(shown(response.start.decode(errors="replace").strip(), EXCERPT)))

    def trace(self, trace_id: str, spans: Sequence[Span], nesting: Nesting) -> None:
        """Print the tree."""
        self._line(Text.assemble(("trace ", "dim"), trace_id, (f"  {len(spans):,} spans", "dim")))
        if spans:
            self._console.print(TraceTree(nesting))

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class JsonTeller:
    """Prints one JSON document."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] | None = None

    def overview(self, overview: Overview) -> None:
        """Print it as the admin address says it."""
        _print(overview.document)

    def answered(self, response: Response) -> None:
        """Note the answer, to be printed with the trace."""
        self._answer = {
            "status": response.status,
            "graph": response.header(GRAPH) or None,
            "route": response.header(ROUTE) or None,
            "bytes": response.size,
            "headersMs": response.seconds * 1000,
            "endMs": response.ended * 1000,
        }

    def trace(self, trace_id: str, spans: Sequence[Span], nesting: Nesting) -> None:
        """Print answer, spans and tree."""
        answer = {} if self._answer is None else {"answer": self._answer}
        _print({"traceId": trace_id, **answer, "spans": [span.data() for span in spans], "tree": nesting.data()})


def _print(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2))
