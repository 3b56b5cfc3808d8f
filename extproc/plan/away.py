"""Where requests go when the processor is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

from extproc.errors import GraphError
from extproc.plan.plan import Call, PlanNode, RespondPlan, SplitPlan, SwitchPlan
from extproc.plan.reads import reachable

if TYPE_CHECKING:
    from extproc.plan.model import ModelPlan


def away_model(root: PlanNode, when_away: Literal["open", "closed"] | None, place: str) -> ModelPlan | None:
    """Return the model that takes everything while no processor answers, None where the graph closes.

    ``when_away`` is the graph's own word. Raises GraphError at ``place`` when it says open and no model follows.
    """
    if when_away == "closed":
        return None
    model = _led_to(root)
    if when_away == "open" and model is None:
        raise GraphError(f"{place}: open, but no model follows: no default, no heaviest route that ends in a model")
    if when_away is None and any(isinstance(node, RespondPlan) for node in reachable(root)):
        return None
    return model


def _led_to(node: PlanNode | None) -> ModelPlan | None:
    while True:
        match node:
            case None | RespondPlan():
                return None
            case Call():
                return node.model
            case SplitPlan():
                heaviest = max(node.lots.entries, key=lambda entry: entry[1])
                node = node.branches[heaviest[0]].target
            case SwitchPlan():
                node = node.default.target if node.default else None
            case _:
                assert_never(node)
