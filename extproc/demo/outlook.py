"""An answer in a line for people: status, predictions, and whether they are true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from extproc.demo.labels import label, named
from extproc.demo.played import right
from extproc.demo.short import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.demo.played import Played

CLIENT_ERROR: Final = 400
SHOWN: Final = 12  # predictions of a batch, each of them a word or a digit: more than a line holds are cut


def outlook(played: Played, labels: Sequence[str]) -> Text:
    """The answer, shortened."""
    answer, truth = played.answer, played.ask.truth
    status = Text(f"{answer.status}  ", style="bold yellow" if answer.status >= CLIENT_ERROR else "bold green")
    if answer.predictions is None:
        return status + Text(shortened(answer.document))
    said = status + Text(_listed(answer.predictions, labels), style="bold")
    if len(truth) == 1:
        said.append(f"   truth: {named(truth[0], labels)}, so", style=_style(answer.predictions, truth))
        return said + Text(" ") + _verdict(answer.predictions, truth)
    return said + Text("   ") + _verdict(answer.predictions, truth)


def outlook_alone(predictions: Sequence[Any], truth: Sequence[int], labels: Sequence[str]) -> tuple[Text, Text]:
    """What a model answered by itself to one row, and whether it is right; of many rows how often alone."""
    if len(predictions) != 1:
        return Text(), _verdict(predictions, truth)
    known = label(predictions[0]) is not None
    return Text(named(predictions[0], labels)), _verdict(predictions, truth) if known else Text()


def _listed(predictions: Sequence[Any], labels: Sequence[str]) -> str:
    words = [named(value, labels) for value in predictions]
    if len(words) > SHOWN:
        words = [*words[: SHOWN // 3], f"… {len(words)} in all"]
    return " ".join(words)


def _verdict(predictions: Sequence[Any], truth: Sequence[int]) -> Text:
    if not truth:
        return Text()
    well, count = right(predictions, truth), len(truth)
    text = f"{well} of {count} right" if count > 1 else "right" if well else "wrong"
    return Text(text, style=_style(predictions, truth))


def _style(predictions: Sequence[Any], truth: Sequence[int]) -> str:
    return "green" if right(predictions, truth) == len(truth) else "yellow"
