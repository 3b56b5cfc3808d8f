"""Which challengers were promoted: kept in the state folder, applied to the graphs of the files while these stay.

A promotion belongs to the challenge node as the file has it. When somebody edits that node, the node wins.
"""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.errors import GraphError
from extproc.graph import Graph
from extproc.graph.challenged import challenged, exchanged
from extproc.graph.checks import check
from extproc.graph.graph import digest, written
from extproc.graph.read import read
from extproc.graph.report import Report
from extproc.supervisor.state import read_json
from extproc.supervisor.state import written as write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE = "promotions.json"
MOST_STEPS = 100  # promotions of one graph that can be rolled back: older ones are history, which decisions keep

log = logging.getLogger(__name__)


class Step(msgspec.Struct, frozen=True):
    """A promotion: who was promoted and when, and the challenge node since then."""

    challenger: str
    at: float
    forced: bool
    challenge: dict[str, Any]


class Promoted(msgspec.Struct, frozen=True):
    """The promotions of one graph, oldest first; ``node`` is the digest of the file's challenge node."""

    node: str
    steps: list[Step]


class _Document(msgspec.Struct):
    graphs: dict[str, Promoted] = {}


class Promotions:
    """The promotions in force."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        document = read_json(self._file, _Document)
        self._graphs: dict[str, Promoted] = document.graphs if isinstance(document, _Document) else {}
        self._files: dict[str, Graph] = {}

    def __repr__(self) -> str:
        """Say how many graphs have any."""
        return f"<Promotions of {len(self._graphs)} graphs>"

    def applied(self, graphs: Iterable[Graph]) -> list[Graph]:
        """Return the graphs of the files with what was promoted; forget what a file's edit has overtaken."""
        found = []
        for graph in graphs:
            self._files[graph.name] = graph
            self._check(graph)
            found.append(self.current(graph.name))
        return found

    def _check(self, graph: Graph) -> None:
        promoted = self._graphs.get(graph.name)
        if promoted is None:
            return
        last = promoted.steps[-1].challenger
        why = self._overtaken(graph, promoted)
        if why is None:
            log.warning("graph %s: the promotion of %s is in effect", graph.name, last)
        else:
            log.warning("graph %s: %s, so the promotion of %s is no longer in effect", graph.name, why, last)
            self._save({name: one for name, one in self._graphs.items() if name != graph.name})

    def _overtaken(self, graph: Graph, promoted: Promoted) -> str | None:
        if promoted.node != node_digest(graph):
            return "its challenge was edited"
        try:
            _check_sound(self.current(graph.name))
        except GraphError as error:
            return f"what was edited does not go with it ({error})"
        return None

    def current(self, name: str) -> Graph:
        """Return a graph as it is in force."""
        promoted = self._graphs.get(name)
        return self._files[name] if promoted is None else _with(self._files[name], promoted.steps[-1].challenge)

    def promote(self, name: str, challenger: str, at: float, *, forced: bool) -> Graph:
        """Exchange champion and challenger; return the graph.

        Raises GraphError where there is no such challenger, and where the graph has rules that it would break.
        """
        graph = exchanged(self.current(name), challenger)
        _check_sound(graph)
        found = challenged(graph.document.spec)
        steps = list(self._graphs[name].steps) if name in self._graphs else []
        steps.append(Step(challenger, at, forced, written(found.challenge) if found else {}))
        self._save(self._graphs | {name: Promoted(node_digest(self._files[name]), steps[-MOST_STEPS:])})
        return graph

    def roll_back(self, name: str) -> Graph | None:
        """Undo the last promotion; return the graph, None where there is none."""
        if name not in self._graphs:
            return None
        steps = self._graphs[name].steps[:-1]
        rest = {graph: one for graph, one in self._graphs.items() if graph != name}
        self._save(rest | ({name: Promoted(self._graphs[name].node, steps)} if steps else {}))
        return self.current(name)

    @property
    def kept(self) -> Mapping[str, Promoted]:
        """What is kept now, for ``restore``."""
        return self._graphs

    def restore(self, kept: Mapping[str, Promoted]) -> None:
        """Keep what was kept before: what came since did not get into force."""
        self._graphs = dict(kept)  # also where that cannot be written
        self._save(dict(kept))

    def last(self, name: str) -> Step | None:
        """Return a graph's last promotion, None where it has none."""
        return self._graphs[name].steps[-1] if name in self._graphs else None

    def _save(self, graphs: dict[str, Promoted]) -> None:
        write_file(self._file, msgspec.json.format(msgspec.json.encode(_Document(graphs))))
        self._graphs = graphs


def node_digest(graph: Graph) -> str:
    """Return the digest of a graph's challenge node; of none where it has none."""
    found = challenged(graph.document.spec)
    return digest(None if found is None else written(found.challenge))


def _check_sound(graph: Graph) -> None:
    """Raise GraphError for a graph that the loader would refuse: ``whenAway: open`` needs a champion that is a model."""
    reading = read(msgspec.json.encode(graph.raw))
    report = Report(graph.source, reading.text, reading.documents[0])
    check(graph.document, report)
    for problem in report.problems:
        if problem.severity == "error":
            raise GraphError(f"{problem.path}: {problem.message}")


def _with(graph: Graph, challenge: dict[str, Any]) -> Graph:
    found = challenged(graph.document.spec)
    raw = copy.deepcopy(graph.raw)
    if found is not None:
        node: Any = raw
        for key in found.path[:-1]:
            node = node[key]
        node[found.path[-1]] = challenge
    return Graph.from_raw(raw, graph.source)
