"""A plan: a graph compiled, ready to be run for each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.expr import Program, Template
    from extproc.graph.document import Match
    from extproc.plan.model import ModelPlan
    from extproc.plan.sticky import Lots


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a model; in tail position Envoy makes it itself."""

    model: ModelPlan
    tail: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """One way out of a node; ``decision`` is how the answer's route names it (``root=canary``)."""

    name: str
    decision: str
    target: PlanNode


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """A split: its lots, and the expression that makes it sticky."""

    name: str
    by: Program | None
    lots: Lots
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """A switch: conditions and their branches in order, and the branch for all else."""

    name: str
    cases: tuple[tuple[Program, Branch], ...]
    default: Branch | None


@dataclass(frozen=True, slots=True)
class RespondPlan:
    """An answer without a model; ``body`` None means no body."""

    name: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: Template | None


PlanNode: TypeAlias = Call | SplitPlan | SwitchPlan | RespondPlan


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph compiled. ``reads_body``: no decision is possible without the request's body."""

    graph: str
    id: str
    match: tuple[Match, ...]
    timeout: float
    max_body: int
    root: PlanNode
    models: Mapping[str, ModelPlan]
    reads_body: bool
    away: ModelPlan | None
    nodes: Mapping[str, PlanNode] = field(repr=False)

    def __repr__(self) -> str:
        """Say id, what is read, and where requests go without a processor."""
        reads = "body" if self.reads_body else "headers"
        away = self.away.name if self.away else "closed"
        return f"<Plan {self.id} reads {reads}, away: {away}>"
