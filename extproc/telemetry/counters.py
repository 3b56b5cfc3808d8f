"""What a worker counts on the hot path: plain integers by name and labels, merged by the supervisor."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from extproc.expr import EvaluationError, Program
    from extproc.plan.plan import Branch, Plan

# Name and label values, in the order that METRICS gives: all of them names in loaded graphs, so they are few.
Key: TypeAlias = tuple[str, ...]

DECISIONS = "decisions"
EXPRESSION_ERRORS = "expression_errors"


class Counters:
    """A worker's counts; a Recorder of the engine's."""

    def __init__(self) -> None:
        self.counts: Counter[Key] = Counter()

    def __repr__(self) -> str:
        """Say how many things are counted."""
        return f"<Counters {len(self.counts)} series>"

    def decided(self, plan: Plan, node: str, branch: Branch, _program: Program | None, _value: object) -> None:
        """Count a branch taken."""
        self.counts[DECISIONS, plan.graph, node, branch.name] += 1

    def expression_failed(self, plan: Plan, node: str, _program: Program, _error: EvaluationError) -> None:
        """Count an expression that could not be evaluated."""
        self.counts[EXPRESSION_ERRORS, plan.graph, node] += 1
