"""fallback: the next route when one fails in a listed way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.result import Failure, Result, Tail, listed_as

if TYPE_CHECKING:
    from extproc.engine.payload import Payload
    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.plan.plan import FallbackPlan


async def run_fallback(run: Run, node: FallbackPlan, payload: Payload, deadline: float, trail: Trail) -> Result:
    """Try the routes in turn; a failure of any other kind is the answer, and so is the last route's."""
    last = len(node.routes) - 1
    for index, (target, timeout) in enumerate(node.routes):
        until = deadline if timeout is None else min(deadline, run.seams.now() + timeout)
        result = await run.evaluate(target, payload, until, trail)
        if index == last or isinstance(result, Tail) or listed_as(result) not in node.on or run.late(deadline):
            return result.at(node.name) if isinstance(result, Failure) else result
    raise AssertionError(node)  # a fallback has a route: the loader sees to it
