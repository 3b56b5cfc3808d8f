"""Whether a challenger sees a request: sticky by the hash that splits use, else by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.errors import BadRequest
from extproc.plan.sticky import uniform

if TYPE_CHECKING:
    from extproc.engine.run import Run
    from extproc.plan.plan import ChallengerPlan


def sampled(run: Run, challenger: ChallengerPlan, node: str) -> bool:
    """Draw: a key is sampled when its uniform number is below the share, so that a larger share keeps the sampled keys.

    Without a key, where it is missing or empty, or in a body that cannot be read, chance decides: a challenge fails nothing.
    """
    if challenger.sample >= 1:
        return True
    text = _key(run, challenger, node)
    if text:
        return uniform(challenger.prefix, text.encode("utf-8", "surrogatepass")) < challenger.sample
    return run.seams.random.random() < challenger.sample


def _key(run: Run, challenger: ChallengerPlan, node: str) -> str:
    if challenger.by is None:
        return ""
    try:
        return run.key(challenger.by, node)[1]
    except BadRequest:
        return ""
