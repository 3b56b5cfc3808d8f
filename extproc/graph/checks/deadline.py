"""The graph's deadline: Envoy has to wait for the processor longer than that, and waits for an hour at the most."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extproc.graph.document import Spec
    from extproc.graph.report import Report

PATH = ("spec", "timeout")
MAX_DEADLINE = 59 * 60.0
"""Seconds. Envoy's ext_proc ``message_timeout`` is below an hour; a stream that has begun may last longer."""


def check(spec: Spec, report: Report) -> None:
    """Refuse a deadline that Envoy would not wait for."""
    if report.sound(PATH) and spec.timeout > MAX_DEADLINE:
        report.error(
            PATH, "a graph has at most 59m to answer (MAX_DEADLINE): Envoy waits for a processor up to an hour"
        )
