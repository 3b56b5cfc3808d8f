"""A model as the plan knows it: where calls go, on which path, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from extproc.graph.document import Cause, Model

DEFAULT_PORTS = {"http": 80, "https": 443}
SHORTEST_ATTEMPT = 0.001  # Envoy counts whole milliseconds, and takes none for no timeout at all
DEFAULT_ATTEMPTS = 2  # the contract's default: one more attempt where nothing was sent yet


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a model; a name is resolved by Envoy."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often a call is tried; ``on`` None means connect and reset before the request was sent."""

    attempts: int
    on: tuple[Cause, ...] | None
    backoff: float

    @property
    def repeats_timeouts(self) -> bool:
        """Whether an attempt that timed out is followed by another (for Envoy a reset and a timeout are one)."""
        return self.attempts > 1 and self.on is not None and ("timeout" in self.on or "reset" in self.on)


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model with its graph: ``key`` (``fraud/fraud-v2``) is what a request carries to its route."""

    graph: str
    name: str
    document: Model
    endpoints: tuple[Endpoint, ...]
    secure: bool
    path: str | None
    authority: str | None

    @property
    def key(self) -> str:
        """The value of ``x-extproc-model`` that leads to this model."""
        return f"{self.graph}/{self.name}"

    @property
    def retries(self) -> RetryRule:
        """The rule for trying again, defaults filled in."""
        rule = self.document.retries
        if rule is None:
            return RetryRule(DEFAULT_ATTEMPTS, None, 0.025)
        if isinstance(rule, int):
            return RetryRule(rule, None, 0.025)
        return RetryRule(rule.attempts, rule.on, rule.backoff)

    def attempt_timeout(self, left: float) -> float:
        """Return the seconds one attempt may take until response headers, with ``left`` seconds to the deadline.

        Where a timed-out attempt is tried again, all attempts together fit what is left.
        """
        rule = self.retries
        share = left / rule.attempts if rule.repeats_timeouts else left
        return max(min(share, self.document.timeout or share), SHORTEST_ATTEMPT)

    def __repr__(self) -> str:
        """Say the model's key."""
        return f"<ModelPlan {self.key}>"


def plan_model(graph: str, name: str, document: Model) -> ModelPlan:
    """Resolve a model's document: endpoints, path and authority from its url(s), or a cluster of Envoy's own."""
    urls = document.urls or ((document.url,) if document.url else ())
    if not urls:
        return ModelPlan(graph, name, document, (), secure=False, path=document.path, authority=document.host)
    parts = [urlsplit(url) for url in urls]
    first = parts[0]
    endpoints = tuple(Endpoint(part.hostname or "", part.port or DEFAULT_PORTS[part.scheme]) for part in parts)
    return ModelPlan(
        graph,
        name,
        document,
        endpoints,
        secure=first.scheme == "https",
        path=first.path or None,
        authority=first.netloc,
    )
