"""Whether a trace is complete: who ends a span sends it a little later, and nobody says which one is the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.telemetry.span import Span

# Seconds without a new span after which none is expected. Envoy and processors send theirs every 0.2 s at the latest
# where traces are kept, so this is three times in which one did not come.
QUIET = 0.7


class Arrival:
    """Watches a trace come in; ``client`` is the span of the request's sender, which nobody sends."""

    def __init__(self, client: str) -> None:
        self.spans: Sequence[Span] = ()
        self._client = client
        self._changed = 0.0

    def __repr__(self) -> str:
        """Say how many have come."""
        return f"<Arrival {len(self.spans)} spans, missing: {list(self.missing())}>"

    def look(self, spans: Sequence[Span], now: float) -> bool:
        """Take what has come by now, in seconds; tell whether it is all."""
        if len(spans) != len(self.spans):
            self._changed = now
        self.spans = spans
        return not any(self.missing()) and now - self._changed >= QUIET

    def missing(self) -> Iterator[str]:
        """Say in words what is missing."""
        parents = {span.parent_id for span in self.spans}
        if self._client not in parents:
            yield "Envoy's span of the request"
        lost = parents - {span.span_id for span in self.spans} - {self._client, ""}
        if lost:
            yield f"{len(lost)} spans that others are below" if len(lost) > 1 else "a span that others are below"
