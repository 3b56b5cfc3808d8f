"""ensemble: members called at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.chain import AUTO
from extproc.graph.checks.expressions import Reads, template
from extproc.graph.checks.wording import not_empty
from extproc.graph.problems import did_you_mean, quote

if TYPE_CHECKING:
    from extproc.graph.document import Ensemble
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(ensemble: Ensemble, path: Path, report: Report) -> None:
    """Members, as many of them as required, and one way to combine them."""
    members = (*path, "members")
    not_empty(report, members, ensemble.members)
    count = len(ensemble.members)
    if ensemble.require and count and ensemble.require > count and report.sound((*path, "require")):
        report.error((*path, "require"), f"{ensemble.require} must succeed of {count} members")
    if len(report.given(path, ("combine", "output"))) > 1:
        report.error((*path, "output"), "an ensemble has combine or output, not both", report.key((*path, "output")))
    for index, member in enumerate(ensemble.members):
        template(report, (*members, index, "input"), member.input, ("request",))
        if member.input == AUTO:
            report.error((*members, index, "input"), "auto goes with the steps of a chain: a member has none before it")
    _weights(ensemble, members, report)
    reads = template(report, (*path, "output"), ensemble.output, ("request", "members"))
    _names(ensemble, (*path, "output"), reads, report)


def _weights(ensemble: Ensemble, members: Path, report: Report) -> None:
    if ensemble.members and report.sound(members) and not any(member.weight > 0 for member in ensemble.members):
        report.error(members, "at least one weight must be above 0")


def _names(ensemble: Ensemble, path: Path, reads: Reads, report: Report) -> None:
    known = [member.name for member in ensemble.members]
    for name in sorted({read[1] for read in reads if read[0] == "members" and len(read) > 1} - set(known)):
        if all(known):
            report.error(path, f"no member named {quote(name)}{did_you_mean(name, known)}")
