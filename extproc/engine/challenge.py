"""challenge: the champion's answer, and a pair that is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.result import Made, Result, Tail

if TYPE_CHECKING:
    from extproc.engine.payload import Payload
    from extproc.engine.run import Run
    from extproc.engine.trail import Trail
    from extproc.plan.plan import ChallengePlan, PlanNode


async def run_challenge(  # noqa: PLR0913, PLR0917 - a node's run, and which champion was chosen
    run: Run, node: ChallengePlan, champion: PlanNode | Made, payload: Payload, deadline: float, trail: Trail
) -> Result:
    """Run the champion. Challengers are somebody else's: nothing here waits for them."""
    pair = run.reached(node, seen=run.whole)
    if pair is None:
        return await run.evaluate(champion, payload, deadline, trail)
    wanted = pair.begin(payload)
    try:
        result = await run.evaluate(champion, payload, deadline, trail)
    except BaseException:
        pair.left()
        raise
    if not isinstance(result, Tail):
        pair.answered(result)
    elif wanted:
        run.pair = pair
        pair.handed_over(result.model)
    return result
