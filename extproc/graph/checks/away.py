"""``whenAway: open`` needs a model that everything can go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.graph.away import led_to
from extproc.graph.walk import flatten

if TYPE_CHECKING:
    from extproc.graph.document import Spec
    from extproc.graph.report import Report

PATH = ("spec", "whenAway")


def check(spec: Spec, report: Report) -> None:
    """Refuse ``open`` where no model follows from the root without a decision."""
    if spec.when_away != "open" or not report.sound(("spec", "nodes")) or not report.sound(("spec", "models")):
        return
    if led_to(spec, flatten(spec)) is None:
        report.error(
            PATH,
            "open, but no model can take everything: a split leads to its heaviest route, a switch to its default, "
            "a fallback to its first route, a challenge to its champion, and here none of them ends in a model",
        )
