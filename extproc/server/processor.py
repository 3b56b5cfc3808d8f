"""What is served: Envoy's external processor, and its health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.exchange.exchange import Exchange
from extproc.exchange.watch import UNWATCHED, Watch
from extproc.headers import GRAPH_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.engine.seams import Seams
    from extproc.engine.traceparent import Traceparent
    from extproc.exchange.exchange import Plans
    from extproc.server.conversation import Conversation

PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
CHECK = "/grpc.health.v1.Health/Check"
# HealthCheckResponse.status, field 1: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class Processor:
    """Opens a conversation for each stream: an exchange, or a health check."""

    def __init__(self, plans: Plans, seams: Seams, watch: Watch = UNWATCHED) -> None:
        self._plans = plans
        self._seams = seams
        self._watch = watch
        self.serving = True

    def __repr__(self) -> str:
        """Say whether it wants requests."""
        return f"<Processor {'serving' if self.serving else 'draining'} {self._plans!r}>"

    def open(
        self, path: str, metadata: Mapping[str, str], traceparent: Traceparent | None = None
    ) -> Conversation | None:
        """Return the conversation for a method, None for one that is not served. Raises ProtocolError."""
        if path == PROCESS:
            return Exchange(self._plans, metadata.get(GRAPH_HEADER), self._seams, self._watch, traceparent)
        if path == CHECK:
            return HealthCheck(serving=self.serving)
        return None


class HealthCheck:
    """One health check: a question, an answer."""

    done = True

    def __init__(self, *, serving: bool) -> None:
        self._answer = SERVING if serving else NOT_SERVING

    def feed(self, _message: bytes) -> bytes:
        """Return the health, whichever service is asked for."""
        return self._answer

    def gone(self) -> None:
        """Do nothing: there is nothing to give up."""
