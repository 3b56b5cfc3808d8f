"""chain: steps in line, or side by side where they do not need each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extproc.engine.answers import filled, made_json
from extproc.engine.calling import Reply
from extproc.engine.ending import end
from extproc.engine.payload import JSON, Payload
from extproc.engine.result import Failure, Made, Result, Tail
from extproc.engine.translate import translated
from extproc.engine.views import ResponseView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.plan.plan import ChainPlan, PlanNode, StepPlan


async def run_chain(run: Run, node: ChainPlan, payload: Payload, deadline: float, trail: Trail) -> Result:
    """Run the steps; the answer is the output, or the last step's response."""
    chain = _ChainRun(run, node, payload, deadline, trail)
    ended = await (chain.in_line() if node.in_line else chain.side_by_side())
    if ended is not None:
        return ended
    if node.output is None:
        return chain.last_seen()
    return made_json(filled(node.output, chain.activation(len(node.steps)), node.name, "the chain's output"))


class _Ended(Exception):  # noqa: N818
    """A step ended the chain: with a failure, or with the call that Envoy makes."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


@dataclass(frozen=True, slots=True)
class _Done:
    """A step's response, and where it came from: the step's own target, or the one its ``onError`` leads to."""

    reply: Reply
    origin: PlanNode
    view: ResponseView


class _ChainRun:
    """One chain under way. ``done[i]`` is what step i responded, None before that and where it was skipped."""

    def __init__(self, run: Run, node: ChainPlan, payload: Payload, deadline: float, trail: Trail) -> None:
        self.run = run
        self.node = node
        self.deadline = deadline
        self.trails = trail.below(len(node.steps))
        self.entry = payload
        self.done: list[_Done | None] = [None] * len(node.steps)
        self.over: list[asyncio.Event] = []

    def activation(self, index: int) -> dict[str, object]:
        """Return what step ``index`` may mention: the request, and the earlier steps that have a response."""
        earlier = zip(self.node.steps[:index], self.done[:index], strict=True)
        return self.run.activation | {"steps": {step.name: done.view for step, done in earlier if done is not None}}

    async def in_line(self) -> Result | None:
        """Run the steps one after the other; return what ends the chain before its end."""
        try:
            for index in range(len(self.node.steps)):
                await self.step(index)
        except _Ended as ended:
            return ended.result
        return None

    async def side_by_side(self) -> Result | None:
        """Run every step as soon as those it waits for are over; the first that fails cancels the others.

        No TaskGroup: before Python 3.13 it forgets a cancellation that comes at the moment a task fails.
        """
        self.over = [asyncio.Event() for _ in self.node.steps]
        tasks = [asyncio.create_task(self.when_due(index, step)) for index, step in enumerate(self.node.steps)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            await end(tasks)
        return _first_of(tasks)

    async def when_due(self, index: int, step: StepPlan) -> None:
        """Wait for what a step waits for, then run it."""
        for other in sorted(step.waits):
            await self.over[other].wait()
        if isinstance(step.input, str):
            await self.flow_known(index - 1)
        await self.step(index)
        self.over[index].set()

    async def flow_known(self, index: int) -> None:
        """Wait until it is known what follows step ``index``: where that was skipped, what came before it."""
        while index >= 0:
            await self.over[index].wait()
            if self.done[index] is not None:
                return
            index -= 1

    async def step(self, index: int) -> None:
        """Run one step, or skip it. Raises _Ended."""
        step = self.node.steps[index]
        activation = self.activation(index)
        if step.when is not None and self.run.value(step.when, activation, self.node.name) is not True:
            return
        payload = self.input_of(index, step, activation)
        origin = step.target
        result = await self.run.evaluate(origin, payload, self.deadline, self.trails[index])
        if not _usable(result) and not isinstance(step.on_error, str) and not self.run.late(self.deadline):
            origin = step.on_error
            result = await self.run.evaluate(origin, payload, self.deadline, self.trails[index])
        if isinstance(result, Reply) and result.ok:
            self.done[index] = _Done(result, origin, ResponseView(result))
        elif isinstance(result, Tail) or step.on_error != "skip":
            raise _Ended(self.blamed(result, step.name))

    def blamed(self, result: Result, step: str) -> Result:
        """Name the step in a failure."""
        return result.within(self.node.name, f'step "{step}"') if isinstance(result, Failure) else result

    def input_of(self, index: int, step: StepPlan, activation: dict[str, object]) -> Payload:
        """Return what a step's call takes along. Raises BadRequest (422)."""
        if isinstance(step.input, str):
            payload, origin = self.seen_by(index)
            return payload if step.input == "previous" else translated(payload, origin, step.target, self.node.name)
        what = f'the input of step "{step.name}"'
        return Payload(filled(step.input, activation, self.node.name, what), JSON, made=True)

    def seen_by(self, index: int) -> tuple[Payload, PlanNode | None]:
        """Return what a step sees by default, and from where: the nearest response before it, or what came in."""
        for done in reversed(self.done[:index]):
            if done is not None:
                return Payload(done.reply.body, done.reply.header_map.get("content-type")), done.origin
        return self.entry, None

    def last_seen(self) -> Reply:
        """Return the answer without an output: the last response, or, with every step skipped, what came in."""
        found = next((done.reply for done in reversed(self.done) if done is not None), None)
        if found is not None:
            return found
        content_type = self.entry.content_type
        return Made(200, (("content-type", content_type),) if content_type else (), self.entry.body or b"")


def _usable(result: Result) -> bool:
    return isinstance(result, Tail) or (isinstance(result, Reply) and result.ok)


def _first_of(tasks: Sequence[asyncio.Task[None]]) -> Result | None:
    """Return what ended the chain, of several the first listed. Raises what fails the request, or is our own fault."""
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in errors:
        if error is not None and not isinstance(error, _Ended):
            raise error
    return next((error.result for error in errors if isinstance(error, _Ended)), None)
