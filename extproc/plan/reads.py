"""What a plan must have seen of a request before it can decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from extproc.plan.plan import Call, PlanNode, RespondPlan, SplitPlan, SwitchPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extproc.expr import Program, Template


def reads_body(root: PlanNode) -> bool:
    """Tell whether any condition, key or answer below mentions the request's body."""
    return any(_mentions_body(node) for node in reachable(root))


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
        waiting.extend(reversed(list(successors(node))))


def successors(node: PlanNode) -> Iterable[PlanNode]:
    """Return what a node leads to."""
    match node:
        case Call() | RespondPlan():
            return ()
        case SplitPlan():
            return [branch.target for branch in node.branches]
        case SwitchPlan():
            default = [node.default.target] if node.default else []
            return [*(branch.target for _, branch in node.cases), *default]
        case _:
            assert_never(node)


def _mentions_body(node: PlanNode) -> bool:
    match node:
        case Call():
            return False
        case SplitPlan():
            return node.by is not None and _reads_body(node.by)
        case SwitchPlan():
            return any(_reads_body(program) for program, _ in node.cases)
        case RespondPlan():
            return node.body is not None and _reads_body(node.body)
        case _:
            assert_never(node)


def _reads_body(program: Program | Template) -> bool:
    """A bare ``request`` may be anything of it."""
    return any(path == ("request",) or path[:2] == ("request", "body") for path in program.reads)
