"""Spans on their way to the collector: in a thread of their own, bounded, every one that is lost counted by reason."""

from __future__ import annotations

import logging
import os
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased

from extproc.otel import unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import Tracer

    from extproc.otel import Collector, Sampler, Tracing

DISABLED_VARIABLE = "OTEL_SDK_DISABLED"
QUEUE_VARIABLE, BATCH_VARIABLE = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
DEFAULT_QUEUE = 2048  # OpenTelemetry's own: a request of three calls makes four spans
BATCH = 512  # spans of one export, as OpenTelemetry's own
FLUSH = 1.0  # seconds at the end for what is queued: a collector that is down must not hold a stop up
ABORT = 0.5  # seconds more for an export under way to notice that it is over

log = logging.getLogger(__name__)


class Export:
    """Spans' way out of this process.

    ``exported``, ``failed`` (the collector did not take them) and ``dropped`` (too many waited) count spans.
    """

    def __init__(self, said: Tracing, exporter: SpanExporter | None = None) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a line for every batch that fails; ours is one
        for name in unusable(os.environ):
            del os.environ[name]  # the SDK would not start; it was told when the environment was read
        os.environ.pop(DISABLED_VARIABLE, None)  # spans that are kept here are made all the same
        self._exporter = _Counting(exporter or _exporter(said.collector), str(said.collector))
        self._bounded = _Bounded(self._exporter, said.flush)
        self.provider = TracerProvider(sampler=_sampler(said.sampler), resource=_resource(said), shutdown_on_exit=False)
        self.provider.add_span_processor(self._bounded)

    def __repr__(self) -> str:
        """Say what was counted."""
        return f"<Export exported={self.exported} failed={self.failed} dropped={self.dropped}>"

    @property
    def tracer(self) -> Tracer:
        """What begins spans."""
        return self.provider.get_tracer("extproc", version("extproc"))

    @property
    def exported(self) -> int:
        """Spans that the collector took."""
        return self._exporter.exported

    @property
    def failed(self) -> int:
        """Spans that it did not take."""
        return self._exporter.failed

    @property
    def dropped(self) -> int:
        """Spans that were too many to wait."""
        return self._bounded.dropped

    def close(self) -> None:
        """Send what is queued; blocks for FLUSH and ABORT seconds at most, whatever the collector does.

        What was not sent by then has failed.
        """
        closing = _begun(self.provider.shutdown)
        closing.join(FLUSH)
        if closing.is_alive():
            _begun(self._exporter.shutdown)
            closing.join(ABORT)
        self._bounded.give_up()


class _Counting(SpanExporter):
    """Counts what another exporter says, and tells once when it begins to fail, and once when it is over."""

    def __init__(self, other: SpanExporter, place: str) -> None:
        self._other = other
        self._place = place
        self.exported = 0
        self.failed = 0
        self._failing = False
        self._over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, in the thread of the queue."""
        try:
            result = self._other.export(spans)
        except Exception:  # noqa: BLE001 - whatever an exporter's library raises: a span is lost, and counted
            result = SpanExportResult.FAILURE
        if self._over:
            return result  # it was too late, and they are counted
        failing = result is not SpanExportResult.SUCCESS
        if failing:
            self.failed += len(spans)
        else:
            self.exported += len(spans)
        if failing != self._failing:
            self._failing = failing
            if failing:
                log.warning(
                    "spans cannot be exported to %s; those lost are counted in extproc_spans_total", self._place
                )
            else:
                log.warning("spans are exported to %s again", self._place)
        return result

    def shutdown(self) -> None:
        """Give up what is under way."""
        self._other.shutdown()

    def give_up(self, taken: int) -> None:
        """Count what was ``taken`` and did not come through by now as failed."""
        self._over = True
        self.failed = taken - self.exported


class _Bounded(SpanProcessor):
    """Hands on as many spans as may wait; the SDK's own queue forgets the oldest, and says so in a log alone."""

    def __init__(self, exporter: _Counting, flush: float | None) -> None:
        self._exporter = exporter
        self._most = _number(QUEUE_VARIABLE, DEFAULT_QUEUE)
        self._queue = BatchSpanProcessor(
            exporter,
            max_queue_size=self._most,
            max_export_batch_size=min(self._most, _number(BATCH_VARIABLE, BATCH)),
            schedule_delay_millis=None if flush is None else flush * 1000,
        )
        self._taken = 0
        self.dropped = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, unless there are too many."""
        if self._taken - self._exporter.exported - self._exporter.failed >= self._most:
            self.dropped += 1
            return
        self._taken += 1
        self._queue.on_end(span)

    def give_up(self) -> None:
        """Wait no longer for what is on its way; what comes from now on is dropped."""
        self._most = 0
        self._exporter.give_up(self._taken)

    def shutdown(self) -> None:
        """Send what is queued."""
        self._queue.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued, now."""
        return self._queue.force_flush(timeout_millis)


def _begun(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _number(variable: str, default: int) -> int:
    return int(os.environ.get(variable, "").strip() or default)


def _resource(said: Tracing) -> Resource:
    return Resource.create(
        {
            **dict(said.attributes),
            "service.name": said.service,
            "service.version": version("extproc"),
            "service.instance.id": f"{os.uname().nodename}/{os.getpid()}",
        }
    )


def _sampler(said: Sampler) -> ParentBased:
    """Follow Envoy's decision always: it was the first to decide, by the same sampler."""
    return ParentBased(ALWAYS_ON if said.ratio >= 1 else TraceIdRatioBased(said.ratio))


def _exporter(collector: Collector) -> SpanExporter:
    """Return the SDK's exporter, which reads all else from the environment by itself.

    Headers and timeout were read already: it would stumble over what is passed over.
    """
    headers = dict(collector.headers)
    if collector.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as ByGrpc

        return ByGrpc(
            endpoint=str(collector),
            insecure=not collector.secure,
            headers=headers,
            timeout=collector.timeout,
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ByHttp

    scheme = "https" if collector.secure else "http"
    return ByHttp(endpoint=f"{scheme}://{collector}{collector.target}", headers=headers, timeout=collector.timeout)
