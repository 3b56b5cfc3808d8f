"""``input: auto``: a response turned into the next model's request, by the protocols of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.payload import JSON, Payload
from extproc.errors import BadRequest
from extproc.plan.plan import Call
from extproc.protocol import NotPredictions, next_input, next_protocol, protocol_of

if TYPE_CHECKING:
    from extproc.plan.plan import PlanNode
    from extproc.protocol import Declared


def translated(before: Payload, origin: PlanNode | None, target: PlanNode, node: str) -> Payload:
    """Return the next request's payload; ``origin`` None: ``before`` is what came into the chain.

    Raises BadRequest (422) where there is no such translation.
    """
    body = before.body or b""
    source = protocol_of(*_told(origin), body)
    declared, path = _told(target)
    model = target.model.name if isinstance(target, Call) else None
    try:
        made = next_input(source, next_protocol(declared, path, source), body, path=path, model=model)
    except NotPredictions as problem:
        raise BadRequest(422, "bad_expression", f"input: auto: {problem.message}", node) from None
    return Payload(made, JSON, made=True)


def _told(node: PlanNode | None) -> tuple[Declared, str | None]:
    """Return what the plan says of a target's protocol: of a node nothing, its response tells."""
    if isinstance(node, Call):
        return node.model.document.protocol, node.model.path
    return "auto", None
