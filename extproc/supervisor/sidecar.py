"""A worker alone, for an Envoy that somebody else runs: with a book of its own, and an admin address where one is wanted."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from extproc.admin.access import TOKEN_VARIABLE
from extproc.admin.app import AdminServer
from extproc.admin.challenges import NoChallenges
from extproc.admin.envoy_counts import envoy_counts
from extproc.admin.facts import facts
from extproc.admin.metrics import ENVOY_UP
from extproc.challenge.limits import DEFAULTS, Limits
from extproc.challenge.store.limits import DEFAULTS as STORE_DEFAULTS
from extproc.challenge.store.limits import Limits as StoreLimits
from extproc.envoy.admin import EnvoyAdmin
from extproc.supervisor.state import State
from extproc.supervisor.worker import REPORT_EVERY, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path

    from extproc.admin.challenges import Challenges as Watched
    from extproc.graph import Graph
    from extproc.otel import Tracing
    from extproc.plan.plan import Plan
    from extproc.server.listen import TransportName
    from extproc.supervisor.book import Book
    from extproc.telemetry.counters import Key


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alone:
    """What ``extproc serve`` was asked for; ``admin`` is host and port."""

    listen: Sequence[str]
    egress: str
    transport: TransportName
    folder: Path
    admin: tuple[str, int] | None = None
    store: str | None = field(default=None, repr=False)  # may hold a password
    limits: Limits = DEFAULTS
    store_limits: StoreLimits = STORE_DEFAULTS
    bodies: bool = False
    tracing: Tracing | None = None
    envoy_admin: str | None = None  # where Envoy's admin page is: unix:PATH or HOST:PORT


class Sidecar:
    """The worker, and what the admin address shows of it."""

    def __init__(self, worker: Worker, challenges: Watched | NoChallenges, envoy: EnvoyAdmin | None) -> None:
        self._envoy = envoy
        self.worker = worker
        self.challenges = challenges
        self.admin: AdminServer | None = None

    @property
    def plans(self) -> Sequence[Plan]:
        """The plans in force."""
        return self.worker.generations.current

    async def unready(self) -> str | None:
        """Return why requests would not be served now, None when they would."""
        return None if self.worker.server.processor.serving else "draining"

    async def counts(self) -> Counter[Key]:
        """Return the worker's counts, and Envoy's where its admin page is known."""
        counts = Counter(self.worker.counts())
        counts.update(facts(self.plans))
        if self._envoy is not None:
            counted = await envoy_counts(self._envoy)
            counts.update(counted or ())
            counts[ENVOY_UP,] = int(counted is not None)
        return counts


async def serve(asked: Alone, graphs: Sequence[Graph], plans: Sequence[Plan], ready: Callable[[Sidecar], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is told once it listens. Raises StartError, StoreError."""
    async with AsyncExitStack() as stack:
        challenged = any(plan.challenge for plan in plans)
        kept = await stack.enter_async_context(_kept(asked)) if challenged else None
        life = uuid.uuid4().hex
        worker = Worker(
            plans,
            asked.listen,
            asked.egress,
            asked.transport,
            ledger=None if kept is None else kept.ledger(life),
            bodies=asked.bodies,
            limits=asked.limits,
            tracing=asked.tracing,
        )
        envoy = None if asked.envoy_admin is None else EnvoyAdmin(asked.envoy_admin)
        if envoy is not None:
            stack.push_async_callback(envoy.close)
        sidecar = Sidecar(worker, NoChallenges() if kept is None else _watched(kept, graphs), envoy)
        if kept is not None:
            await stack.enter_async_context(_beside(_book(kept, life, worker)))
            await stack.enter_async_context(_beside(sidecar.challenges.run()))
        if asked.admin is not None:
            sidecar.admin = AdminServer(sidecar, *asked.admin, os.environ.get(TOKEN_VARIABLE))
            await sidecar.admin.start()
            stack.push_async_callback(sidecar.admin.stop)
        worker.listening.add_done_callback(lambda _: ready(sidecar))
        await worker.run()


@asynccontextmanager
async def _kept(asked: Alone) -> AsyncIterator[Book]:
    from extproc.supervisor.book import Book

    state = State(asked.folder)
    state.hold()
    book = Book(asked.store or state.store, state.writer, state.ledgers, asked.store_limits)
    try:
        await book.open()
        async with _beside(book.run()):
            try:
                yield book
            finally:
                await book.settled()
    finally:
        await book.close()
        state.give_back()


def _watched(book: Book, graphs: Sequence[Graph]) -> Watched:
    from extproc.supervisor.challenges import Challenges

    return Challenges(book, graphs)


async def _book(book: Book, life: str, worker: Worker) -> None:
    """Hand on what the worker's challenges saw, and what is left when it has ended."""
    try:
        while True:
            await asyncio.sleep(REPORT_EVERY)
            book.took(life, worker.arena.windows())
    finally:
        book.took(life, worker.arena.windows())
        book.ended(life)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the block, and end it with it."""
    task = asyncio.create_task(work)
    task.add_done_callback(_told)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _told(task: asyncio.Task[None]) -> None:
    """Say what ended a task that was to go on; requests are served all the same."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("what challenges see is no longer booked: %s", error, exc_info=error)
