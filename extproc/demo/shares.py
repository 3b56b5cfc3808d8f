"""A crowd's answers as one bar a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from extproc.demo.bars import bar
from extproc.demo.outlook import right

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.scene import Ask, Crowd


def shares(crowd: Crowd, answers: Sequence[Answer], *, ascii_only: bool) -> Iterator[Text]:
    """A line for each branch that was expected, and for any other that was taken."""
    taken: dict[str, list[tuple[Ask, Answer]]] = {branch: [] for branch in crowd.shares}
    for ask, answer in zip(crowd.asks, answers, strict=True):
        taken.setdefault(answer.decisions.get(crowd.node, "(none)"), []).append((ask, answer))
    width = max(map(len, taken))
    for branch, pairs in taken.items():
        full, empty = bar(len(pairs) / len(answers), ascii_only=ascii_only)
        yield Text.assemble(
            f"{branch:<{width}}  ",
            (full, "magenta"),
            (empty, "dim"),
            (f" {len(pairs):>4}", "bold"),
            f" {len(pairs) / len(answers):>6.1%}",
            (_quality(pairs), "green"),
        )


def _quality(pairs: Sequence[tuple[Ask, Answer]]) -> str:
    """How often the model behind a branch was right."""
    known = sum(len(ask.truth) for ask, _ in pairs)
    return f"  {sum(right(*pair) for pair in pairs) / known:>6.1%} right" if known else ""
