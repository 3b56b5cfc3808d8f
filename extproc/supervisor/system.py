"""The running system: Envoy, workers and the admin port, started in order and stopped in the other."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extproc.admin.access import TOKEN_VARIABLE
from extproc.admin.app import AdminServer
from extproc.admin.challenges import NoChallenges
from extproc.admin.envoy_counts import envoy_counts
from extproc.admin.facts import facts
from extproc.admin.metrics import ENVOY_STARTS, ENVOY_UP, WORKER_STARTS, WORKERS_READY
from extproc.admin.traces import Traces
from extproc.challenge.limits import DEFAULTS, Limits
from extproc.challenge.store.limits import DEFAULTS as STORE_DEFAULTS
from extproc.challenge.store.limits import Limits as StoreLimits
from extproc.envoy.binary import find_envoy
from extproc.envoy.files import PRIVATE_FOLDER
from extproc.envoy.layout import SPANS_FLUSH, Address, Layout
from extproc.errors import StartError
from extproc.otel import kept_at
from extproc.plan.compile import compile_graph
from extproc.supervisor.envoy_process import EnvoyProcess
from extproc.supervisor.generation import Generations
from extproc.supervisor.promotions import Promotions
from extproc.supervisor.state import State
from extproc.supervisor.workers import Told, Workers

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Sequence
    from pathlib import Path

    from extproc.admin.challenges import Challenges as Watched
    from extproc.graph import Graph
    from extproc.otel import Tracing
    from extproc.plan.plan import Plan
    from extproc.supervisor.book import Book
    from extproc.telemetry.counters import Key
    from extproc.telemetry.receiver import Receiver

SPANS_MARGIN = 0.1  # seconds for them to be on their way
DRAIN = 5.0  # the contract: Ctrl-C drains for at most five seconds
MAX_SOCKET_PATH = 100  # sun_path holds 108 bytes, and Envoy and gRPC add nothing to it


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``extproc up`` was asked for."""

    host: str
    port: int
    admin_host: str
    admin_port: int
    workers: int
    folder: Path
    # The URL of a store that several machines share, which may hold a password; without one, a file in the folder.
    store: str | None = field(default=None, repr=False)
    limits: Limits = DEFAULTS
    store_limits: StoreLimits = STORE_DEFAULTS
    bodies: bool = False  # whether examples keep the request's body
    tracing: Tracing | None = None
    access_log: str | None = None  # where Envoy writes it
    keep_traces: bool = False  # in memory, for `extproc trace`: spans then go nowhere else


