"""What was sent, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extproc.demo.labels import label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.scene import Ask


@dataclass(frozen=True, slots=True)
class Played:
    """One request and its answer.

    ``alone``: what models answered that were asked the same by themselves, past the graph. ``deviations``: what was
    otherwise than the scene promised.
    """

    ask: Ask
    answer: Answer
    alone: Mapping[str, Sequence[Any]]
    deviations: Sequence[str]

    @property
    def right(self) -> int:
        """How many predictions are true."""
        return right(self.answer.predictions or (), self.ask.truth)

    def right_alone(self, model: str) -> int:
        """How many of a model's own predictions are true."""
        return right(self.alone[model], self.ask.truth)


def right(predictions: Sequence[Any], truth: Sequence[int]) -> int:
    """How many predictions are true."""
    return sum(label(value) == known for value, known in zip(predictions, truth, strict=False))
