"""An answer in a line for people: status, predictions, and whether they are true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from extproc.demo.short import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.scene import Ask

CLIENT_ERROR: Final = 400


def outlook(ask: Ask, answer: Answer, labels: Sequence[str]) -> Text:
    """The answer, shortened."""
    status = Text(f"{answer.status}  ", style="bold yellow" if answer.status >= CLIENT_ERROR else "bold green")
    if answer.predictions is None:
        return status + Text(shortened(answer.document))
    named = [_label(value, labels) for value in answer.predictions]
    return status + Text(" ".join(named), style="bold") + _truth(ask, answer, labels)


def right(ask: Ask, answer: Answer) -> int:
    """How many predictions are true."""
    return sum(value == truth for value, truth in zip(answer.predictions or (), ask.truth, strict=False))


def _truth(ask: Ask, answer: Answer, labels: Sequence[str]) -> Text:
    count = len(ask.truth)
    if not count:
        return Text()
    well = right(ask, answer)
    style = "green" if well == count else "yellow"
    if count > 1:
        return Text(f"   {well} of {count} right", style=style)
    return Text(f"   truth: {_label(ask.truth[0], labels)}, so {'right' if well else 'wrong'}", style=style)


def _label(value: Any, labels: Sequence[str]) -> str:
    return labels[value] if isinstance(value, int) and 0 <= value < len(labels) else str(value)
