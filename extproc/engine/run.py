"""One request's way through a plan.

Splits, switches and responds are decided without an await; where sub-calls are needed, ``start`` returns what to await.
Everything a run starts has ended when it has: nothing outlives its request. A challenger's leg is a run of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from extproc.engine.answers import encode, failed, passed_on, refused, respond
from extproc.engine.calling import Cause, Failed, Reply, SubCall
from extproc.engine.cascade import run_cascade
from extproc.engine.chain import run_chain
from extproc.engine.challenge import run_challenge
from extproc.engine.deferred import Deferred
from extproc.engine.ensemble import run_ensemble
from extproc.engine.fallback import run_fallback
from extproc.engine.outcome import Outcome, TailCall
from extproc.engine.payload import JSON, Payload
from extproc.engine.result import FIRST_SERVER_ERROR, Failure, Made, Result, Tail
from extproc.engine.trail import Trail
from extproc.errors import BadRequest
from extproc.expr import EvaluationError, Program, text_of
from extproc.plan.plan import (
    Branch,
    Call,
    CascadePlan,
    ChainPlan,
    ChallengePlan,
    EnsemblePlan,
    FallbackPlan,
    Plan,
    PlanNode,
    RespondPlan,
    SplitPlan,
    SwitchPlan,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from extproc.engine.pairing import Pair
    from extproc.engine.request import Request
    from extproc.engine.seams import Seams

# Seconds that are no time: half of the millisecond in which Envoy's and uvloop's timers count.
_NOTHING_LEFT = 0.0005
_NO_ROUTE = "no case of the switch holds, and it has no default"


class Run:
    """A plan run for one request; ``deadline`` is by the event loop's clock.

    ``whole``: all there is of the request is here. ``pair`` is set where a challenge sampled the request and its
    champion's last call is Envoy's: whoever sees the response tells the pair of it.
    """

    __slots__ = ("_challenged", "activation", "deadline", "pair", "plan", "request", "seams", "trail", "whole")

    def __init__(self, plan: Plan, request: Request, seams: Seams, deadline: float, *, whole: bool = True) -> None:
        self.plan = plan
        self.request = request
        self.seams = seams
        self.deadline = deadline
        self.trail = Trail()
        self.activation: dict[str, object] = {"request": request}
        self.whole = whole
        self.pair: Pair | None = None
        self._challenged = False

    def __repr__(self) -> str:
        """Say the plan and the way so far."""
        return f"<Run {self.plan.id} {self.trail.text()}>"

    def start(self) -> Outcome | Awaitable[Outcome]:
        """Run as far as no sub-call is needed: to the end, or to what is to be awaited."""
        try:
            node = self.choose(self.plan.root, self.trail)
            if isinstance(node, ChallengePlan):
                return self._challenge(node)
            return self._end(node) or Deferred(lambda: self._finish(lambda payload: self._evaluate(node, payload)))
        except BadRequest as error:
            return refused(error, self.plan.graph, self.request.id, self.trail.text())

    def _end(self, node: PlanNode | Made) -> Outcome | None:
        """Return how the request ends where that takes no call of our own. Raises BadRequest."""
        match node:
            case Call(model=model, tail=True):
                self.trail.add(model.name)
                return TailCall(model, self.trail.text())
            case RespondPlan():
                return passed_on(respond(node, self.activation), self.trail.text())
            case Made():
                return passed_on(node, self.trail.text())
            case _:
                return None

    def _challenge(self, node: ChallengePlan) -> Outcome | Awaitable[Outcome]:
        """Begin a challenge that the request reaches without a call. Raises BadRequest."""
        try:
            champion = self.choose(node.champion, self.trail)
        except BadRequest:
            self._refuse(node)
            raise
        if not (isinstance(champion, Call) and champion.tail):
            return Deferred(
                lambda: self._finish(
                    lambda payload: run_challenge(self, node, champion, payload, self.deadline, self.trail)
                )
            )
        pair = self.reached(node, seen=True)
        if pair is not None and (not self.whole or pair.begin(self._own_payload)):
            self.pair = pair
            pair.handed_over(champion.model)
        self.trail.add(champion.model.name)
        return TailCall(champion.model, self.trail.text())

    def _refuse(self, node: ChallengePlan) -> None:
        """Count a request that reaches a challenge and fails at its champion."""
        pair = self.reached(node, seen=self.whole)
        if pair is not None:
            pair.left()

    def reached(self, node: ChallengePlan, *, seen: bool) -> Pair | None:
        """Tell that the request reaches the challenge, ``seen`` whole by now or later; a second time it is no pair."""
        if self._challenged:
            return None
        self._challenged = True
        return self.seams.challenging.reached(self, node, seen=seen)

    @property
    def _own_payload(self) -> Payload:
        return Payload(self.request.raw_body, self.request.headers.get("content-type"), own=True)

    async def _finish(self, work: Callable[[Payload], Coroutine[object, object, Result]]) -> Outcome:
        try:
            result = await work(self._own_payload)
        except BadRequest as error:
            self._cut_short()
            return refused(error, self.plan.graph, self.request.id, self.trail.text())
        except BaseException:
            self._cut_short()
            raise
        return self._outcome(result)

    def _evaluate(self, node: PlanNode | Made, payload: Payload) -> Coroutine[object, object, Result]:
        return self.evaluate(node, payload, self.deadline, self.trail)

    def _outcome(self, result: Result) -> Outcome:
        route = self.trail.text()
        if isinstance(result, Tail):
            if self.late(result.deadline):
                self._cut_short()
                return failed(Failure(Cause.TIMEOUT, result.model.name), self.plan.graph, self.request.id, route)
            payload = None if result.payload.own else result.payload
            left = result.deadline - self.seams.now()
            return TailCall(result.model, route, payload, result.model.attempt_timeout(left))
        if isinstance(result, Failure):
            return failed(result, self.plan.graph, self.request.id, route)
        return passed_on(result, route)

    def _cut_short(self) -> None:
        """Tell the pair that Envoy does not make the champion's last call after all."""
        if self.pair is not None:
            self.pair.left()
            self.pair = None

    def late(self, deadline: float) -> bool:
        """Tell whether no time is left for another call."""
        return deadline - self.seams.now() < _NOTHING_LEFT

    # --- nodes

    async def evaluate(self, node: PlanNode | Made, payload: Payload, deadline: float, trail: Trail) -> Result:
        """Return what comes of a node. Raises BadRequest for what fails the whole request."""
        chosen = self.choose(node, trail)
        match chosen:
            case Made():
                return chosen
            case Call():
                return await self._call(chosen, payload, deadline, trail)
            case RespondPlan():
                return respond(chosen, self.activation)
            case ChainPlan():
                return await run_chain(self, chosen, payload, deadline, trail)
            case EnsemblePlan():
                return await run_ensemble(self, chosen, payload, deadline, trail)
            case FallbackPlan():
                return await run_fallback(self, chosen, payload, deadline, trail)
            case CascadePlan():
                return await run_cascade(self, chosen, payload, deadline, trail)
            case ChallengePlan():
                return await run_challenge(self, chosen, chosen.champion, payload, deadline, trail)
            case SplitPlan() | SwitchPlan():
                raise AssertionError(chosen)  # choose() ends at neither
            case _:
                assert_never(chosen)

    async def _call(self, node: Call, payload: Payload, deadline: float, trail: Trail) -> Result:
        if node.tail:
            trail.add(node.model.name)
            return Tail(node.model, payload, deadline)
        request = self.request
        call = SubCall(
            model=node.model,
            method="POST" if payload.made else request.method,
            target=request.target,
            authority=request.host,
            headers=request.onward(payload.own, payload.content_type),
            body=payload.body,
            deadline=deadline,
            began=self.seams.now(),
            node=node.node,
        )
        reply = await self.seams.caller.call(call)
        result = _judged(reply, node.model.name)
        ok = isinstance(result, Reply) and result.ok
        shown = result.shown if isinstance(result, Failure) else str(result.status)
        trail.add(node.model.name if ok else f"{node.model.name}!{shown}")
        return result

    def choose(self, node: PlanNode | Made, trail: Trail) -> PlanNode | Made:
        """Follow splits and switches to what is neither; a switch without a way on is a 404."""
        while True:
            match node:
                case SplitPlan():
                    node = self._split(node, trail)
                case SwitchPlan():
                    taken = self._switch(node, trail)
                    if isinstance(taken, Made):
                        return taken
                    node = taken
                case _:
                    return node

    def _take(self, node: str, branch: Branch, program: Program | None, value: object, trail: Trail) -> PlanNode:
        self.seams.recorder.decided(self.plan, node, branch, program, value)
        trail.add(branch.decision)
        return branch.target

    def _split(self, node: SplitPlan, trail: Trail) -> PlanNode:
        key, text = (None, "") if node.by is None else self.key(node.by, node.name)
        index = node.lots.sticky(text) if text else node.lots.drawn(self.seams.random)
        return self._take(node.name, node.branches[index], node.by, key, trail)

    def key(self, program: Program, node: str) -> tuple[object, str]:
        """Return a sticky choice's key as value and as text; what has no text is no key."""
        key = self.value(program, self.activation, node)
        try:
            return key, "" if key is None else text_of(key)
        except EvaluationError as error:
            self.seams.recorder.expression_failed(self.plan, node, program, error)
            return None, ""

    def _switch(self, node: SwitchPlan, trail: Trail) -> PlanNode | Made:
        for program, branch in node.cases:
            if self.value(program, self.activation, node.name) is True:
                return self._take(node.name, branch, program, True, trail)
        if node.default is None:
            error = {"code": "no_route", "message": _NO_ROUTE, "graph": self.plan.graph, "node": node.name}
            body = encode({"error": error | ({"requestId": self.request.id} if self.request.id else {})})
            return Made(404, (("content-type", JSON),), body, details="extproc.no_route")
        return self._take(node.name, node.default, None, None, trail)

    def value(self, program: Program, activation: dict[str, object], node: str) -> object:
        """Return a condition's or key's value, None where it cannot be computed: that counts as false, as missing."""
        try:
            return program(activation)
        except EvaluationError as error:
            self.seams.recorder.expression_failed(self.plan, node, program, error)
            return None
        except BadRequest as error:
            error.node = error.node or node
            raise


def _judged(reply: Reply | Failed, model: str) -> Reply | Failure:
    """Turn a sub-call's 5xx into a failure; its other responses are passed on, whatever they are."""
    if isinstance(reply, Failed):
        return Failure(reply.cause, model)
    if reply.status >= FIRST_SERVER_ERROR:
        return Failure(Cause.STATUS, model, status=reply.status)
    return reply
