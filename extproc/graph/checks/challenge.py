"""challenge: a champion, and challengers that are compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.expressions import expression
from extproc.graph.checks.wording import not_empty

if TYPE_CHECKING:
    from extproc.graph.document import Challenge, Compare, Guardrails
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(challenge: Challenge, path: Path, report: Report) -> None:
    """Challengers, what is compared, and figures in their ranges."""
    challengers = (*path, "challengers")
    not_empty(report, challengers, challenge.challengers)
    for index, challenger in enumerate(challenge.challengers):
        expression(report, (*challengers, index, "by"), challenger.by, ("request",))
        if challenger.sample == 0 and report.sound((*challengers, index, "sample")):
            report.warn((*challengers, index, "sample"), "this challenger never sees a request")
    if not 0 < challenge.confidence < 1 and report.sound((*path, "confidence")):
        report.error((*path, "confidence"), "expected a confidence between 0% and 100%, both excluded")
    _compare(challenge.compare, (*path, "compare"), report)
    _guardrails(challenge.guardrails, (*path, "guardrails"), report)


def _compare(compare: Compare, path: Path, report: Report) -> None:
    expression(report, (*path, "value"), compare.value, ("request", "response"))
    expression(report, (*path, "by"), compare.by, ("request",))
    if compare.tolerance is None or not report.sound((*path, "tolerance")):
        return
    if compare.tolerance < 0:
        report.error((*path, "tolerance"), "a tolerance is at least 0")
    if compare.kind in {"label", "text"}:
        report.error((*path, "tolerance"), f"a tolerance goes with number or vector, not with {compare.kind}")


def _guardrails(rails: Guardrails, path: Path, report: Report) -> None:
    if rails.latency and rails.latency.p95_ratio <= 0 and report.sound((*path, "latency", "p95Ratio")):
        report.error((*path, "latency", "p95Ratio"), "a ratio is above 0")
    _reachable(rails, path, report)
    if rails.truth and not -1 <= rails.truth.min_gain <= 1 and report.sound((*path, "truth", "minGain")):
        report.error((*path, "truth", "minGain"), "a gain is from -1 to 1")


def _reachable(rails: Guardrails, path: Path, report: Report) -> None:
    """Warn of what no number of samples can show: that something never fails at all."""
    unreachable = (
        (rails.agreement and rails.agreement.min >= 1, ("agreement", "min"), "that all agree"),
        (rails.errors and rails.errors.max <= 0, ("errors", "max"), "that none fails"),
        (rails.truth and rails.truth.min_gain == 1, ("truth", "minGain"), "a gain of everything"),
    )
    for asked, place, what in unreachable:
        if asked and report.sound((*path, *place)):
            report.warn((*path, *place), f"no number of samples can show {what}: this guardrail never passes")