class System:
    """All processes of one ``extproc up``; it holds its folder from the first moment on. Raises StartError."""

    def __init__(self, settings: Settings, graphs: Sequence[Graph], plans: Sequence[Plan]) -> None:
        _check_environment(plans)
        self.settings = settings
        self.state = State(settings.folder)
        self.state.hold()
        promotions = Promotions(settings.folder)
        self._graphs = {graph.name: graph for graph in promotions.applied(graphs)}
        self._plans = {graph.id: plan for graph, plan in zip(graphs, plans, strict=True)}
        self.ingress = Address(settings.host, settings.port or _free_port(settings.host))
        run = _run_folder(settings.folder)
        egress = Address(path=str(run / "egress.sock"))
        self._spans = run / "spans.sock"
        tracing = kept_at(settings.tracing, str(self._spans)) if settings.keep_traces else settings.tracing
        self._book = _book(settings, self.state) if any(plan.challenge for plan in plans) else None
        told = Told(
            str(egress),
            [graph.raw for graph in self._graphs.values()],
            bodies=settings.bodies,
            limits=settings.limits,
            tracing=tracing,
        )
        self.workers = Workers(run, settings.workers, told, self._book)
        self.layout = Layout(
            ingress=self.ingress,
            admin=Address(path=str(run / "envoy.sock")),
            egress=egress,
            processors=tuple(Address(path=str(worker.socket)) for worker in self.workers.all),
            folder=run / "envoy",
            access_log=settings.access_log,
            tracing=tracing,
        )
        self.envoy = EnvoyProcess(find_envoy(), self.layout.folder, run / "envoy.sock", settings.access_log)
        self.generations = Generations(self.layout, self.workers, self.envoy.admin)
        self.challenges = NoChallenges() if self._book is None else self._challenging(self._book, promotions)
        token = os.environ.get(TOKEN_VARIABLE)
        self._receiver, traces = _receiver(settings, f"http://{self.ingress}", tracing)
        self.admin = AdminServer(self, settings.admin_host, settings.admin_port, token, traces)
        self.draining = False
        self._booking: asyncio.Task[None] | None = None  # goes on until everything is booked

    def __repr__(self) -> str:
        """Say where it listens and what runs."""
        return f"<System {self.ingress} {self.envoy} {self.workers}>"

    async def run(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        """Start everything, set ``started``, wait for ``stop``, drain and end. Raises StartError."""
        tasks: list[asyncio.Task[None]] = []
        stopping = asyncio.create_task(stop.wait())
        try:
            _check_free(self.ingress)
            if await _before(self._start(tasks), stopping):
                started.set()
                await _while_alive(stopping, tasks)
                self.draining = True
                await self.envoy.drain(DRAIN)
                await self._last_spans()
        finally:
            stopping.cancel()
            await self._end(tasks)
            await self.admin.stop()
            if self._receiver is not None:
                await self._receiver.stop()
            await self._close_book()
            self.state.give_back()

    async def _start(self, tasks: list[asyncio.Task[None]]) -> None:
        """Start workers, then Envoy; ``tasks`` takes what has to go on."""
        if self._book is not None:
            await self._book.open()
            self._booking = asyncio.create_task(self._book.run())
        if self._receiver is not None:
            await self._receiver.start(self._spans)
        await self.admin.start()
        await self.generations.first(self.plans)
        tasks.append(asyncio.create_task(self.workers.run()))
        await _while_alive(self.workers.ready(), tasks)
        tasks.append(asyncio.create_task(self.envoy.run()))
        await _while_alive(self.envoy.ready(), tasks)
        if self._book is not None:
            tasks.append(asyncio.create_task(self.challenges.run()))

    async def _last_spans(self) -> None:
        """Wait until Envoy has sent the spans it holds: at its end it forgets them, and does not say how many there are."""
        tracing = self.layout.tracing
        if tracing is not None:
            await asyncio.sleep(SPANS_MARGIN + (SPANS_FLUSH if tracing.flush is None else tracing.flush))

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """End the workers before Envoy: what challengers still do is interrupted then, and does not fail."""
        self.draining = True
        for task in tasks:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self.envoy.stop()

    async def _close_book(self) -> None:
        if self._book is None:
            return
        if self._booking is not None:
            await self._book.settled()
            self._booking.cancel()
            await asyncio.gather(self._booking, return_exceptions=True)
        await self._book.close()

    def _challenging(self, book: Book, promotions: Promotions) -> Watched:
        from extproc.supervisor.challenges import Challenges, Changes

        return Challenges(book, self._graphs.values(), Changes(promotions, self._load))

    @property
    def plans(self) -> Sequence[Plan]:
        """The plans in force."""
        return [self._plan(graph) for graph in self._graphs.values()]

    def _plan(self, graph: Graph) -> Plan:
        if graph.id not in self._plans:
            self._plans[graph.id] = compile_graph(graph)
        return self._plans[graph.id]

    async def _load(self, changed: Graph) -> None:
        """Put a graph in force in place of the one of its name. Raises StartError where Envoy does not take it."""
        graphs = self._graphs | {changed.name: changed}
        await self.generations.load(list(graphs.values()), [self._plan(graph) for graph in graphs.values()])
        self._graphs = graphs
        self._plans = {graph.id: self._plans[graph.id] for graph in graphs.values()}

    async def unready(self) -> str | None:
        """Return why requests would not be served now, None when they would."""
        return "draining" if self.draining else await self.envoy.unready()

    async def counts(self) -> Counter[Key]:
        """Return all that is counted: by workers, by Envoy, and here."""
        counts = self.workers.counts()
        counted = await envoy_counts(self.envoy.admin)
        counts.update(counted or ())
        counts.update(facts(self.plans))
        counts.update({(WORKER_STARTS, str(worker.number)): worker.starts for worker in self.workers.all})
        counts[WORKERS_READY,] = self.workers.listening
        counts[ENVOY_STARTS,] = self.envoy.starts
        counts[ENVOY_UP,] = int(counted is not None)
        return counts


def _book(settings: Settings, state: State) -> Book:
    """Return the book; what it imports takes half a second, and is for those who hold a challenge."""
    from extproc.supervisor.book import Book

    return Book(settings.store or state.store, state.writer, state.ledgers, settings.store_limits)


def _receiver(settings: Settings, ingress: str, tracing: Tracing | None) -> tuple[Receiver | None, Traces]:
    """Return what takes spans, where they are kept, and what is known of traces; it imports gRPC."""
    if not settings.keep_traces:
        return None, Traces(None, ingress, None if tracing is None else str(tracing.collector))
    from extproc.telemetry.kept import KeptTraces
    from extproc.telemetry.receiver import Receiver

    kept = KeptTraces()
    return Receiver(kept), Traces(kept, ingress)


async def _before(starting: Awaitable[None], stopping: asyncio.Task[bool]) -> bool:
    """Await a start, and return True; cancel it, and return False, when it is told to stop meanwhile."""
    task = asyncio.ensure_future(starting)
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False
    await task
    return True


async def _while_alive(waiting: Awaitable[object], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Await something, unless one of the tasks that must go on ends first: then raise what ended it."""
    task = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait([task, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for running in tasks:
            if running.done():
                _raise_one(running)
        await task
    finally:
        task.cancel()


def _raise_one(ended: asyncio.Task[None]) -> None:
    """Raise what ended a task; of several at once the first."""
    try:
        ended.result()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


def _check_environment(plans: Sequence[Plan]) -> None:
    """Say now which variables are missing: Envoy would send a dash in their place."""
    for model in (model for plan in plans for model in plan.models.values()):
        for name, value in model.document.headers.set.items():
            if not isinstance(value, str) and value.env is not None and value.env not in os.environ:
                raise StartError(
                    f'model "{model.key}", header "{name}": the environment variable {value.env} is not set'
                )


def _run_folder(folder: Path) -> Path:
    run = folder / "run"
    if len(str(run)) > MAX_SOCKET_PATH - len("/worker-999.sock"):
        raise StartError(f"--state {folder} is too long a path for Unix sockets; choose a shorter one")
    run.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    return run


def _free_port(host: str) -> int:
    with _listening(Address(host, 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _check_free(address: Address) -> None:
    """Say at once what Envoy would only say in its log."""
    _listening(address).close()


def _listening(address: Address) -> socket.socket:
    try:
        return socket.create_server((address.host, address.port), family=_family(address.host))
    except OSError as error:
        raise StartError(
            f"cannot listen on {address}: {os.strerror(error.errno or 0)}; choose another with --host, --port"
        ) from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
