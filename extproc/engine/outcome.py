"""How a graph ends: with a call that Envoy makes, or with an answer computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from extproc.engine.payload import Payload
    from extproc.plan.model import ModelPlan


@dataclass(frozen=True, slots=True)
class TailCall:
    """Envoy makes the last call itself; ``route`` is what the client is shown of the way there.

    ``payload`` None leaves the request as it is. ``timeout`` is what one attempt may take, in seconds, where that is
    not what the model's route says anyway.
    """

    model: ModelPlan
    route: str
    payload: Payload | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response computed here. ``details`` is for Envoy's access log and holds nothing of a request.

    ``model`` is whose fault it was, where it was a model's.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    route: str
    details: str
    model: str = ""


Outcome: TypeAlias = TailCall | Answer
