"""Spans made by hand: ids are small numbers, times milliseconds."""

from __future__ import annotations

from typing import Any

from extproc.telemetry.span import Event, Span

ENVOY = "extproc-envoy"
OURS = "extproc"
BEGAN = 1_700_000_000_000_000_000  # ns: when every trace begins
CLIENT = 0xC  # the span of a request's sender, which nobody sends


def trace_id(number: int) -> str:
    """A trace's id."""
    return f"{number:032x}"


def span_id(number: int) -> str:
    """A span's id; 0 is none."""
    return f"{number:016x}" if number else ""


def at(milliseconds: float) -> int:
    """A moment of a trace."""
    return BEGAN + round(milliseconds * 1e6)


def span(
    number: int, parent: int = 0, name: str = "", start: float = 0.0, took: float = 1.0, *, trace: int = 1, **more: Any
) -> Span:
    """A span."""
    return Span(
        trace_id=trace_id(trace),
        span_id=span_id(number),
        parent_id=span_id(parent),
        name=name or f"span {number}",
        start=at(start),
        end=at(start + took),
        **more,
    )


def event(name: str, milliseconds: float = 0.0, **attributes: Any) -> Event:
    """An event; its attributes are named ``extproc.*``."""
    return Event(name, at(milliseconds), {f"extproc.{key}": value for key, value in attributes.items()})
