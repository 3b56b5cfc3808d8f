"""ensemble: members called at the same time, their responses combined."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from extproc.engine.answers import encode, fill, made_json
from extproc.engine.calling import Cause, Reply
from extproc.engine.combine import combined, model_name
from extproc.engine.payload import JSON, Payload
from extproc.engine.result import Failure, Result
from extproc.engine.views import ResponseView

if TYPE_CHECKING:
    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.plan.plan import EnsemblePlan, MemberPlan


async def run_ensemble(run: Run, node: EnsemblePlan, payload: Payload, deadline: float, trail: Trail) -> Result:
    """Call all members, wait for as many as it takes, cancel the rest, combine what succeeded."""
    inputs = [_input(run, node, member, payload) for member in node.members]
    trails = trail.below(len(node.members))
    tasks = [
        asyncio.create_task(run.evaluate(member.target, given, deadline, own))
        for member, given, own in zip(node.members, inputs, trails, strict=True)
    ]
    try:
        late = await _wait(run, node, tasks, deadline)
    finally:
        await _cancel(tasks)
    results = [_result(task) for task in tasks]
    succeeded = [(member, reply) for member, reply in zip(node.members, results, strict=True) if _ok(reply)]
    if len(succeeded) < node.require:
        return _failure(node, results, late=late)
    return _answer(run, node, [(member, reply) for member, reply in succeeded if isinstance(reply, Reply)])


async def _wait(run: Run, node: EnsemblePlan, tasks: list[asyncio.Task[Result]], deadline: float) -> bool:
    """Return when enough is known, True when that was because the deadline passed. Raises a member's BadRequest."""
    pending = set(tasks)
    while pending:
        left = deadline - run.seams.now()
        done, pending = await asyncio.wait(pending, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return True
        succeeded = sum(task.done() and _ok(task.result()) for task in tasks)
        if succeeded + len(pending) < node.require or (node.wait == "quorum" and succeeded >= node.require):
            return run.seams.now() >= deadline
    return run.seams.now() >= deadline


async def _cancel(tasks: list[asyncio.Task[Result]]) -> None:
    """Cancel what is not done, and wait until it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _result(task: asyncio.Task[Result]) -> Result | None:
    """Return what came of a member, None where it was cancelled."""
    return None if task.cancelled() else task.result()


def _ok(result: Result | None) -> bool:
    return isinstance(result, Reply) and result.ok


def _input(run: Run, node: EnsemblePlan, member: MemberPlan, payload: Payload) -> Payload:
    if member.input is None:
        return payload
    value = fill(member.input, run.activation, node.name, f'the input of member "{member.name}"')
    return Payload(encode(value), JSON, made=True)


def _failure(node: EnsemblePlan, results: list[Result | None], *, late: bool) -> Failure:
    """Name the first failed member in listed order: all failures count the same, but for the deadline's."""
    for member, result in zip(node.members, results, strict=True):
        model = model_name(member)
        part = f'member "{member.name}"'
        if late and (result is None or (isinstance(result, Failure) and result.cause is Cause.TIMEOUT)):
            return Failure(Cause.TIMEOUT, model, node.name, part)
        if isinstance(result, Failure):
            return Failure(result.cause, result.model, node.name, part, result.status, counted_alike=True)
        if isinstance(result, Reply) and not result.ok:
            return Failure(Cause.STATUS, model, node.name, part, result.status, counted_alike=True)
    raise AssertionError(node)  # fewer succeeded than required: one of them did not


def _answer(run: Run, node: EnsemblePlan, succeeded: list[tuple[MemberPlan, Reply]]) -> Result:
    if node.output is not None:
        members = {member.name: ResponseView(reply) for member, reply in succeeded}
        activation = run.activation | {"members": members}
        return made_json(encode(fill(node.output, activation, node.name, "the ensemble's output")))
    return combined(node, succeeded)
