"""The calls of a route in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.demo.answer import Call

FAILURES: Final = {
    "connect": "could not be reached",
    "reset": "broke off",
    "timeout": "took too long",
    "overloaded": "had too many calls already",
    "too_large": "answered too much",
}


def called(calls: Sequence[Call], between: str) -> Text:
    """Like ``wine-next could not be reached, then wine-a``; ``between`` is ``, then `` there."""
    return Text(between).join(_call(call) for call in calls)


def _call(call: Call) -> Text:
    said = Text(call.model, style="bold magenta")
    if call.failure:
        said = said + Text(" " + FAILURES.get(call.failure, f"answered {call.failure}"), style="yellow")
    return said
