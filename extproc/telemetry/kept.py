"""The newest traces, kept in memory for whoever looks at them; what there is no room for is counted."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.telemetry.span import Span

TRACE_FULL, TRACE_LEFT, INVALID = "trace_full", "trace_left", "invalid"
"""Why a span is not kept: its trace has too many, its trace made room for a newer one, it has no valid ids."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept."""

    traces: int = 200  # a screen or two of `extproc trace --list`; the ring is for looking at what was just sent
    spans: int = 1000  # of one trace: a request makes some tens; a client that sends one id for all makes more
    size: int = (
        16 * 1024 * 1024
    )  # bytes of all spans as they were sent: 200 traces take 2 MiB; in memory it is a few times that
    asked: int = 16  # traces that people wait for at once; they stay while others go


@dataclass(frozen=True, slots=True)
class Summary:
    """A trace in a line: its outermost span's name, service, start and duration (ns), and how many spans there are."""

    trace_id: str
    name: str
    service: str
    start: int
    duration: int
    spans: int
    error: bool


@dataclass(slots=True)
class _Trace:
    spans: dict[str, tuple[Span, int]] = field(default_factory=dict)  # by id; with their size
    size: int = 0


class KeptTraces:
    """A ring of traces; ``dropped`` counts the spans that are not kept (any more), by reason."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.received = 0
        self.dropped: Counter[str] = Counter()
        self._traces: dict[str, _Trace] = {}  # the oldest first
        self._asked: deque[str] = deque(maxlen=self.limits.asked)
        self._size = 0

    def __repr__(self) -> str:
        """Say how many there are."""
        return f"<KeptTraces {len(self._traces)} traces {self._size} bytes dropped={dict(self.dropped)}>"

    def add(self, span: Span, size: int) -> bool:
        """Keep a span of so many bytes; False where it is not kept. One that comes again takes its own place."""
        self.received += 1
        trace = self._traces.get(span.trace_id) or _Trace()
        again = trace.spans.get(span.span_id)
        grown = size - (again[1] if again else 0)
        full = again is None and len(trace.spans) >= self.limits.spans
        if full or trace.size + grown > self.limits.size:
            self.dropped[TRACE_FULL] += 1
            return False
        self._traces.setdefault(span.trace_id, trace)
        trace.spans[span.span_id] = span, size
        trace.size += grown
        self._size += grown
        while len(self._traces) > self.limits.traces or self._size > self.limits.size:
            self._leave(span.trace_id)
        return True

    def refuse(self) -> None:
        """Count a span without valid ids."""
        self.received += 1
        self.dropped[INVALID] += 1

    def spans(self, trace_id: str) -> Sequence[Span]:
        """Return what has come of a trace, in the order in which it came.

        Who asks is interested: the trace, whether it is there yet or not, stays when others make room.
        """
        if trace_id in self._asked:
            self._asked.remove(trace_id)
        self._asked.append(trace_id)
        trace = self._traces.get(trace_id)
        return [] if trace is None else [span for span, _ in trace.spans.values()]

    def newest(self) -> Iterator[Summary]:
        """Yield every trace in a line, the newest first."""
        for trace_id, trace in reversed(self._traces.items()):
            yield _summary(trace_id, [span for span, _ in trace.spans.values()])

    def _leave(self, newest: str) -> None:
        """Let the oldest trace go that nobody asked for; where all were asked for, the oldest; never the one that grows."""
        others = (trace_id for trace_id in self._traces if trace_id not in self._asked and trace_id != newest)
        asked = (trace_id for trace_id in self._traces if trace_id != newest)
        trace = self._traces.pop(next(chain(others, asked)))
        self._size -= trace.size
        self.dropped[TRACE_LEFT] += len(trace.spans)


def _summary(trace_id: str, spans: Sequence[Span]) -> Summary:
    there = {span.span_id for span in spans}
    tops = [span for span in spans if span.parent_id not in there] or spans  # spans in a circle have no top
    top = min(tops, key=lambda span: (span.start, span.span_id))
    failed = any(span.failed for span in spans)
    return Summary(trace_id, top.name, top.service, top.start, top.duration, len(spans), failed)
