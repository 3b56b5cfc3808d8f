"""cascade: the first 2xx response that is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.answers import fill
from extproc.engine.calling import Cause, Reply
from extproc.engine.result import Failure, Result
from extproc.engine.views import ResponseView

if TYPE_CHECKING:
    from extproc.engine.payload import Payload
    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.expr import Program
    from extproc.plan.plan import CascadePlan


async def run_cascade(run: Run, node: CascadePlan, payload: Payload, deadline: float, trail: Trail) -> Result:
    """Try the routes in turn; the last one's response is the answer whatever it is."""
    for target, accept in node.routes[:-1]:
        result = await run.evaluate(target, payload, deadline, trail)
        if isinstance(result, Reply) and result.ok:
            if accept is None or _accepted(run, accept, result, node.name):
                return result
            if run.late(deadline):
                return Failure(Cause.TIMEOUT, "", node.name)
        elif run.late(deadline):
            return result.at(node.name) if isinstance(result, Failure) else result
    result = await run.evaluate(node.routes[-1][0], payload, deadline, trail)
    return result.at(node.name) if isinstance(result, Failure) else result


def _accepted(run: Run, accept: Program, reply: Reply, node: str) -> bool:
    return fill(accept, run.activation | {"response": ResponseView(reply)}, node, "accept") is True
