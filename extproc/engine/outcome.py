"""How a graph ends: with a call that Envoy makes, or with an answer computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from extproc.headers import DETAILS_PREFIX

if TYPE_CHECKING:
    from extproc.engine.payload import Payload
    from extproc.plan.model import ModelPlan

# A respond's own answer or an output's, and a sub-call's response passed on.
_WANTED = frozenset({"made", "sub_call"})


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

    @property
    def code(self) -> str:
        """The error's code; empty where the graph's author or a model wanted the answer so."""
        code = self.details.removeprefix(DETAILS_PREFIX)
        return "" if code in _WANTED else code


Outcome: TypeAlias = TailCall | Answer
