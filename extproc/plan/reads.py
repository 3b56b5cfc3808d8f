"""What a plan must have seen of a request before it can decide, and whether it calls models itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from extproc.plan.plan import (
    Call,
    CascadePlan,
    ChainPlan,
    ChallengePlan,
    EnsemblePlan,
    FallbackPlan,
    PlanNode,
    RespondPlan,
    SplitPlan,
    StepPlan,
    SwitchPlan,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extproc.expr import Program, Template


def reads_body(root: PlanNode) -> bool:
    """Tell whether an expression below mentions the request's body, or a sub-call takes it along."""
    return makes_calls(root) or any(
        _mentions_body(program) for node in reachable(root) for program in _expressions(node)
    )


def makes_calls(root: PlanNode) -> bool:
    """Tell whether any call below is not left to Envoy."""
    return any(isinstance(node, Call) and not node.tail for node in reachable(root))


def rewrites_tail(root: PlanNode) -> bool:
    """Tell whether a call that Envoy makes may take along a body that was made on the way: a chain's last step."""
    return any(tail_called(node) for node in reachable(root) if isinstance(node, ChainPlan))


def tail_called(root: PlanNode) -> bool:
    """Tell whether the response may be one that Envoy brings itself."""
    return any(isinstance(node, Call) and node.tail for node in reachable(root))


def reachable(root: PlanNode) -> Iterator[PlanNode]:
    """Yield every node below, each once, the root first."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting.extend(reversed(successors(node)))


def successors(node: PlanNode) -> list[PlanNode]:
    """Return what a node leads to on the client's way, in document order: no challenger."""
    match node:
        case Call() | RespondPlan():
            return []
        case SplitPlan():
            return [branch.target for branch in node.branches]
        case SwitchPlan():
            default = [node.default.target] if node.default else []
            return [*(branch.target for _, branch in node.cases), *default]
        case ChainPlan():
            return [target for step in node.steps for target in _of_step(step)]
        case EnsemblePlan():
            return [member.target for member in node.members]
        case FallbackPlan() | CascadePlan():
            return [target for target, _ in node.routes]
        case ChallengePlan():
            return [node.champion]
        case _:
            assert_never(node)


def _of_step(step: StepPlan) -> list[PlanNode]:
    return [step.target] if isinstance(step.on_error, str) else [step.target, step.on_error]


def _expressions(node: PlanNode) -> Iterable[Program | Template]:
    """Return the expressions that are evaluated on the way: those that may need the request's body."""
    match node:
        case Call() | FallbackPlan():
            return ()
        case SplitPlan():
            return [node.by] if node.by else []
        case SwitchPlan():
            return [program for program, _ in node.cases]
        case RespondPlan():
            return [node.body] if node.body else []
        case ChainPlan():
            own = [one for step in node.steps for one in (step.when, step.input) if one and not isinstance(one, str)]
            return [*own, node.output] if node.output else own
        case EnsemblePlan():
            inputs = [member.input for member in node.members if member.input]
            return [*inputs, node.output] if node.output else inputs
        case CascadePlan():
            return [accept for _, accept in node.routes if accept]
        case ChallengePlan():
            return [challenger.by for challenger in node.challengers if challenger.by]
        case _:
            assert_never(node)


def _mentions_body(program: Program | Template) -> bool:
    """A bare ``request`` may be anything of it."""
    return any(path == ("request",) or path[:2] == ("request", "body") for path in program.reads)
