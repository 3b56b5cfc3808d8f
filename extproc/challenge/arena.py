"""Where challenges are held in a worker: draws who sees a request, runs challengers' legs, keeps the sums."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from extproc.challenge.compare import Comparer
from extproc.challenge.evidence import UNSAMPLED, UNSUPPORTED, Record
from extproc.challenge.histogram import bucket, count
from extproc.challenge.judged import Judge
from extproc.challenge.ledger import Entry, Ledger
from extproc.challenge.legs import Legs
from extproc.challenge.limits import NO_SEGMENT, Limits
from extproc.challenge.pair import LivePair
from extproc.challenge.tally import WHOLE, Tally
from extproc.engine.run import Run
from extproc.engine.sampling import sampled
from extproc.engine.seams import Seams
from extproc.errors import BadRequest
from extproc.expr import EvaluationError, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extproc.challenge.evidence import Window
    from extproc.challenge.judged import Judged
    from extproc.engine.calling import Caller
    from extproc.engine.seams import Recorder
    from extproc.engine.tracing import Trace
    from extproc.expr import Program
    from extproc.plan.plan import Branch, ChallengePlan, ChallengerPlan, Plan
    from extproc.plan.sticky import Random

GRPC = "application/grpc"


class Ring:
    """One challenge: its sums, how it compares, and each challenger's legs."""

    def __init__(self, plan: Plan, node: ChallengePlan, arena: Arena) -> None:
        names = tuple(one.name for one in node.challengers)
        self.key = node.key
        self.node = node
        self.comparer = Comparer(node.compare.value, node.compare.kind, node.compare.tolerance or 0.0)
        self.legs = {name: Legs(arena.limits) for name in names}
        self.again = Legs(arena.limits)
        self.tally = Tally(Entry(node.key, plan.graph, names), arena.ledger, arena.limits)
        self._arena = arena

    def __repr__(self) -> str:
        """Say the challenge and its legs."""
        return f"<Ring {self.tally!r} {self.legs}>"

    @property
    def free(self) -> bool:
        """Whether no leg is left, and nothing is held."""
        return all(legs.free for legs in (*self.legs.values(), self.again))

    def judge(self, run: Run) -> Judge:
        """Return what compares the legs of a request."""
        return Judge(self.comparer, run.request, self._arena.limits.response)

    def book(self, challenger: ChallengerPlan, segment: str, outcome: str) -> None:
        """Count what became of a request for one challenger."""
        self.tally.of(challenger.name, segment).book(outcome)

    def compared(
        self,
        run: Run,
        challenger: ChallengerPlan,
        segment: str,
        judged: Judged,
        latencies: tuple[float | None, float | None],
    ) -> None:
        """Add a pair's figures, and keep its record; the champion's latency first."""
        evidence = self.tally.of(challenger.name, segment)
        judged.add_to(evidence)
        for latency, histogram in zip(latencies, (evidence.champion_latency, evidence.challenger_latency), strict=True):
            if latency is not None:
                count(histogram, bucket(latency * 1e6))
        if judged.champion is None or judged.challenger is None:
            self.tally.drop("large")
            return
        agreement = judged.comparison.agreement
        self.tally.keep(
            Record(
                request=run.request.id,
                challenger=challenger.name,
                segment=self.tally.segment(segment),
                at=self._arena.wall(),
                kind=judged.comparison.kind,
                tolerance=self.comparer.tolerance,
                agreement=agreement,
                champion=judged.champion,
                challenger_said=judged.challenger,
                champion_latency=latencies[0],
                challenger_latency=latencies[1],
                body=self._body(run) if agreement < 1 else None,
            )
        )

    def _body(self, run: Run) -> str | None:
        if not self._arena.bodies or run.request.raw_body is None:
            return None
        return run.request.raw_body[: self._arena.limits.body].decode("utf-8", "replace")

    def segment(self, run: Run) -> str:
        """Return the segment of a request."""
        by = self.node.compare.by
        if by is None:
            return WHOLE
        try:
            value = by(run.activation)
            text = "" if value is None else text_of(value)
        except EvaluationError as error:
            self._arena.recorder.expression_failed(run.plan, self.node.name, by, error)
            return NO_SEGMENT
        except BadRequest:
            return NO_SEGMENT
        return text[: self._arena.limits.segment] or NO_SEGMENT

    def value_failed(self, run: Run) -> None:
        """Count that ``compare.value`` had no value."""
        if self.node.compare.value is not None:
            error = EvaluationError("no value")
            self._arena.recorder.expression_failed(run.plan, self.node.name, self.node.compare.value, error)


