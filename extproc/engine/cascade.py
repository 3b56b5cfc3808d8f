"""cascade: the first 2xx response that is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.calling import Reply
from extproc.engine.result import Result
from extproc.engine.views import ResponseView
from extproc.errors import BadRequest
from extproc.expr import EvaluationError

if TYPE_CHECKING:
    from extproc.engine.payload import Payload
    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.expr import Program
    from extproc.plan.plan import CascadePlan


async def run_cascade(run: Run, node: CascadePlan, payload: Payload, deadline: float, trail: Trail) -> Result:
    """Try the routes in turn; the last one's response is the answer whatever it is."""
    result: Result | None = None
    for target, accept in node.routes[:-1]:
        result = await run.evaluate(target, payload, deadline, trail)
        if isinstance(result, Reply) and result.ok and (accept is None or _accepted(run, accept, result, node.name)):
            return result
        if run.seams.now() >= deadline:
            return result
    return await run.evaluate(node.routes[-1][0], payload, deadline, trail)


def _accepted(run: Run, accept: Program, reply: Reply, node: str) -> bool:
    try:
        return accept(run.activation | {"response": ResponseView(reply)}) is True
    except EvaluationError as error:
        raise BadRequest(422, "bad_expression", f"accept could not be computed: {error}", node) from None
