"""Where challenges are held in a worker: draws who sees a request, runs challengers' legs, keeps the sums."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from extproc.challenge.compare import Comparer
from extproc.challenge.evidence import UNSAMPLED, UNSUPPORTED, Record
from extproc.challenge.histogram import bucket, count, grain
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

    from extproc.challenge.compare import Comparison
    from extproc.challenge.evidence import Window
    from extproc.challenge.pair import Judged
    from extproc.engine.calling import Caller
    from extproc.engine.seams import Recorder
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
        self._held = 0

    def __repr__(self) -> str:
        """Say the challenge and its legs."""
        return f"<Ring {self.tally!r} {self.legs}>"

    def hold(self, size: int) -> bool:
        """Take bytes for a pair, unless that were more than the limit."""
        if self._held + size > self._arena.limits.memory:
            return False
        self._held += size
        return True

    def give_back(self, size: int) -> None:
        """Give a pair's bytes back."""
        self._held -= size

    def book(self, run: Run, challenger: ChallengerPlan, outcome: str) -> None:
        """Count what became of a request for one challenger."""
        self.tally.of(challenger.name, self.segment(run)).book(outcome)

    def compared(
        self,
        run: Run,
        challenger: ChallengerPlan,
        judged: Judged,
        latencies: tuple[float | None, float | None],
    ) -> None:
        """Add a pair's figures; the champion's latency first."""
        comparison, self_agreement = judged.comparison, judged.self_agreement
        segment = self.segment(run)
        evidence = self.tally.of(challenger.name, segment)
        comparison.add_to(evidence)
        for latency, histogram in zip(latencies, (evidence.champion_latency, evidence.challenger_latency), strict=True):
            if latency is not None:
                count(histogram, bucket(latency * 1e6))
        if self_agreement is not None:
            count(evidence.noise, grain(self_agreement))
            count(evidence.beyond_noise, grain((comparison.agreement + 1 - self_agreement) / 2))
        self._keep(run, challenger, comparison, segment, latencies)

    def _keep(
        self,
        run: Run,
        challenger: ChallengerPlan,
        comparison: Comparison,
        segment: str,
        latencies: tuple[float | None, float | None],
    ) -> None:
        champion_said, challenger_said = comparison.champion.recorded(), comparison.challenger.recorded()
        if champion_said is None or challenger_said is None:
            self.tally.drop("large")
            return
        self.tally.keep(
            Record(
                request=run.request.id,
                challenger=challenger.name,
                segment=segment,
                at=self._arena.wall(),
                kind=comparison.kind,
                tolerance=self.comparer.tolerance,
                agreement=comparison.agreement,
                champion=champion_said,
                challenger_said=challenger_said,
                champion_latency=latencies[0],
                challenger_latency=latencies[1],
                body=self._body(run) if comparison.agreement < 1 else None,
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
        except EvaluationError:
            self._arena.expression_failed(run.plan, self.node)
            return NO_SEGMENT
        except BadRequest:
            return NO_SEGMENT
        return text[: self._arena.limits.segment] or NO_SEGMENT


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
        self._recorder = recorder
        self._seams = Seams(random, _Shadow(recorder), caller, now)
        self._rings: dict[str, Ring] = {}
        self._open: set[LivePair] = set()
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

    def leg_run(self, run: Run) -> Run:
        """Return the run of a leg: the same request and plan, with a deadline of its own."""
        return Run(run.plan, run.request, self._seams, self.now() + run.plan.timeout)

    def soon(self, settle: Callable[[], None]) -> None:
        """Run something when the event loop turns again."""
        asyncio.get_running_loop().call_soon(settle)

    def apart(self, work: Callable[[], Judged | str], then: Callable[[Judged | str], None]) -> None:
        """Run something in a thread, and hand its result on in the event loop."""

        async def run() -> None:
            then(await asyncio.to_thread(work))

        task = asyncio.get_running_loop().create_task(run())
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)

    def forget(self, pair: LivePair) -> None:
        """Drop a pair of which all is booked."""
        self._open.discard(pair)

    def expression_failed(self, plan: Plan, node: ChallengePlan) -> None:
        """Count an expression of ``compare`` that had no value."""
        program = node.compare.value or node.compare.by
        if program is not None:
            self._recorder.expression_failed(plan, node.name, program, EvaluationError("no value"))

    def windows(self) -> list[Window]:
        """Return what every challenge has seen since this was last asked."""
        return [window for ring in self._rings.values() if (window := ring.tally.window()) is not None]

    def close(self) -> None:
        """Book what is open as interrupted, and end all legs."""
        for pair in list(self._open):
            pair.interrupt()
        self._open.clear()
        for ring in self._rings.values():
            for legs in (*ring.legs.values(), ring.again):
                legs.stop()


class _Shadow:
    """A challenger's decisions are none of the client's: only its expressions' errors are told."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def decided(self, plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """Do nothing."""

    def expression_failed(self, plan: Plan, node: str, program: Program, error: EvaluationError) -> None:
        """Pass it on."""
        self._recorder.expression_failed(plan, node, program, error)
