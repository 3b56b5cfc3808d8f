"""Members' responses made one, by the protocols they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.answers import made_json
from extproc.engine.result import Failure, Result
from extproc.plan.plan import Call
from extproc.protocol import Member, NotPredictions, collect, mean, protocol_of, vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.engine.calling import Reply
    from extproc.plan.plan import EnsemblePlan, MemberPlan


def combined(node: EnsemblePlan, succeeded: Sequence[tuple[MemberPlan, Reply]]) -> Result:
    """Return what ``combine`` says, of the members that succeeded, in listed order."""
    match node.combine:
        case "first":
            return succeeded[0][1]
        case "collect":
            return made_json(
                collect(
                    [(member.name, reply.body, reply.header_map.get("content-type")) for member, reply in succeeded]
                )
            )
        case "mean" | "vote":
            return _counted(node, succeeded)


def _counted(node: EnsemblePlan, succeeded: Sequence[tuple[MemberPlan, Reply]]) -> Result:
    combine = mean if node.combine == "mean" else vote
    try:
        return made_json(combine([_voice(member, reply) for member, reply in succeeded]))
    except NotPredictions as problem:
        blamed, _ = succeeded[problem.member or 0]
        return Failure.of_predictions(problem.message, model_name(blamed), node.name, f'member "{blamed.name}"')


def _voice(member: MemberPlan, reply: Reply) -> Member:
    target = member.target
    declared = target.model.document.protocol if isinstance(target, Call) else "auto"
    path = target.model.path if isinstance(target, Call) else None
    return reply.body, protocol_of(declared, path, reply.body), member.weight


def model_name(member: MemberPlan) -> str:
    """Return the name of the model a member calls, nothing where it is a node."""
    return member.target.model.name if isinstance(member.target, Call) else ""
