"""A span's name as it is carried from process to process (W3C Trace Context, "traceparent header")."""

from __future__ import annotations

_SAMPLED = frozenset("13579bdf")  # the last hexadecimal digit of the flags holds the bit


class Traceparent:
    """A traceparent as it came, well-formed or not; its text is for calls, and for whoever begins a span below it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        """Say the text."""
        return f"<Traceparent {self}>"

    @property
    def sampled(self) -> bool:
        """Whether the span is recorded."""
        return str(self)[-1:] in _SAMPLED
