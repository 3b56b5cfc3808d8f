"""An arena in virtual time: scripted challengers, and champions that do what a test says."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

from extproc.challenge.arena import Arena
from extproc.challenge.evidence import Evidence, merged
from extproc.challenge.limits import Limits
from extproc.engine.request import Request
from extproc.engine.run import Run
from extproc.engine.seams import Seams
from tests.engine.deciding import REQUEST, Recording, Scripted
from tests.engine.scripted import BODY, ScriptedCaller, planned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from extproc.challenge.evidence import Record
    from extproc.challenge.pair import LivePair
    from extproc.engine.outcome import Outcome
    from extproc.plan.plan import Plan
    from tests.engine.scripted import Line

NOON = 1_700_000_000.0
SAID = b'{"predictions":[0.5]}'


class Inline(Executor):
    """An executor in which everything has happened at once."""

    def __init__(self) -> None:
        self.works = 0

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Run it."""
        self.works += 1
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:  # noqa: BLE001 - the future's to raise
            future.set_exception(error)
        return future


def challenge(challengers: str = "[{name: x, to: b}]", champion: str = "a", more: str = "") -> str:
    """Nodes with a challenge at the root, in YAML; ``more`` goes into the challenge."""
    return f"{{root: {{challenge: {{champion: {champion}, challengers: {challengers}{more and ', ' + more}}}}}}}"


class Ground:
    """An arena with one plan; made in a running virtual loop."""

    def __init__(
        self,
        nodes: str | Plan,
        script: Mapping[str, Line | Sequence[Line]] | None = None,
        chance: Iterable[float] = (),
        *,
        limits: Limits | None = None,
        bodies: bool = False,
        ledger: Path | None = None,
        timeout: float = 1.0,
    ) -> None:
        self.plan = planned(nodes, timeout=timeout) if isinstance(nodes, str) else nodes
        self.caller = ScriptedCaller(script or {})
        self.recorder = Recording()
        self.random = Scripted(chance)
        loop = asyncio.get_running_loop()
        self.arena = Arena(
            self.random,
            self.recorder,
            self.caller,
            loop.time,
            lambda: NOON,
            limits=limits or Limits(),
            bodies=bodies,
            ledger=ledger,
        )
        self.arena._thread = Inline()  # type: ignore[assignment]
        self.clients = Recording()
        self.champions = ScriptedCaller(script or {})
        self.seams = Seams(self.random, self.clients, self.champions, loop.time, self.arena)
        self.eligible = 0
        self.evidence: dict[str, dict[str, Evidence]] = {}
        self.records: list[Record] = []
        self.dropped: dict[str, int] = {}
        self.arena.enter([self.plan])

    def run(self, body: bytes | None = BODY, *, whole: bool = True, **headers: Any) -> Run:
        """A run of the plan for one request."""
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        now = asyncio.get_running_loop().time()
        return Run(self.plan, Request(REQUEST | named, body), self.seams, now + self.plan.timeout, whole=whole)

    def sampled(self, body: bytes | None = BODY, *, whole: bool = True, **headers: Any) -> LivePair:
        """A request's pair; it must be sampled, and its champion's call Envoy's."""
        run = self.run(body, whole=whole, **headers)
        run.start()
        assert run.pair is not None
        return run.pair  # type: ignore[return-value]

    def unsampled(self, body: bytes | None = BODY, **headers: Any) -> None:
        """A request of which no challenger sees anything."""
        run = self.run(body, **headers)
        run.start()
        assert run.pair is None

    def take(self) -> None:
        """Add what the windows say since the last time."""
        for window in self.arena.windows():
            self.eligible = window.eligible
            for challenger, segments in window.evidence.items():
                for segment, evidence in segments.items():
                    mine = self.evidence.setdefault(challenger, {}).setdefault(segment, Evidence())
                    merged(mine, evidence)
            self.records += window.records
            for reason, times in window.dropped.items():
                self.dropped[reason] = self.dropped.get(reason, 0) + times

    def outcomes(self, challenger: str = "x") -> dict[str, int]:
        """What became of all requests so far, whatever their segment."""
        self.take()
        found: dict[str, int] = {}
        for evidence in self.evidence.get(challenger, {}).values():
            for outcome, times in evidence.outcomes.items():
                found[outcome] = found.get(outcome, 0) + times
        return found

    def of(self, challenger: str = "x", segment: str = "") -> Evidence:
        """All figures so far."""
        self.take()
        return self.evidence.get(challenger, {}).get(segment, Evidence())


async def ended(run: Run) -> Outcome:
    """The outcome of a run, awaited where that is needed."""
    outcome = run.start()
    return await outcome if hasattr(outcome, "__await__") else outcome


def answer(pair: LivePair, body: bytes = SAID, status: int = 200, **headers: str) -> None:
    """The champion's response, whole."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if pair.response_began(status, named) and pair.response_body(body):
        pair.response_ended()


async def turn(times: int = 5) -> None:
    """Let the event loop do what is to be done at this moment."""
    for _ in range(times):
        await asyncio.sleep(0)
