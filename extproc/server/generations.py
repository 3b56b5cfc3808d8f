"""The plans in force: the newest generation, and the one before it, whose requests are still under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.plan.match import fits, specific_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.graph.document import Match
    from extproc.plan.plan import Plan

KEPT = 2  # DESIGN.md: Envoy's routes and ours change within milliseconds of one another, never two reloads apart


class Generations:
    """Plans by ``graph@hash``, of the newest generations."""

    def __init__(self) -> None:
        self._kept: list[Sequence[Plan]] = []
        self._by_id: dict[str, Plan] = {}
        self._by_match: list[tuple[Match, Plan]] = []

    def __repr__(self) -> str:
        """Say the plans at hand."""
        return f"<Generations {' '.join(self._by_id)}>"

    def load(self, plans: Sequence[Plan]) -> None:
        """Put a generation in force; the oldest one beyond two is forgotten."""
        self._kept = [plans, *self._kept][:KEPT]
        self._by_id = {plan.id: plan for generation in reversed(self._kept) for plan in generation}
        self._by_match = specific_first((match, plan) for plan in plans for match in plan.match)

    @property
    def current(self) -> Sequence[Plan]:
        """The newest generation."""
        return self._kept[0] if self._kept else ()

    def by_id(self, name: str) -> Plan | None:
        """Return the plan that Envoy's route named."""
        return self._by_id.get(name)

    def by_match(self, host: str, path: str, headers: Mapping[str, str]) -> Plan | None:
        """Return the plan a request enters where no route told: the most specific match."""
        return next((plan for match, plan in self._by_match if fits(match, host, path, headers)), None)
