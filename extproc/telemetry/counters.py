"""What a worker counts on the hot path: plain integers by name and labels, merged by the supervisor."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from extproc.engine.calling import Cause
from extproc.headers import CALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.expr import EvaluationError, Program
    from extproc.plan.model import ModelPlan
    from extproc.plan.plan import Branch, Plan

# Name and label values, in the order that admin/metrics.py gives: all of them names in loaded graphs, or words of ours,
# so they are few.
Key: TypeAlias = tuple[str, ...]

DECISIONS = "decisions"
EXPRESSION_ERRORS = "expression_errors"
EXCHANGES = "exchanges"
DEADLINES = "deadlines"
CALLS = "calls"
CALL_TIMES = "call_times"
RETRIES = "call_retries"
HEDGES = "call_hedges"
SHED = "shed"
LOOP_LAG = "loop_lag"
SPANS = "spans"
LOG_LINES_DROPPED = "log_lines_dropped"
ACTIVE = "active"
CONNECTIONS = "connections"
SUM = "_sum_us"  # behind a histogram's name: the sum of what it saw, in microseconds

# What goes down again, and is gone with its worker.
GAUGES = frozenset({ACTIVE, CONNECTIONS})

# Upper bounds in seconds. A decision takes well under a millisecond, so that ten are felt.
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_CLASSES = tuple(str(index) for index in range(max(len(CALL_SECONDS), len(LAG_SECONDS)) + 1))

PROCESSOR, ENVOY = "processor", "envoy"  # who found a deadline missed
SUB, CHALLENGER, TAIL = "sub", "challenger", "tail"  # kinds of call
CONCURRENCY, CIRCUIT_BREAKER = (
    "concurrency",
    "circuit_breaker",
)  # why a call was shed: the processor's limit, or Envoy's


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

    def observe(self, labels: Key, seconds: float, bounds: Sequence[float]) -> None:
        """Add to a histogram; ``labels`` begin with its name."""
        self.counts[(*labels, _CLASSES[bisect_left(bounds, seconds)])] += 1
        self.counts[(labels[0] + SUM, *labels[1:])] += int(seconds * 1e6)

    def lagged(self, seconds: float) -> None:
        """Count by how much the event loop was late."""
        self.observe((LOOP_LAG,), seconds, LAG_SECONDS)


class CallCounts:
    """Counts one kind of call; a CallRecorder of the caller's."""

    def __init__(self, counters: Counters, kind: str) -> None:
        self._counters = counters
        self._kind = kind

    def __repr__(self) -> str:
        """Say the kind."""
        return f"<CallCounts {self._kind}>"

    def called(self, model: ModelPlan, outcome: str, seconds: float, attempts: int, *, hedged: bool) -> None:
        """Count a call that has ended."""
        counts = self._counters.counts
        labels = (model.graph, model.name, self._kind)
        counts[(CALLS, *labels, outcome)] += 1
        if outcome == Cause.OVERLOADED.value:
            counts[(SHED, *labels, CIRCUIT_BREAKER if attempts else CONCURRENCY)] += 1
        if not attempts:
            return  # it was never made
        self._counters.observe((CALL_TIMES, *labels), seconds, CALL_SECONDS)
        if hedged:
            counts[(HEDGES, *labels)] += 1
        if attempts > 1 + hedged:
            counts[(RETRIES, *labels)] += attempts - 1 - hedged
