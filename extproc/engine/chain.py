"""chain: steps in line, or side by side where they do not need each other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from extproc.engine.answers import encode, fill, made_json
from extproc.engine.calling import Reply
from extproc.engine.payload import JSON, Payload
from extproc.engine.result import Failure, Made, Result, Tail
from extproc.engine.translate import translated
from extproc.engine.views import ResponseView
from extproc.errors import BadRequest

if TYPE_CHECKING:
    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.plan.plan import ChainPlan, StepPlan


async def run_chain(run: Run, node: ChainPlan, payload: Payload, deadline: float, trail: Trail) -> Result:
    """Run the steps; the answer is the output, or the last step's response."""
    chain = _ChainRun(run, node, payload, deadline, trail)
    ended = await (chain.in_line() if node.in_line else chain.side_by_side())
    if ended is not None:
        return ended
    if node.output is None:
        return chain.last_seen()
    return made_json(encode(fill(node.output, chain.activation, node.name, "the chain's output")))


class _Ended(Exception):  # noqa: N818
    """A step ended the chain: with a failure, or with the call that Envoy makes."""

    def __init__(self, index: int, result: Result) -> None:
        super().__init__(index)
        self.index = index
        self.result = result


class _ChainRun:
    """One chain under way. ``flow[i]`` is what the step after step i sees by default."""

    def __init__(self, run: Run, node: ChainPlan, payload: Payload, deadline: float, trail: Trail) -> None:
        self.run = run
        self.node = node
        self.deadline = deadline
        self.trails = trail.below(len(node.steps))
        self.steps: dict[str, ResponseView] = {}
        self.activation: dict[str, object] = run.activation | {"steps": self.steps}
        self.entry = payload
        self.replies: list[Reply | None] = [None] * len(node.steps)
        self.over: list[asyncio.Event] = []

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

        A last step that Envoy calls waits for all: once it is handed over, no other step could fail the chain.
        """
        self.over = [asyncio.Event() for _ in self.node.steps]
        try:
            async with asyncio.TaskGroup() as group:
                for index, step in enumerate(self.node.steps):
                    group.create_task(self.when_due(index, step))
        except BaseExceptionGroup as several:
            return _first_of(several)
        return None

    async def when_due(self, index: int, step: StepPlan) -> None:
        """Wait for what a step waits for, then run it."""
        everything = index == len(self.node.steps) - 1 and self.node.output is None
        for other in range(index) if everything else sorted(step.waits):
            await self.over[other].wait()
        if step.input == "previous" and index:
            await self.flow_known(index - 1)
        await self.step(index)
        self.over[index].set()

    async def flow_known(self, index: int) -> None:
        """Wait until it is known what follows step ``index``: where that was skipped, what came before it."""
        while index >= 0:
            await self.over[index].wait()
            if self.replies[index] is not None:
                return
            index -= 1

    async def step(self, index: int) -> None:
        """Run one step, or skip it. Raises _Ended."""
        step = self.node.steps[index]
        if step.when is not None and self.run.value(step.when, self.activation, self.node.name) is not True:
            return
        payload = self.input_of(index, step)
        trail = self.trails[index]
        result = await self.run.evaluate(step.target, payload, self.deadline, trail)
        if not _usable(result) and not isinstance(step.on_error, str):
            result = await self.run.evaluate(step.on_error, payload, self.deadline, trail)
        if isinstance(result, Reply) and result.ok:
            self.replies[index] = result
            self.steps[step.name] = ResponseView(result)
        elif isinstance(result, Tail) or step.on_error != "skip":
            raise _Ended(index, self.blamed(result, step.name))

    def blamed(self, result: Result, step: str) -> Result:
        """Name the step in a failure."""
        return result.within(self.node.name, f'step "{step}"') if isinstance(result, Failure) else result

    def input_of(self, index: int, step: StepPlan) -> Payload:
        """Return what a step's call takes along. Raises BadRequest (422)."""
        if step.input == "previous":
            return self.seen_by(index)
        if step.input == "auto":
            return self.translated(index, step)
        value = fill(step.input, self.activation, self.node.name, f'the input of step "{step.name}"')
        return Payload(encode(value), JSON, made=True)

    def translated(self, index: int, step: StepPlan) -> Payload:
        """Return the previous response as the next model's request, by their protocols."""
        before = self.node.steps[index - 1].target
        return translated(self.seen_by(index), before, step.target, self.node.name)

    def seen_by(self, index: int) -> Payload:
        """Return what a step sees by default: the nearest response before it, or what the chain was given."""
        for reply in reversed(self.replies[:index]):
            if reply is not None:
                return Payload(reply.body, reply.header_map.get("content-type"))
        return self.entry

    def last_seen(self) -> Reply:
        """Return the answer without an output: the last response, or, with every step skipped, what came in."""
        found = next((reply for reply in reversed(self.replies) if reply is not None), None)
        if found is not None:
            return found
        content_type = self.entry.content_type
        return Made(200, (("content-type", content_type),) if content_type else (), self.entry.body or b"")


def _usable(result: Result) -> bool:
    return isinstance(result, Tail) or (isinstance(result, Reply) and result.ok)


def _first_of(several: BaseExceptionGroup[BaseException]) -> Result:
    """Return what ended the chain: the first listed of several. Raises what fails the request, or is our own fault."""
    ended = [one for one in several.exceptions if isinstance(one, _Ended)]
    for other in several.exceptions:
        if not isinstance(other, _Ended):
            raise other from None
    return min(ended, key=lambda one: one.index).result
