"""Which metrics queries name, and which there are."""

from __future__ import annotations

import re

from extproc.admin.metrics import CHALLENGE_REQUESTS, CHALLENGE_VERDICT, METRICS, Described

# Of Prometheus itself: whether a target could be scraped.
OWN = {"up": ("job", "instance")}
EVERYWHERE = ("job", "instance")
_NAME = re.compile(r"\b(?:extproc_[a-z_]+|up\b)(?:\{([^}]*)\})?")
_SELECTED = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)")


def exposed() -> dict[str, tuple[str, ...]]:
    """The labels of every series of the admin address, by its name."""
    found: dict[str, tuple[str, ...]] = dict(OWN)
    for metric in (*METRICS.values(), CHALLENGE_REQUESTS, CHALLENGE_VERDICT):
        found.update({name: (*labels, *EVERYWHERE) for name, labels in _series(metric)})
    return found


def _series(metric: Described) -> list[tuple[str, tuple[str, ...]]]:
    if not metric.bounds:
        return [(metric.exposed, metric.labels)]
    parts = [(f"{metric.name}_sum", metric.labels), (f"{metric.name}_count", metric.labels)]
    return [*parts, (f"{metric.name}_bucket", (*metric.labels, "le"))]


def wrong(expression: str) -> list[str]:
    """What a query asks for that is not there: metrics, and labels that none of its metrics has."""
    known = exposed()
    named = [(match[0].partition("{")[0], match[1] or "") for match in _NAME.finditer(expression)]
    missing = [f"no metric {name}" for name, _ in named if name not in known]
    missing += [
        f"no label {label} of {name}"
        for name, selectors in named
        for label in _SELECTED.findall(selectors)
        if label not in known.get(name, (label,))
    ]
    grouped = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",") if label.strip()}
    has = {label for name, _ in named for label in known.get(name, ())}
    return missing + [f"no label {label} to group by" for label in sorted(grouped - has)] or _none(named)


def _none(named: list[tuple[str, str]]) -> list[str]:
    return [] if named else ["no metric at all"]
