"""What comes of a node: a response, a failure, or the call that Envoy makes itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from extproc.engine.calling import Cause, Reply

if TYPE_CHECKING:
    from extproc.engine.payload import Payload
    from extproc.graph.document import Cause as Listed
    from extproc.plan.model import ModelPlan


@dataclass(frozen=True)
class Made(Reply):
    """A response made here, by a ``respond``, an ``output`` or a combination: whatever its status, it is the answer.

    ``details`` is what Envoy's access log says of it.
    """

    details: str = "extproc.made"


@dataclass(frozen=True, slots=True)
class Failure:
    """A node that has no response to give, and whose fault that is.

    ``cause`` STATUS is a sub-call's 5xx, ``status`` then its number. ``part`` says which step or member failed;
    ``counted_alike`` that it answers 502 whatever the cause, as an ensemble's members do; ``why`` says more, and nothing of a body.
    """

    cause: Cause
    model: str
    node: str = ""
    part: str = ""
    status: int = 0
    counted_alike: bool = False
    why: str = ""

    @classmethod
    def of_predictions(cls, why: str, model: str, node: str, part: str) -> Failure:
        """Return the failure of a response that predicts nothing that can be combined."""
        return cls(Cause.STATUS, model, node, part, counted_alike=True, why=why)

    def within(self, node: str, part: str) -> Failure:
        """Name the node and its part, unless something nearer did."""
        return self if self.part else replace(self, node=node, part=part)

    def at(self, node: str) -> Failure:
        """Name the node, unless something nearer did."""
        return self if self.node else replace(self, node=node)

    @property
    def shown(self) -> str:
        """What stands behind ``model!`` in the route."""
        return str(self.status) if self.cause is Cause.STATUS else self.cause.value


@dataclass(frozen=True, slots=True)
class Tail:
    """The call that Envoy makes itself; ``deadline`` is when its response headers must be there."""

    model: ModelPlan
    payload: Payload
    deadline: float


Result: TypeAlias = Reply | Failure | Tail

_LISTED: dict[Cause, Listed] = {
    Cause.CONNECT: "connect",
    Cause.RESET: "reset",
    Cause.TIMEOUT: "timeout",
    Cause.STATUS: "5xx",
    Cause.OVERLOADED: "429",
}
TOO_MANY_REQUESTS = 429
FIRST_SERVER_ERROR = 500


def listed_as(result: Reply | Failure) -> Listed | None:
    """Return the word by which a fallback's ``on`` lists what went wrong, None for what no list holds."""
    if isinstance(result, Failure):
        return "5xx" if result.counted_alike else _LISTED.get(result.cause)
    if result.status == TOO_MANY_REQUESTS:
        return "429"
    return "5xx" if result.status >= FIRST_SERVER_ERROR else None
