"""Each kind of node by its own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from extproc.graph.checks import cascade, chain, challenge, ensemble, fallback, respond, split, switch
from extproc.graph.checks.wording import one_of
from extproc.graph.document import (
    KIND_NAMES,
    Cascade,
    Chain,
    Challenge,
    Ensemble,
    Fallback,
    Kind,
    Respond,
    Spec,
    Split,
    Switch,
)
from extproc.graph.problems import show_path
from extproc.graph.walk import places

if TYPE_CHECKING:
    from extproc.graph.problems import Path
    from extproc.graph.report import Report


def check(spec: Spec, report: Report) -> None:
    """All nodes, inline ones too."""
    challenges: list[Path] = []
    for place in places(spec):
        one_of(report, place.path, "a node", KIND_NAMES)
        for key in KIND_NAMES:
            body: Kind | None = getattr(place.node, key)
            if body is not None:
                _kind(body, (*place.path, key), report)
        if place.node.challenge:
            challenges.append((*place.path, "challenge"))
    for path in challenges[1:]:
        report.error(path, f"a graph holds at most one challenge; another is {show_path(challenges[0])}")


def _kind(body: Kind, path: Path, report: Report) -> None:
    match body:
        case Split():
            split.check(body, path, report)
        case Switch():
            switch.check(body, path, report)
        case Chain():
            chain.check(body, path, report)
        case Ensemble():
            ensemble.check(body, path, report)
        case Fallback():
            fallback.check(body, path, report)
        case Cascade():
            cascade.check(body, path, report)
        case Challenge():
            challenge.check(body, path, report)
        case Respond():
            respond.check(body, path, report)
        case _:
            assert_never(body)
