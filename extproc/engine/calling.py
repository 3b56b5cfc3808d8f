"""Sub-calls as values: what is asked of a caller, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.engine.tracing import CallWatch
    from extproc.plan.model import ModelPlan


class Cause(Enum):
    """Why a call brought no usable response, whatever library carried it."""

    CONNECT = "connect"
    RESET = "reset"
    TIMEOUT = "timeout"
    STATUS = "status"
    OVERLOADED = "overloaded"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class SubCall:
    """One call of a model. ``deadline`` is when the whole reply must be there, by the event loop's clock.

    ``target`` and ``authority`` are the client's own path with query and host: the model's route rewrites them.
    ``headers`` are ready to be sent: lower-case, without hop-by-hop and control headers. ``began`` is when it was made.
    ``node`` is whose call it is; ``watch`` is told of its attempts.
    """

    model: ModelPlan
    method: str
    target: str
    authority: str
    headers: Mapping[str, str]
    body: bytes | None
    deadline: float
    began: float = 0.0
    node: str = ""
    watch: CallWatch | None = None


@dataclass(frozen=True)
class Reply:
    """A model's whole response, of any status; ``headers`` are pairs in order, names lower-case, hop-by-hop ones gone.

    ``latency`` is what Envoy measured from its request's first byte to the response's, in seconds, where it tells;
    ``began`` is the call's.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    latency: float | None = field(default=None, compare=False)
    began: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status <= 299  # noqa: PLR2004 - the class of statuses itself

    @cached_property
    def header_map(self) -> dict[str, str]:
        """The headers by name, repeated ones joined with a comma."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            found[name] = f"{found[name]},{value}" if name in found else value
        return found


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that brought no response, after all its attempts. ``cause`` is never STATUS."""

    model: str
    cause: Cause


class Caller(Protocol):
    """Makes sub-calls. Failures are values: nothing is raised but the caller's own cancellation.

    A call that is cancelled is cut off at once, its attempts and hedges with it.
    """

    async def call(self, call: SubCall) -> Reply | Failed:
        """Call a model: with its retries, hedge, timeout and concurrency limit, within the deadline."""
        ...
