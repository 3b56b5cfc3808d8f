"""Looking at challenges: what metrics show, verdicts that change, and figures over time.

Every challenge is looked at once a second, and when somebody asks. A verdict that changes is noted with its figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.challenge.report import WHOLE, Subject, report, whole_of
from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.history import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extproc.challenge.store.standing import Standing
    from extproc.supervisor.book import Book

LOOK_EVERY = 1.0  # seconds between two looks at a verdict
FRESH = 0.3  # seconds: with a worker's half second, what the admin address shows is at most a second old
FRESH_PATIENCE = 1.0  # seconds that metrics wait for the store, and then say what was known before
POINT_EVERY = 5.0  # seconds between two points of a figure's history: a curve is drawn over minutes to weeks
VERDICT = "verdict"

log = logging.getLogger(__name__)

Document = dict[str, Any]


class Watch:
    """Looks at the challenges that ``subjects`` names, for as long as they are named."""

    def __init__(self, book: Book, subjects: Callable[[], Sequence[Subject]]) -> None:
        self._book = book
        self._subjects = subjects
        self._latest: dict[str, Document] = {}  # by graph, as are the next two
        self._seen: dict[str, Standing] = {}
        self._failing: set[str] = set()
        self._drawn: dict[tuple[str, str], tuple[float, int]] = {}
        self._looking = asyncio.Lock()
        self._looked = 0.0

    def __repr__(self) -> str:
        """Say the graphs that were looked at."""
        return f"<Watch {' '.join(self._latest)}>"

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await self._look_at_all(LOOK_EVERY)
            await asyncio.sleep(LOOK_EVERY)

    async def latest(self) -> Sequence[Mapping[str, Any]]:
        """Return the report of every challenge as a whole, without segments; none where the store does not tell.

        It is of this moment, but for what workers tell half a second later, and but for a store that takes its time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FRESH_PATIENCE):
                await self._look_at_all(FRESH)
        return list(self._latest.values())

    async def whole(self, subject: Subject) -> Document:
        """Return a challenge's report of this moment as a whole. Raises StoreError."""
        return await self._reported(subject, await self.standing(subject))

    async def standing(self, subject: Subject) -> Standing:
        """Return how a challenge stands at this moment. Raises StoreError."""
        return await self._book.call(self._book.store.read, subject.key)

    def forget(self, graph: str) -> None:
        """Forget how a graph's challenge stood."""
        self._latest.pop(graph, None)
        self._seen.pop(graph, None)

    async def _look_at_all(self, age: float) -> None:
        """Look, unless that was done less than ``age`` seconds ago."""
        async with self._looking:
            began = time.monotonic()
            if began - self._looked < age:
                return
            for subject in self._subjects():
                await self._try_to_look(subject)
            self._looked = began

    async def _try_to_look(self, subject: Subject) -> None:
        """Look, and go on whatever comes of it: clients are served all the same."""
        try:
            await self._look(subject)
        except StoreError:
            self.forget(subject.graph)  # the book tells of it
        except Exception:
            self.forget(subject.graph)
            if subject.graph not in self._failing:
                log.exception("graph %s: its challenge cannot be looked at; it goes on", subject.graph)
            self._failing.add(subject.graph)
        else:
            self._failing.discard(subject.graph)

    async def _look(self, subject: Subject) -> None:
        standing = await self.standing(subject)
        if self._seen.get(subject.graph) == standing:
            return  # nothing came, and figures take their time
        document = await self._reported(subject, standing)
        if subject not in self._subjects():
            return  # it was promoted meanwhile
        self._latest[subject.graph] = document
        for one in document["challengers"]:
            await self._note_verdict(subject, standing, document, one)
            await self._draw(subject, one, document["at"])
        self._seen[subject.graph] = standing

    async def _reported(self, subject: Subject, standing: Standing) -> Document:
        """Return the report without segments: figures of a hundred take seconds, and none of them judges."""
        return await asyncio.to_thread(lambda: report(subject, _unsegmented(standing), time.time()))

    async def _note_verdict(self, subject: Subject, standing: Standing, document: Document, one: Document) -> None:
        noted = [
            decision
            for decision in standing.decisions
            if decision.event == VERDICT and decision.challenger == one["name"]
        ]
        before = noted[-1].figures["verdict"] if noted else "collecting"
        if one["verdict"] != before:
            await self.note(subject, one["name"], VERDICT, forced=False, figures=figures_of(document, one))

    async def note(self, subject: Subject, challenger: str, event: str, *, forced: bool, figures: object) -> None:
        """Keep what happened. Raises StoreError."""
        decision = Decision(
            at=time.time(),
            challenge=subject.key,
            graph=subject.graph,
            generation=subject.generation,
            challenger=challenger,
            event=event,
            forced=forced,
            figures=figures,
        )
        await self._book.call(self._book.store.note, decision)

    async def _draw(self, subject: Subject, one: Document, at: float) -> None:
        """Keep a point of the history, when something came since the last one."""
        place = subject.key, one["name"]
        last, samples = self._drawn.get(place, (0.0, 0))
        if one["counts"]["paired"] == samples or at - last < POINT_EVERY:
            return
        self._drawn[place] = at, one["counts"]["paired"]
        await self._book.call(self._book.store.point, subject.key, one["name"], at, _point(one))


def figures_of(document: Document, one: Document) -> Document:
    """Return what a decision on a challenger stands on: the verdict, the rule that was asked, the figures."""
    rule = {name: rail["bound"] for name, rail in one["guardrails"].items()}
    return {
        "verdict": one["verdict"],
        "rule": {"confidence": document["confidence"], **rule},
        "guardrails": one["guardrails"],
        "counts": one["counts"],
    }


def _unsegmented(standing: Standing) -> Standing:
    evidence = {name: {WHOLE: whole_of(segments)} for name, segments in standing.evidence.items()}
    return msgspec.structs.replace(standing, evidence=evidence, examples={}, points={})


def _point(one: Document) -> Document:
    rails = {name: [rail["value"], rail["low"], rail["high"]] for name, rail in one["guardrails"].items()}
    return {"samples": one["counts"]["paired"], "guardrails": rails}
