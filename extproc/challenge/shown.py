"""What of a report is shown to people, the same in a terminal and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from extproc.challenge.document import Bound, Estimate, Rail
from extproc.challenge.wording import between, bound, count, figure, number, setting, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.challenge.document import Example

EXACT: Final = 10**15  # integers below are shown in groups of three digits, and longer ones shortened
LONGEST: Final = 160  # characters of a decision's text


def with_itself(noise: Estimate | None) -> Estimate | None:
    """Return the champion's agreement with itself, from its disagreement."""
    if noise is None or noise.value is None or noise.low is None or noise.high is None:
        return None
    return Estimate(value=1 - noise.value, low=1 - noise.high, high=1 - noise.low, samples=noise.samples)


def worst(examples: Sequence[Example], most: int) -> list[Example]:
    """Return the pairs that agree least, the newer first."""
    agreed = [one for one in examples if one.agreement is None]
    known = sorted(
        (one for one in examples if one.agreement is not None), key=lambda one: (one.agreement or 0.0, -one.at)
    )
    return [*known, *agreed][:most]


def differing(one: Example) -> list[tuple[str, Any, Any]]:
    """Return where the legs differ and what both say there: element by element where both are as long."""
    champion, challenger = one.champion, one.challenger
    if not isinstance(champion, list) or not isinstance(challenger, list) or len(champion) != len(challenger):
        return [("", champion, challenger)]
    if len(champion) == 1 and one.places is None:
        return [("", champion[0], challenger[0])]
    return list(_places(champion, challenger, one.places)) or [("", champion, challenger)]


def _places(
    champion: Sequence[Any], challenger: Sequence[Any], places: Sequence[int] | None
) -> Iterator[tuple[str, Any, Any]]:
    for index, (ours, theirs) in enumerate(zip(champion, challenger, strict=True)):
        if ours != theirs:
            place = places[index] if places is not None and index < len(places) else index
            yield f"[{place}]", ours, theirs


def asked(rule: Any) -> list[str]:
    """Return what a decision's rule asked, as the guardrails say it; of another rule, all that is in it."""
    if not isinstance(rule, dict):
        return [said for _, said in flat(rule)]
    return [_asked(str(name), said) for name, said in rule.items()]


def judged(rule: Any, figures: Any) -> list[str]:
    """Return a decision's figures, guardrail by guardrail; of other figures, all that is in them."""
    rails = figures.get("guardrails") if isinstance(figures, dict) else None
    if not isinstance(rails, dict):
        return [f"{name} {said}".strip() for name, said in flat(figures)]
    bounds = rule if isinstance(rule, dict) else {}
    return [_judged(str(name), said, bounds.get(name, {})) for name, said in rails.items()]


def _asked(name: str, said: Any) -> str:
    if name == "confidence" and isinstance(said, float | int):
        return f"{setting(said)} confidence"
    try:
        return f"{name} {bound(name, msgspec.convert(said, Bound))}"
    except msgspec.ValidationError:
        return ", ".join(f"{path} {leaf}" for path, leaf in flat(said, name))


def _judged(name: str, said: Any, limits: Any) -> str:
    try:
        rail = msgspec.convert({**said, "bound": limits}, Rail)
    except (msgspec.ValidationError, TypeError):
        return ", ".join(f"{path} {leaf}" for path, leaf in flat(said, name))
    metric = rail.bound.metric
    known = f"{figure(name, rail.value, metric)} ({between(name, rail.low, rail.high, metric)})"
    return f"{name} {rail.verdict}, {known if rail.samples else 'no sample'}"


def flat(figures: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Return what is in a JSON value, each leaf with its path."""
    match figures:
        case None:
            return
        case dict():
            for key, inner in figures.items():
                yield from flat(inner, f"{name}.{key}" if name else str(key))
        case bool() | str() | list():
            yield name, value(figures, LONGEST)
        case int():
            yield name, count(figures) if abs(figures) < EXACT else value(figures, LONGEST)
        case _:
            yield name, number(figures)
