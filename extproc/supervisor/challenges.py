"""The challenges of the generation in force: how they stand, and who is promoted.

Verdicts are looked at once a second. One that changes is noted with its figures; so are promotions and rollbacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from extproc.admin.challenges import NotThere, Refused
from extproc.challenge.report import Subject, report
from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.history import Decision
from extproc.errors import ExtprocError, GraphError
from extproc.graph.challenged import challenge_key, challenged, target_name

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from extproc.challenge.store.feedback import Feedback, Taken
    from extproc.challenge.store.standing import Standing
    from extproc.graph import Graph
    from extproc.supervisor.book import Book
    from extproc.supervisor.promotions import Promoted, Promotions

LOOK_EVERY = 1.0  # what the admin address shows is at most a second old
POINT_EVERY = 5.0  # seconds between two points of a figure's history: a curve is drawn over minutes to weeks
PROMOTE, VERDICT = "promote", "verdict"

log = logging.getLogger(__name__)

Document = dict[str, Any]


class Challenges:
    """Reports and promotions; ``load`` puts graphs in force."""

    def __init__(
        self,
        book: Book,
        promotions: Promotions,
        graphs: Iterable[Graph],
        load: Callable[[Graph], Coroutine[object, object, None]],
    ) -> None:
        self._book = book
        self._promotions = promotions
        self._load = load
        self._graphs = {graph.name: graph for graph in graphs}
        self._latest: dict[str, Document] = {}
        self._drawn: dict[tuple[str, str], tuple[float, int]] = {}
        self._changing = asyncio.Lock()
        self._took = 0.0  # seconds that the last change took to be in force

    def __repr__(self) -> str:
        """Say the graphs that hold one."""
        return f"<Challenges of {' '.join(subject.generation for subject in self._subjects())}>"

    def latest(self) -> Sequence[Mapping[str, Any]]:
        """Return the report of every challenge, as it was a second ago at most."""
        return list(self._latest.values())

    async def report(self, graph: str) -> Mapping[str, Any]:
        """Return a challenge's report of this moment. Raises NotThere."""
        return await self._reported(self._subject(graph))

    async def feedback(self, items: Sequence[Feedback]) -> Taken:
        """Take feedback; it is kept when this returns."""
        return await self._book.call(self._book.store.feedback, items)

    # --- who is champion

    async def promote(self, graph: str, challenger: str, *, force: bool) -> Mapping[str, Any]:
        """Make a challenger the champion: in effect everywhere when this returns. Raises NotThere, Refused."""
        async with self._changing:
            subject = self._subject(graph)
            before = await self._reported(subject)
            verdict = _verdict_of(before, challenger)
            if verdict["verdict"] != PROMOTE and not force:
                raise Refused(f"{challenger} is not promoted: its verdict is {_why(verdict)}")
            forced, kept = verdict["verdict"] != PROMOTE, self._promotions.kept
            try:
                changed = self._promotions.promote(graph, challenger, time.time(), forced=forced)
            except GraphError as error:
                raise NotThere(str(error)) from None
            await self._in_force(changed, kept)
            return await self._changed(subject, changed, challenger, "promoted", forced=forced, figures=verdict)

    async def roll_back(self, graph: str) -> Mapping[str, Any]:
        """Undo the last promotion. Raises NotThere, Refused."""
        async with self._changing:
            subject = self._subject(graph)
            last, kept = self._promotions.last(graph), self._promotions.kept
            changed = self._promotions.roll_back(graph)
            if last is None or changed is None:
                raise Refused(f"{graph} has no promotion to roll back")
            await self._in_force(changed, kept)
            return await self._changed(subject, changed, last.challenger, "rolled back", forced=False, figures=None)

    async def _in_force(self, graph: Graph, before: Mapping[str, Promoted]) -> None:
        """Put a graph in force, or leave everything as it was. Raises what stood in the way."""
        began = time.monotonic()
        try:
            await self._load(graph)
        except ExtprocError:
            self._promotions.restore(before)
            with contextlib.suppress(ExtprocError):
                await self._load(self._graphs[graph.name])
            raise
        self._took = time.monotonic() - began

    async def _changed(  # noqa: PLR0913 - what a decision says, each once
        self, subject: Subject, graph: Graph, challenger: str, event: str, *, forced: bool, figures: object
    ) -> Mapping[str, Any]:
        self._graphs[graph.name] = graph
        self._latest.pop(graph.name, None)
        now = self._subject(graph.name)
        champion = target_name(now.node, "champion", now.challenge.champion)
        log.warning("graph %s: %s %s; its champion is %s", graph.name, challenger, event, champion)
        try:
            # With the evidence it stood on, and with what begins now.
            for one in (subject, now):
                noted = self._decision(one, challenger, event, forced=forced, figures=figures)
                await self._book.call(self._book.store.note, noted)
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

    # --- looking

    async def run(self) -> None:
        """Look at every challenge once a second, until cancelled."""
        while True:
            for subject in self._subjects():
                try:
                    await self._look(subject)
                except StoreError:
                    self._latest.pop(subject.graph, None)  # the book tells of it
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self, subject: Subject) -> None:
        standing, document = await self._read(subject)
        if self._subject(subject.graph) != subject:
            return  # it was promoted meanwhile
        self._latest[subject.graph] = document
        for one in document["challengers"]:
            await self._note_verdict(subject, standing, one)
            await self._draw(subject, one, document["at"])

    async def _note_verdict(self, subject: Subject, standing: Standing, one: Document) -> None:
        noted = [
            decision
            for decision in standing.decisions
            if decision.event == VERDICT and decision.challenger == one["name"]
        ]
        before = noted[-1].figures["verdict"] if noted else "collecting"
        if one["verdict"] != before:
            decision = self._decision(subject, one["name"], VERDICT, forced=False, figures=_figures(one))
            await self._book.call(self._book.store.note, decision)

    async def _draw(self, subject: Subject, one: Document, at: float) -> None:
        """Keep a point of the history, when something came since the last one."""
        place = subject.key, one["name"]
        last, samples = self._drawn.get(place, (0.0, 0))
        if one["counts"]["paired"] == samples or at - last < POINT_EVERY:
            return
        self._drawn[place] = at, one["counts"]["paired"]
        await self._book.call(self._book.store.point, subject.key, one["name"], at, _point(one))

    def _decision(self, subject: Subject, challenger: str, event: str, *, forced: bool, figures: object) -> Decision:
        return Decision(
            at=time.time(),
            challenge=subject.key,
            graph=subject.graph,
            generation=subject.generation,
            challenger=challenger,
            event=event,
            forced=forced,
            figures=figures,
        )

    async def _reported(self, subject: Subject) -> Document:
        return (await self._read(subject))[1]

    async def _read(self, subject: Subject) -> tuple[Standing, Document]:
        def read() -> tuple[Standing, Document]:
            standing = self._book.store.read(subject.key)
            return standing, report(subject, standing, time.time())

        return await self._book.call(read)

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
            return _figures(one)
    names = ", ".join(one["name"] for one in document["challengers"])
    raise NotThere(f"{document['graph']} has no challenger {challenger}; it has {names}")


def _figures(one: Document) -> Document:
    return {"verdict": one["verdict"], "guardrails": one["guardrails"], "counts": one["counts"]}


def _point(one: Document) -> Document:
    rails = {name: [rail["value"], rail["low"], rail["high"]] for name, rail in one["guardrails"].items()}
    return {"samples": one["counts"]["paired"], "guardrails": rails}


def _why(verdict: Document) -> str:
    """Say a verdict with the guardrails that are in its way."""
    others = [
        f"{name} is {rail['verdict']}" for name, rail in verdict["guardrails"].items() if rail["verdict"] != "pass"
    ]
    why = "; ".join(others) or "the graph has no guardrails"
    return f"{verdict['verdict']} ({why}); --force overrides, and is recorded"
