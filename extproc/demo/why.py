"""The words to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extproc.demo.answer import Answer
    from extproc.demo.scene import Ask


def why(ask: Ask, answer: Answer) -> str:
    """What happened and why, empty for one request of a crowd."""
    return ask.why if isinstance(ask.why, str) else ask.why(answer)
