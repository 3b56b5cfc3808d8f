"""Why a verdict is what it is, in a sentence or two for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge.wording import between, bound, count, figure, setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.challenge.document import Rail
    from extproc.challenge.guardrails import Verdict


def reason(verdict: Verdict, shown: Mapping[str, Rail], confidence: float) -> str:
    """Return the reason for a verdict; ``shown`` are its guardrails as the report has them."""
    if not shown:
        return "The graph sets no guardrail, so there is no verdict to come to."
    match verdict.verdict:
        case "promote":
            return f"Every guardrail holds with {setting(confidence)} confidence: {listed(list(shown))}."
        case "reject":
            broken = [_broken(name, shown[name]) for name, rail in verdict.rails.items() if rail.rejects]
            return " ".join(broken)
        case "collecting":
            return _collecting(shown)


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _broken(name: str, rail: Rail) -> str:
    known = between(name, rail.low, rail.high, rail.bound.metric)
    value = figure(name, rail.value, rail.bound.metric)
    return f"{name.capitalize()} is {value} ({known}), and {bound(name, rail.bound)} is asked."


def _collecting(shown: Mapping[str, Rail]) -> str:
    waiting = [name for name, rail in shown.items() if not rail.samples]
    doubted = [name for name, rail in shown.items() if rail.verdict == "fail"]
    undecided = [
        _undecided(name, rail)
        for name, rail in shown.items()
        if rail.samples and rail.verdict in ("collecting", "inconclusive")
    ]
    parts = [
        f"No sample yet for {listed(waiting)}." if waiting else "",
        f"Not decided: {listed(undecided)}." if undecided else "",
        f"Broken, but not clearly enough to reject for: {listed(doubted)}." if doubted else "",
    ]
    return " ".join(part for part in parts if part)


def _undecided(name: str, rail: Rail) -> str:
    return f"{name} (about {count(rail.needed)} more samples)" if rail.needed else f"{name} (too close to its bound)"
