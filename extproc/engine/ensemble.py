"""ensemble: members called at the same time, their responses combined."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from extproc.engine.answers import filled, made_json
from extproc.engine.calling import Cause, Reply
from extproc.engine.combine import combined, model_name
from extproc.engine.ending import end
from extproc.engine.payload import JSON, Payload
from extproc.engine.result import Failure, Result, Tail
from extproc.engine.views import ResponseView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.plan.plan import EnsemblePlan, MemberPlan

# Bytes of responses from which on they are combined in a thread: a mean of a megabyte takes tens of milliseconds, which
# every other request of this process would wait for.
LARGE = 256 * 1024


async def run_ensemble(run: Run, node: EnsemblePlan, payload: Payload, deadline: float, trail: Trail) -> Result:
    """Call all members, wait for as many as it takes, cancel the rest, combine what succeeded."""
    inputs = [_input(run, node, member, payload) for member in node.members]
    trails = trail.below(len(node.members))
    tasks = [
        asyncio.create_task(run.evaluate(member.target, given, deadline, own))
        for member, given, own in zip(node.members, inputs, trails, strict=True)
    ]
    try:
        await _enough(node, tasks)
    finally:
        await end(tasks)
    results = list(zip(node.members, map(_result, tasks), strict=True))
    succeeded = [(member, result) for member, result in results if isinstance(result, Reply) and result.ok]
    if len(succeeded) < node.require:
        return _failure(node, results, late=run.late(deadline))
    return await _answer(run, node, succeeded)


async def _enough(node: EnsemblePlan, tasks: list[asyncio.Task[Result]]) -> None:
    """Return when no more answers are waited for. Raises a member's BadRequest.

    No clock is needed: every call ends by its deadline, and so does every member.
    """
    pending = set(tasks)
    while pending:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        succeeded = sum(task.done() and _ok(task.result()) for task in tasks)
        if succeeded + len(pending) < node.require or (node.wait == "quorum" and succeeded >= node.require):
            return


def _result(task: asyncio.Task[Result]) -> Result | None:
    """Return what came of a member, None where it was cancelled."""
    return None if task.cancelled() else task.result()


def _ok(result: Result | None) -> bool:
    return isinstance(result, Reply) and result.ok


def _input(run: Run, node: EnsemblePlan, member: MemberPlan, payload: Payload) -> Payload:
    if member.input is None:
        return payload
    what = f'the input of member "{member.name}"'
    return Payload(filled(member.input, run.activation, node.name, what), JSON, made=True)


def _failure(node: EnsemblePlan, results: Sequence[tuple[MemberPlan, Result | None]], *, late: bool) -> Failure:
    """Name the first failed member in listed order, or the first that the deadline cut short.

    All failures count the same, but for the deadline's.
    """
    failures = [_blamed(node, member, result) for member, result in results if result is not None and not _ok(result)]
    cut_short = [one for one in failures if late and one.cause is Cause.TIMEOUT and not one.counted_alike]
    return cut_short[0] if cut_short else replace(failures[0], counted_alike=True)


def _blamed(node: EnsemblePlan, member: MemberPlan, result: Result) -> Failure:
    part = f'member "{member.name}"'
    match result:
        case Failure():
            return replace(result, node=node.name, part=part)
        case Reply():
            return Failure(Cause.STATUS, model_name(member), node.name, part, result.status)
        case Tail():
            raise AssertionError(result)  # a member is in no tail position


async def _answer(run: Run, node: EnsemblePlan, succeeded: list[tuple[MemberPlan, Reply]]) -> Result:
    if node.output is not None:
        activation = run.activation | {"members": {member.name: ResponseView(reply) for member, reply in succeeded}}
        return made_json(filled(node.output, activation, node.name, "the ensemble's output"))
    if node.combine in {"mean", "vote"} and sum(len(reply.body) for _, reply in succeeded) > LARGE:
        return await asyncio.to_thread(combined, node, succeeded)
    return combined(node, succeeded)
