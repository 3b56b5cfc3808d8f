"""What the engine and those beside it tell of a run that is traced; ``telemetry/`` makes spans of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from extproc.engine.seams import Seams


class CallWatch(Protocol):
    """Is told how one call goes on, attempt by attempt."""

    def attempt(self, number: int, *, hedge: bool) -> None:
        """Another attempt begins, the first one apart; a ``hedge`` runs beside the first."""

    def ended(self, attempts: int, *, hedged: bool) -> None:
        """The call has ended, with all the attempts that Envoy made too."""


class Trace(Protocol):
    """A span under way, a request's or a challenger's leg's. ``id`` is its trace's, as 32 hexadecimal digits."""

    @property
    def id(self) -> str:
        """Return the trace's id."""
        ...

    def seams(self, seams: Seams) -> Seams:
        """Return seams that tell this span of decisions, and make each call a span below it."""
        ...

    def challenger(self, name: str) -> LegTrace:
        """Begin the span of a challenger's leg: marked as such, and linked to the request's."""
        ...


class LegTrace(Trace, Protocol):
    """The span of a challenger's leg."""

    def ended(self, outcome: str) -> None:
        """End it; the first time counts."""
