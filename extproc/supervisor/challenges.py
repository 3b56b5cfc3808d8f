"""The challenges of the generation in force: how they stand, and who is promoted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extproc.admin.challenges import NotThere, Refused
from extproc.challenge.report import Subject, report
from extproc.challenge.store.failure import StoreError
from extproc.errors import ExtprocError, GraphError
from extproc.graph.challenged import challenge_key, challenged, target_name
from extproc.supervisor.watch import Watch, figures_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from extproc.challenge.store.feedback import Feedback, Taken
    from extproc.graph import Graph
    from extproc.supervisor.book import Book
    from extproc.supervisor.promotions import Promoted, Promotions

PROMOTE = "promote"

log = logging.getLogger(__name__)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """How a champion is changed: what is kept of it, and what puts a graph in force."""

    promotions: Promotions
    load: Callable[[Graph], Coroutine[object, object, None]]


class Challenges:
    """Reports and promotions; without ``changes`` the routes are somebody else's, and champions stay who they are."""

    def __init__(self, book: Book, graphs: Iterable[Graph], changes: Changes | None = None) -> None:
        self._book = book
        self._changes = changes
        self._graphs = {graph.name: graph for graph in graphs}
        self._watch = Watch(book, self._subjects)
        self._changing = asyncio.Lock()
        self._took = 0.0  # seconds that the last change took to be in force

    def __repr__(self) -> str:
        """Say the graphs that hold one."""
        return f"<Challenges of {' '.join(subject.generation for subject in self._subjects())}>"

    async def run(self) -> None:
        """Look at every challenge once a second, until cancelled."""
        await self._watch.run()

    async def latest(self) -> Sequence[Mapping[str, Any]]:
        """Return the report of every challenge as a whole, as it was a second ago at most."""
        return await self._watch.latest()

    async def report(self, graph: str) -> Mapping[str, Any]:
        """Return a challenge's report of this moment. Raises NotThere, StoreError."""
        subject = self._subject(graph)
        return await asyncio.to_thread(report, subject, await self._watch.standing(subject), time.time())

    async def feedback(self, items: Sequence[Feedback]) -> Taken:
        """Take feedback; it is kept when this returns. Raises BadRequest, StoreError."""
        return await self._book.call(self._book.store.feedback, items)

    # --- who is champion

    async def promote(self, graph: str, challenger: str, *, force: bool) -> Mapping[str, Any]:
        """Make a challenger the champion: in effect everywhere when this returns. Raises NotThere, Refused."""
        async with self._changing:
            subject = self._subject(graph)
            changes = self._allowed(graph)
            verdict = _verdict_of(await self._watch.whole(subject), challenger)
            if verdict["verdict"] != PROMOTE and not force:
                raise Refused(f"{challenger} is not promoted: its verdict is {_why(verdict)}")
            forced, kept = verdict["verdict"] != PROMOTE, changes.promotions.kept
            try:
                changed = changes.promotions.promote(graph, challenger, time.time(), forced=forced)
            except GraphError as error:
                raise Refused(f"{challenger} cannot be the champion of {graph}: {error}") from None
            await self._in_force(changes, changed, kept)
            return await self._changed(subject, changed, challenger, "promoted", forced=forced, figures=verdict)

    async def roll_back(self, graph: str) -> Mapping[str, Any]:
        """Undo the last promotion. Raises NotThere, Refused."""
        async with self._changing:
            subject = self._subject(graph)
            changes = self._allowed(graph)
            last, kept = changes.promotions.last(graph), changes.promotions.kept
            changed = changes.promotions.roll_back(graph)
            if last is None or changed is None:
                raise Refused(f"{graph} has no promotion to roll back")
            await self._in_force(changes, changed, kept)
            return await self._changed(subject, changed, last.challenger, "rolled back", forced=False, figures=None)

    def _allowed(self, graph: str) -> Changes:
        if self._changes is None:
            raise Refused(
                f"the routes of {graph} are in an Envoy that somebody else runs: exchange champion and challenger in the "
                "graph's file, and run extproc config"
            )
        return self._changes

    async def _in_force(self, changes: Changes, graph: Graph, before: Mapping[str, Promoted]) -> None:
        """Put a graph in force, or leave everything as it was. Raises what stood in the way."""
        began = time.monotonic()
        try:
            await changes.load(graph)
        except BaseException as error:
            with contextlib.suppress(ExtprocError):
                changes.promotions.restore(before)
            if isinstance(error, Exception):  # else this process ends
                with contextlib.suppress(Exception):
                    await changes.load(self._graphs[graph.name])
            raise
        self._took = time.monotonic() - began

    async def _changed(  # noqa: PLR0913 - what a decision says, each once
        self, subject: Subject, graph: Graph, challenger: str, event: str, *, forced: bool, figures: object
    ) -> Mapping[str, Any]:
        self._graphs[graph.name] = graph
        self._watch.forget(graph.name)
        now = self._subject(graph.name)
        champion = target_name(now.node, "champion", now.challenge.champion)
        log.warning("graph %s: %s %s; its champion is %s", graph.name, challenger, event, champion)
        try:
            # With the evidence it stood on, and with what begins now.
            for one in (subject, now):
                await self._watch.note(one, challenger, event, forced=forced, figures=figures)
        except StoreError as error:
            log.error("%s; that %s was %s is in force and not noted", error, challenger, event)  # noqa: TRY400
        return {
            "graph": graph.name,
            "generation": graph.id,
            "champion": champion,
            "challenger": challenger,
            "event": event,
            "forced": forced,
            "seconds": round(self._took, 3),
        }

    def _subjects(self) -> list[Subject]:
        return [subject for graph in self._graphs.values() if (subject := _subject_of(graph)) is not None]

    def _subject(self, name: str) -> Subject:
        graph = self._graphs.get(name)
        if graph is None:
            raise NotThere(f"no graph named {name} is loaded; loaded are {', '.join(sorted(self._graphs))}")
        subject = _subject_of(graph)
        if subject is None:
            raise NotThere(f"the graph {name} holds no challenge")
        return subject


def _subject_of(graph: Graph) -> Subject | None:
    found = challenged(graph.document.spec)
    if found is None:
        return None
    return Subject(
        graph=graph.name,
        generation=graph.id,
        node=found.node,
        key=challenge_key(graph),
        challenge=found.challenge,
    )


def _verdict_of(document: Document, challenger: str) -> Document:
    for one in document["challengers"]:
        if one["name"] == challenger:
            return figures_of(document, one)
    names = ", ".join(one["name"] for one in document["challengers"])
    raise NotThere(f"{document['graph']} has no challenger {challenger}; it has {names}")


def _why(verdict: Document) -> str:
    """Say a verdict with the guardrails that are in its way."""
    others = [
        f"{name} is {rail['verdict']}" for name, rail in verdict["guardrails"].items() if rail["verdict"] != "pass"
    ]
    why = "; ".join(others) or "the graph has no guardrails"
    return f"{verdict['verdict']} ({why}); --force overrides, and is recorded"
