"""From a request to an outcome, as far as no call is needed: splits, switches and responds, without an await."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from extproc.engine.answers import error_answer, respond
from extproc.engine.outcome import Outcome, TailCall
from extproc.errors import BadRequest
from extproc.expr import EvaluationError, Program, text_of
from extproc.plan.plan import Branch, Call, Plan, PlanNode, RespondPlan, SplitPlan, SwitchPlan

if TYPE_CHECKING:
    from extproc.engine.request import Request
    from extproc.engine.seams import Recorder
    from extproc.plan.sticky import Random

_NO_ROUTE = BadRequest(404, "no_route", "no case of the switch holds, and it has no default")


class Walk:
    """One request's way through a plan; ``route`` collects what the client is shown."""

    __slots__ = ("activation", "at", "plan", "random", "recorder", "request", "route")

    def __init__(self, plan: Plan, request: Request, random: Random, recorder: Recorder) -> None:
        self.plan = plan
        self.request = request
        self.random = random
        self.recorder = recorder
        self.activation = {"request": request}
        self.route: list[str] = []
        self.at = "root"

    def decide(self) -> Outcome:
        """Walk to the end; what the client did wrong is an answer too."""
        try:
            return self._follow(self.plan.root)
        except BadRequest as error:
            return error_answer(error, self.plan.graph, self.at, self.request.id, ",".join(self.route))

    def _follow(self, node: PlanNode) -> Outcome:
        while True:
            match node:
                case Call():
                    return TailCall(node.model, ",".join((*self.route, node.model.name)))
                case SplitPlan():
                    node = self._split(node)
                case SwitchPlan():
                    node = self._switch(node)
                case RespondPlan():
                    self.at = node.name
                    return respond(node, self.activation, ",".join(self.route))
                case _:
                    assert_never(node)

    def _take(self, node: str, branch: Branch, program: Program | None, value: object) -> PlanNode:
        self.recorder.decided(self.plan, node, branch, program, value)
        self.route.append(branch.decision)
        return branch.target

    def _split(self, node: SplitPlan) -> PlanNode:
        self.at = node.name
        key = None if node.by is None else self._evaluate(node.by)
        text = "" if key is None else text_of(key)
        index = node.lots.sticky(text) if text else node.lots.drawn(self.random)
        return self._take(node.name, node.branches[index], node.by, key)

    def _switch(self, node: SwitchPlan) -> PlanNode:
        self.at = node.name
        for program, branch in node.cases:
            if self._evaluate(program) is True:
                return self._take(node.name, branch, program, True)  # noqa: FBT003
        if node.default is None:
            raise _NO_ROUTE
        return self._take(node.name, node.default, None, None)

    def _evaluate(self, program: Program) -> object:
        """Return the value, or None where it cannot be computed: a missing key, a condition that does not hold."""
        try:
            return program(self.activation)
        except EvaluationError as error:
            self.recorder.expression_failed(self.plan, self.at, program, error)
            return None
