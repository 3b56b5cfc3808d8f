"""A plan: a graph compiled, ready to be run for each request. One class for each kind of node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.expr import Program, Template
    from extproc.graph.document import Cause, Match
    from extproc.plan.model import ModelPlan
    from extproc.plan.sticky import Lots

# What a step's input is made of: the step before, byte for byte; that, translated by the protocols; or a template.
Input: TypeAlias = "Literal['previous', 'auto'] | Template"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a model, by ``node``: in tail position Envoy makes it itself, elsewhere it is a sub-call."""

    model: ModelPlan
    tail: bool
    node: str = ""


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


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A step of a chain; ``waits`` are the indexes of the steps it has to wait for."""

    name: str
    target: PlanNode
    input: Input
    when: Program | None
    on_error: PlanNode | Literal["fail", "skip"]
    waits: frozenset[int]


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """A chain; ``in_line`` when every step waits for the one before, so that nothing runs side by side."""

    name: str
    steps: tuple[StepPlan, ...]
    output: Template | None
    in_line: bool


@dataclass(frozen=True, slots=True)
class MemberPlan:
    """A member of an ensemble."""

    name: str
    target: PlanNode
    weight: float
    input: Template | None


@dataclass(frozen=True, slots=True)
class EnsemblePlan:
    """An ensemble; ``output`` stands in place of ``combine``."""

    name: str
    members: tuple[MemberPlan, ...]
    require: int
    wait: Literal["all", "quorum"]
    combine: Literal["collect", "mean", "vote", "first"]
    output: Template | None


@dataclass(frozen=True, slots=True)
class FallbackPlan:
    """A fallback: routes with their own timeouts, and what sends a request on to the next."""

    name: str
    routes: tuple[tuple[PlanNode, float | None], ...]
    on: frozenset[Cause]


@dataclass(frozen=True, slots=True)
class CascadePlan:
    """A cascade: routes with the condition under which their response is the answer; the last one's always is."""

    name: str
    routes: tuple[tuple[PlanNode, Program | None], ...]


@dataclass(frozen=True, slots=True)
class ChallengerPlan:
    """A challenger. Its calls are sub-calls, whose responses the client never sees.

    ``prefix`` stands before the key in the hash that makes sampling sticky: that of a split with the seed
    ``GRAPH/NODE`` and a route of the challenger's name.
    """

    name: str
    target: PlanNode
    sample: float
    by: Program | None
    prefix: bytes


@dataclass(frozen=True, slots=True)
class ComparePlan:
    """What is compared on both legs, and by what the figures are told apart."""

    value: Program | None
    kind: Literal["number", "label", "vector", "text"] | None
    tolerance: float | None
    by: Program | None


@dataclass(frozen=True, slots=True)
class ChallengePlan:
    """A challenge; ``key`` is what its evidence belongs to.

    ``again`` is the champion as sub-calls, to be compared with itself; None without ``noise``. ``shown``: the champion's
    answer may be that of a call that Envoy makes itself, so its response has to be shown to the processor.
    """

    name: str
    key: str
    champion: PlanNode
    again: PlanNode | None
    challengers: tuple[ChallengerPlan, ...]
    compare: ComparePlan
    shown: bool


PlanNode: TypeAlias = (
    Call | SplitPlan | SwitchPlan | RespondPlan | ChainPlan | EnsemblePlan | FallbackPlan | CascadePlan | ChallengePlan
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph compiled.

    ``reads_body``: no decision or sub-call is possible without the request's body. ``calls``: the processor makes
    sub-calls, so that a reply may take as long as the deadline. ``rewrites``: the body Envoy sends on may be another.
    What only challengers need counts for none of them.
    """

    graph: str
    id: str
    match: tuple[Match, ...]
    timeout: float
    max_body: int
    root: PlanNode
    models: Mapping[str, ModelPlan]
    reads_body: bool
    calls: bool
    rewrites: bool
    away: ModelPlan | None
    challenge: ChallengePlan | None
    nodes: Mapping[tuple[str, bool], PlanNode] = field(repr=False)

    @property
    def shows_response(self) -> bool:
        """Whether the processor may have to see a response that Envoy brings."""
        return self.challenge is not None and self.challenge.shown

    def __repr__(self) -> str:
        """Say id, what is read, and where requests go without a processor."""
        reads = "body" if self.reads_body else "headers"
        away = self.away.name if self.away else "closed"
        return f"<Plan {self.id} reads {reads}, away: {away}>"
