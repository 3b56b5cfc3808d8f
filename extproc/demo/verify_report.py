"""Is a challenge's report what the answers, and the models asked by themselves, say? Every deviation is one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING, Any, Final

import msgspec

from extproc.challenge.document import Gain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extproc.challenge.document import Challenger
    from extproc.demo.played import Played
    from extproc.demo.scene import Trial
    from extproc.demo.trial import Tried

ROUNDING: Final = 1e-9  # of sums of ones and zeros, divided in another order


def report_deviations(trial: Trial, played: Sequence[Played], tried: Tried, graph: str | None) -> Iterator[str]:
    """What is otherwise than expected, of requests of one row each; ``graph`` is the id of the graph that took them."""
    yield from _feedback(tried, len(played))
    report = tried.report
    for what, expected, got in (
        ("the generation", graph, report.generation),
        ("the champion", trial.champion, report.champion),
        ("eligible requests", len(played), report.eligible),
        ("the challengers", [*trial.challengers], [one.name for one in report.challengers]),
    ):
        if got != expected:
            yield f"expected {what} {expected}, got {got}"
    if others := sum(one.answer.predictions != one.alone.get(trial.champion) for one in played):
        yield f"{others} answers are not what {trial.champion} says by itself"
    for one in report.challengers:
        if one.name in trial.challengers:
            legs = _Legs(played, trial.champion, trial.challengers[one.name])
            yield from (f"{one.name}: {text}" for text in _challenger(one, legs, report.eligible))


def _feedback(tried: Tried, count: int) -> Iterator[str]:
    """Every label finds its request, and is new."""
    expected = {"accepted": count, "duplicate": 0, "unknown": 0}
    if tried.taken != expected:
        yield f"expected labels to be taken as {expected}, got {tried.taken}"


def _challenger(one: Challenger, legs: _Legs, eligible: int) -> Iterator[str]:
    counts: Mapping[str, int] = msgspec.to_builtins(one.counts)
    there = {name: times for name, times in counts.items() if times}
    if sum(there.values()) != eligible:
        yield f"its counts add up to {sum(there.values())} requests, not to {eligible}"
    if there != {"paired": len(legs.played)}:
        yield f"expected {len(legs.played)} pairs and nothing else, got {there}"
    joined = one.truth.joined if one.truth else 0
    if joined != len(legs.played):
        yield f"expected {len(legs.played)} labels joined, got {joined}"
    said, known = _said(one), legs.figures
    for name, figure in known.items():
        found = said[name]
        if found is None or not isclose(found, figure, abs_tol=ROUNDING):
            yield f"expected {name} {figure:.6f}, as the models say when asked alone, got {found}"


def _said(one: Challenger) -> dict[str, float | None]:
    """The report's figures that can be known otherwise."""
    accuracy = (one.truth.accuracy if one.truth else None) or Gain()
    return {
        "agreement": one.agreement.value,
        "the champion's accuracy": accuracy.champion,
        "the challenger's accuracy": accuracy.challenger,
        "the gain": accuracy.gain,
    }


@dataclass(frozen=True, slots=True)
class _Legs:
    """What both models answered by themselves to the same requests."""

    played: Sequence[Played]
    champion: str
    challenger: str

    @property
    def figures(self) -> dict[str, float]:
        """The figures, counted from their answers."""
        champion, challenger = (self._right(model) for model in (self.champion, self.challenger))
        alike = sum(self._of(one, self.champion) == self._of(one, self.challenger) for one in self.played)
        return {
            "agreement": alike / len(self.played),
            "the champion's accuracy": champion / len(self.played),
            "the challenger's accuracy": challenger / len(self.played),
            "the gain": (challenger - champion) / len(self.played),
        }

    def _right(self, model: str) -> int:
        return sum(one.right_alone(model) for one in self.played)

    def _of(self, played: Played, model: str) -> Any:
        return played.alone[model]