class Arena:
    """All challenges of a worker; a ``Challenging`` of the engine's.

    ``caller`` makes the challengers' calls: another one than the clients', so that neither waits for the other's
    connections or limits. ``soon`` runs something when the event loop turns again, ``wall`` is the time of day.
    """

    def __init__(  # noqa: PLR0913 - seams and settings, each of its own
        self,
        random: Random,
        recorder: Recorder,
        caller: Caller,
        now: Callable[[], float],
        wall: Callable[[], float],
        *,
        ledger: Path | None = None,
        limits: Limits | None = None,
        bodies: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.now = now
        self.wall = wall
        self.bodies = bodies
        self.ledger = Ledger(ledger)
        self.recorder = recorder
        self._seams = Seams(random, _Shadow(recorder), caller, now)
        self._rings: dict[str, Ring] = {}
        self._open: set[LivePair] = set()
        # One: comparing in Python takes turns with the event loop, and several threads would take several turns.
        self._thread = ThreadPoolExecutor(1, "compare")
        self._apart: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        """Say the challenges and how many pairs are open."""
        return f"<Arena {len(self._rings)} challenges, {len(self._open)} pairs open>"

    def enter(self, plans: Sequence[Plan]) -> None:
        """Take a generation: its challenges are counted from now on, should no request ever come."""
        for plan in plans:
            if plan.challenge is not None:
                self._ring(plan, plan.challenge)

    def _ring(self, plan: Plan, node: ChallengePlan) -> Ring:
        ring = self._rings.get(node.key)
        if ring is None:
            ring = self._rings[node.key] = Ring(plan, node, self)
        return ring

    def reached(self, run: Run, node: ChallengePlan, *, seen: bool) -> LivePair | None:
        """Count a request, and draw who sees it."""
        ring = self._ring(run.plan, node)
        ring.tally.reached()
        if not seen or run.request.headers.get("content-type", "").startswith(GRPC):
            for one in node.challengers:
                ring.tally.of(one.name).book(UNSUPPORTED)
            return None
        drawn = []
        for one in node.challengers:
            if sampled(run, one, node.name):
                drawn.append(one)
            else:
                ring.tally.of(one.name).book(UNSAMPLED)
        if not drawn:
            return None
        pair = LivePair(self, ring, run, tuple(drawn))
        self._open.add(pair)
        return pair

    def leg_run(self, run: Run, trace: Trace | None) -> Run:
        """Return the run of a leg: the same request and plan, with a deadline of its own."""
        seams = self._seams if trace is None else trace.seams(self._seams)
        return Run(run.plan, run.request, seams, self.now() + run.plan.timeout)

    def soon(self, settle: Callable[[], None]) -> None:
        """Run something when the event loop turns again."""
        asyncio.get_running_loop().call_soon(settle)

    def apart(self, work: Callable[[], Judged | str], then: Callable[[Judged | str], None]) -> None:
        """Run something that raises nothing in a thread, and hand its result on in the event loop."""
        task = asyncio.get_running_loop().create_task(self._run_apart(work, then))
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)

    async def _run_apart(self, work: Callable[[], Judged | str], then: Callable[[Judged | str], None]) -> None:
        then(await asyncio.get_running_loop().run_in_executor(self._thread, work))

    def forget(self, pair: LivePair) -> None:
        """Drop a pair of which all is booked."""
        self._open.discard(pair)

    def windows(self) -> list[Window]:
        """Return what every challenge has seen since this was last asked."""
        return [window for ring in self._rings.values() if (window := ring.tally.window()) is not None]

    @property
    def free(self) -> bool:
        """Whether no pair is open, no leg is left, and nothing is held."""
        return not self._open and all(ring.free for ring in self._rings.values())

    def close(self) -> None:
        """Book what is open as interrupted, and end all legs."""
        for pair in list(self._open):
            pair.interrupt()
        for ring in self._rings.values():
            for legs in (*ring.legs.values(), ring.again):
                legs.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)


class _Shadow:
    """A challenger's decisions are none of the client's: only its expressions' errors are told."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def decided(self, plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """Do nothing."""

    def expression_failed(self, plan: Plan, node: str, program: Program, error: EvaluationError) -> None:
        """Pass it on."""
        self._recorder.expression_failed(plan, node, program, error)
