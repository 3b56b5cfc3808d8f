"""The newest traces on the admin address, as JSON; whoever may look at the address may read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extproc.admin.challenges import json_response

if TYPE_CHECKING:
    from aiohttp import web

    from extproc.telemetry.kept import KeptTraces, Summary

TRACE_DIGITS = 32  # of a trace's id, hexadecimal
NOT_KEPT = "no traces are kept here: start it with extproc up --traces"


@dataclass(frozen=True, slots=True)
class Traces:
    """What is known about traces. ``kept`` is None where none are.

    ``ingress`` is where requests are taken, as a URL, where that is known; ``collector`` is where spans go instead, in
    words for people.
    """

    kept: KeptTraces | None = None
    ingress: str | None = None
    collector: str | None = None


NO_TRACES = Traces()


class TracePages:
    """The pages."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/traces", self._all)
        app.router.add_get("/traces/{trace}", self._one)

    async def _all(self, _request: web.Request) -> web.Response:
        kept = self._traces.kept
        if kept is None:
            return self._not_kept()
        return json_response(
            {
                "ingress": self._traces.ingress,
                "traces": [_line(one) for one in kept.newest()],
                "received": kept.received,
                "dropped": dict(kept.dropped),
            }
        )

    async def _one(self, request: web.Request) -> web.Response:
        kept = self._traces.kept
        if kept is None:
            return self._not_kept()
        trace = request.match_info["trace"]
        spans = kept.spans(trace) if len(trace) == TRACE_DIGITS else ()
        if not spans:
            error = {"code": "not_found", "message": "there is no such trace, or not yet, or not any more"}
            return json_response({"error": error}, 404)
        return json_response({"traceId": trace, "spans": [span.data() for span in spans]})

    def _not_kept(self) -> web.Response:
        """Say so; and where a request can be sent, and its spans be found, all the same."""
        error = {"code": "no_traces", "message": NOT_KEPT}
        told = {"error": error, "ingress": self._traces.ingress, "collector": self._traces.collector}
        return json_response(told, 404)


def _line(one: Summary) -> dict[str, Any]:
    """Return a trace in a line; ``start`` and ``duration`` in nanoseconds."""
    return {
        "traceId": one.trace_id,
        "name": one.name,
        "service": one.service,
        "start": one.start,
        "duration": one.duration,
        "spans": one.spans,
        "error": one.error,
    }
