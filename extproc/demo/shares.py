"""A crowd's answers as one bar a branch, or a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from extproc.demo.bars import WIDTH, bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.demo.played import Played
    from extproc.demo.scene import Crowd

LONGEST: Final = len("100.0% right")
ROOM: Final = 47  # columns for a name and its bar: the rest of 80 is the numbers'


def shares(crowd: Crowd, played: Sequence[Played], *, ascii_only: bool) -> Iterator[Text]:
    """A line for each branch that was expected, and for any other that was taken."""
    taken: dict[str, list[Played]] = {branch: [] for branch in crowd.shares}
    for one in played:
        taken.setdefault(crowd.side(one.answer), []).append(one)
    width = max(map(len, taken))
    for branch, mine in taken.items():
        full, empty = bar(len(mine) / len(played), min(WIDTH, ROOM - width), ascii_only=ascii_only)
        yield Text.assemble(
            f"{branch:<{width}}  ",
            (full, "magenta"),
            (empty, "dim"),
            (f" {len(mine):>4}", "bold"),
            f" {len(mine) / len(played):>6.1%}",
            *_padded(quality(mine)),
        )


def quality(played: Sequence[Played]) -> Text:
    """How often the answers are right; nothing when that is not known."""
    return _share(sum(one.right for one in played), played)


def quality_alone(played: Sequence[Played], model: str) -> Text:
    """How often a model would have been right without the graph."""
    return _share(sum(one.right_alone(model) for one in played), played)


def _padded(text: Text) -> tuple[str, Text]:
    """The text in a column as wide as ``100.0% right``, and what comes before it; no column for no text."""
    return (" " * (2 + LONGEST - text.cell_len) if text else "", text)


def _share(right: int, played: Sequence[Played]) -> Text:
    known = sum(len(one.ask.truth) for one in played)
    return Text(f"{right / known:.1%} right" if known else "", style="green")
