"""chain: steps that may read the answers of earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.checks.expressions import Reads, expression, template
from extproc.graph.checks.wording import not_empty
from extproc.graph.problems import did_you_mean, quote

if TYPE_CHECKING:
    from extproc.graph.document import Chain, Step
    from extproc.graph.problems import Path
    from extproc.graph.report import Report

VARIABLES = ("request", "steps")
AUTO = "auto"
"""The one text that is no template: the previous response turned into the next model's request."""


def check(chain: Chain, path: Path, report: Report) -> None:
    """Steps, each reading earlier ones only."""
    not_empty(report, (*path, "steps"), chain.steps)
    names = [step.name for step in chain.steps]
    for index, step in enumerate(chain.steps):
        _step(step, (*path, "steps", index), names[:index], names, report)
    reads = template(report, (*path, "output"), chain.output, VARIABLES)
    _steps_read(report, (*path, "output"), reads, names, names)


def _step(step: Step, path: Path, earlier: list[str], names: list[str], report: Report) -> None:
    reads = expression(report, (*path, "when"), step.when, VARIABLES)
    _steps_read(report, (*path, "when"), reads, earlier, names)
    if step.input != AUTO:
        reads = template(report, (*path, "input"), step.input, VARIABLES)
        _steps_read(report, (*path, "input"), reads, earlier, names)
    elif not earlier and path[-1] == 0:
        report.error((*path, "input"), "the first step has no step before it to take its input from")


def _steps_read(report: Report, path: Path, reads: Reads, earlier: list[str], names: list[str]) -> None:
    for name in sorted({read[1] for read in reads if read[0] == "steps" and len(read) > 1} - set(earlier)):
        if name in names:
            report.error(path, f"the step {quote(name)} does not come before this one")
        elif all(names):
            report.error(path, f"no step named {quote(name)}{did_you_mean(name, earlier)}")
