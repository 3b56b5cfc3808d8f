"""Exchanges that are traced without Envoy and without a collector, and their spans."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from extproc.engine.pairing import UNCHALLENGED
from extproc.engine.seams import Seams
from extproc.engine.traceparent import Traceparent
from extproc.exchange.exchange import Exchange
from extproc.telemetry.counters import Counters
from extproc.telemetry.failures import FailureLog
from extproc.telemetry.tracing import Traces
from extproc.telemetry.watching import Watching
from tests.engine.deciding import Scripted, generations
from tests.engine.scripted import ScriptedCaller
from tests.engine.virtual import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from extproc.engine.calling import Caller
    from extproc.engine.pairing import Challenging
    from extproc.engine.seams import Recorder
    from extproc.plan.plan import Plan
    from tests.engine.scripted import Line

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


class Spans(SpanProcessor):
    """The spans that have ended; ``open`` are those that have not."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=ParentBased(sampler), shutdown_on_exit=False)
        self.provider.add_span_processor(self)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.open: list[str] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - the processor's own signature
        """Note it."""
        self.open.append(span.name)

    def on_end(self, span: ReadableSpan) -> None:
        """Note it; one that has ended already is not there."""
        self.open.remove(span.name)

    @property
    def ended(self) -> Sequence[ReadableSpan]:
        """The spans that have ended, in that order."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> Any:
        """The one span of that name."""
        (found,) = [span for span in self.ended if span.name == name]
        return found

    def tree(self) -> list[str]:
        """The names, each behind its parent's; every parent but the client's must be there."""
        names = {span.context.span_id: span.name for span in self.ended if span.context}
        return sorted(
            f"{names.get(span.parent.span_id, 'client') if span.parent else 'nobody'} > {span.name}"
            for span in self.ended
        )

    def traces(self, now: Any) -> Traces:
        """What begins them."""
        return Traces(self.provider.get_tracer("tests"), now)


def talk(
    plan: Plan,
    messages: Iterable[bytes],
    spans: Spans,
    script: Mapping[str, Line | Sequence[Line]] | None = None,
    *,
    traceparent: str | None = SAMPLED,
    caller: Caller | None = None,
    recorder: Recorder | None = None,
    challenging: Challenging = UNCHALLENGED,
    leave_after: float | None = None,
    chance: Iterable[float] = (),
    graph: str | None = "",
) -> list[Any]:
    """Feed messages to an exchange and return replies, exceptions among them; ``leave_after`` so many ms Envoy leaves."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        seams = Seams(
            Scripted(chance), recorder or Counters(), caller or ScriptedCaller(script or {}), loop.time, challenging
        )
        told = None if traceparent is None else Traceparent(traceparent)
        watching = Watching(Counters(), FailureLog(), spans.traces(loop.time))
        exchange = Exchange(generations([plan]), plan.id if graph == "" else graph, seams, watching, told)
        replies: list[Any] = []
        for message in messages:
            try:
                reply = exchange.feed(message)
                replies.append(reply if isinstance(reply, bytes) else await _awaited(reply, leave_after))
            except Exception as error:  # noqa: BLE001 - it is what the test looks at
                replies.append(error)
        exchange.gone()
        exchange.gone()
        return replies

    return run(main())


async def _awaited(reply: Any, leave_after: float | None) -> bytes | None:
    async def waiting() -> bytes:
        found: bytes = await reply
        return found

    task = asyncio.create_task(waiting())
    if leave_after is None:
        return await task
    await asyncio.sleep(leave_after / 1000)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return None
