"""What happened to a challenge: guardrails over time, and decisions. Both are kept as JSON that is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from extproc.challenge.document import Decision, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.challenge.guardrails import Rail, Verdict
    from extproc.challenge.store import history
    from extproc.graph.document import Guardrails


def point(verdict: Verdict, pairs: int) -> dict[str, Any]:
    """Return the figures to keep of one time: of how many pairs, and each guardrail's value, low and high."""
    return {
        "samples": pairs,
        "guardrails": {name: _sequence(rail) for name, rail in verdict.rails.items() if rail.samples},
    }


def decided(verdict: Verdict, rails: Guardrails, confidence: float) -> dict[str, Any]:
    """Return the figures to keep of a decision: the verdict, the rule that was asked, and the guardrails' figures."""
    return {
        "verdict": verdict.verdict,
        "rule": {"confidence": confidence, **_asked(rails)},
        "guardrails": {name: _figures(rail) for name, rail in verdict.rails.items()},
    }


def moments(points: Iterable[history.Point], now: float, figures: dict[str, Any]) -> tuple[Moment, ...]:
    """Return the guardrails over time, up to now. What was kept in a form that is not known is left out."""
    kept = [(one.at, one.figures) for one in points if one.at < now]
    found = (_moment(at, said) for at, said in [*kept, (now, figures)])
    return tuple(one for one in found if one is not None and one.guardrails)


def decision(kept: history.Decision) -> Decision:
    """Return a decision as a report shows it."""
    figures = dict(kept.figures) if isinstance(kept.figures, dict) else {}
    verdict = figures.pop("verdict", None)
    rule = figures.pop("rule", None)
    return Decision(
        at=kept.at,
        generation=kept.generation or None,
        challenger=kept.challenger or None,
        event=kept.event,
        verdict=verdict if isinstance(verdict, str) else None,
        forced=kept.forced,
        rule=rule,
        figures=(figures or None) if isinstance(kept.figures, dict) else kept.figures,
    )


def _moment(at: float, figures: Any) -> Moment | None:
    try:
        return msgspec.convert({"at": at, **figures}, Moment)
    except (msgspec.ValidationError, TypeError):
        return None


def _sequence(rail: Rail) -> tuple[float | None, float | None, float | None]:
    return rail.value, rail.low, rail.high


def _figures(rail: Rail) -> dict[str, Any]:
    return {
        "verdict": rail.verdict,
        "value": rail.value,
        "low": rail.low,
        "high": rail.high,
        "samples": rail.samples,
    }


def _asked(rails: Guardrails) -> dict[str, Any]:
    """Return the guardrails as the graph says them."""
    asked: dict[str, Any] = msgspec.to_builtins(rails)
    return {name: said for name, said in asked.items() if said is not None}
