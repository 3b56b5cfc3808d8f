"""Which way a request goes and why: decisions as the engine makes them, and the calls that follow, calling nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

import msgspec

from extproc.engine.answers import fill, passed_on, refused, respond
from extproc.engine.outcome import Answer
from extproc.engine.request import Request
from extproc.engine.result import Made
from extproc.engine.run import Run
from extproc.engine.seams import Seams
from extproc.errors import BadRequest
from extproc.plan.match import fits, specific_first
from extproc.plan.plan import (
    Call,
    CascadePlan,
    ChainPlan,
    EnsemblePlan,
    FallbackPlan,
    PlanNode,
    RespondPlan,
    SplitPlan,
    SwitchPlan,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.engine.calling import Failed, Reply, SubCall
    from extproc.expr import EvaluationError, Program
    from extproc.plan.plan import Branch, Plan, StepPlan
    from extproc.plan.sticky import Random


@dataclass(frozen=True, slots=True)
class Decision:
    """A branch taken, and the expression with its value where one decided."""

    node: str
    branch: str
    expr: str | None
    value: object

    def why(self) -> str:
        """Say the reason in a few words."""
        if self.expr is None:
            return "by chance" if self.branch != "default" else "no case holds"
        if self.value is None:
            return f"by chance: {self.expr} has no value"
        return f"{self.expr} is {msgspec.json.encode(self.value).decode()}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An expression that could not be evaluated: a condition counted as false, a key as missing."""

    node: str
    expr: str
    error: str


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that follows; ``condition`` is on what, where that is only known once another call has answered."""

    model: str
    kind: str
    node: str
    part: str = ""
    condition: str = ""

    def data(self) -> dict[str, str]:
        """Return it as JSON-able data: model and kind always, the rest where there is any."""
        said = {"model": self.model, "kind": self.kind, "node": self.node, "part": self.part, "if": self.condition}
        return {name: value for name, value in said.items() if value}


@dataclass
class Explanation:
    """What happened to one request; a Recorder of the engine's, and a Caller that is never asked."""

    plan: Plan | None = None
    answer: Answer | None = None
    decisions: list[Decision] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    calls: list[PlannedCall] = field(default_factory=list)

    def decided(self, _plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """Keep a branch taken."""
        self.decisions.append(Decision(node, branch.name, program.text if program else None, value))

    def expression_failed(self, _plan: Plan, node: str, program: Program, error: EvaluationError) -> None:
        """Keep an expression that could not be evaluated."""
        self.failures.append(Failure(node, program.text, str(error)))

    async def call(self, call: SubCall) -> Reply | Failed:
        """Refuse: an explanation calls nothing."""
        raise AssertionError(call)

    def data(self) -> dict[str, object]:
        """Return the explanation as JSON-able data."""
        return {
            "graph": self.plan.graph if self.plan else None,
            "id": self.plan.id if self.plan else None,
            "decisions": [msgspec.to_builtins(decision) for decision in self.decisions],
            "errors": [msgspec.to_builtins(failure) for failure in self.failures],
            "calls": [call.data() for call in self.calls],
            "answer": _answer(self.answer, matched=self.plan is not None),
        }


def _answer(answer: Answer | None, *, matched: bool) -> dict[str, object] | None:
    if not matched:
        return {"status": 404, "code": "no_graph"}
    if answer is None:
        return None
    body = answer.body.decode(errors="replace")
    if dict(answer.headers).get("content-type") == "application/json":
        value = msgspec.json.decode(answer.body)
        code = value["error"]["code"] if isinstance(value, dict) and isinstance(value.get("error"), dict) else None
        return {"status": answer.status, **({"code": code} if code else {}), "body": value}
    return {"status": answer.status, "body": body}


def explain(plans: Sequence[Plan], headers: dict[str, str], body: bytes | None, random: Random) -> Explanation:
    """Walk the plan that a request enters; ``headers`` with the pseudo-headers, lower-case."""
    request = Request(headers, body)
    explanation = Explanation()
    entries = specific_first((match, plan) for plan in plans for match in plan.match)
    plan = next((plan for match, plan in entries if fits(match, request.host, request.path, request.headers)), None)
    explanation.plan = plan
    if plan is None:
        return explanation
    run = Run(plan, request, Seams(random, explanation, explanation, lambda: 0.0), plan.timeout)
    try:
        _Explainer(run, explanation).follow(plan.root, "root")
    except BadRequest as error:
        explanation.answer = refused(error, plan.graph, request.id, run.trail.text())
    return explanation


class _Explainer:
    """Follows the nodes; what depends on an answer is followed under its condition."""

    def __init__(self, run: Run, explanation: Explanation) -> None:
        self.run = run
        self.explanation = explanation

    def follow(self, node: PlanNode, at: str, part: str = "", condition: str = "") -> None:
        """Follow one node. Raises BadRequest for what fails the whole request."""
        chosen = self.run.choose(node, self.run.trail)
        match chosen:
            case Made():
                self.answered(chosen, condition)
            case Call():
                kind = "tail" if chosen.tail else "sub"
                self.explanation.calls.append(PlannedCall(chosen.model.name, kind, at, part, condition))
            case RespondPlan():
                self.answered(respond(chosen, self.run.activation), condition)
            case ChainPlan():
                for step in chosen.steps:
                    self.step(chosen, step, condition)
            case EnsemblePlan():
                for member in chosen.members:
                    if member.input is not None:
                        fill(member.input, self.run.activation, chosen.name, f'the input of member "{member.name}"')
                    self.follow(member.target, chosen.name, member.name, condition)
            case FallbackPlan():
                for index, (target, _) in enumerate(chosen.routes):
                    self.follow(target, chosen.name, "", "the one before fails" if index else condition)
            case CascadePlan():
                for index, (target, _) in enumerate(chosen.routes):
                    self.follow(target, chosen.name, "", "the one before is not accepted" if index else condition)
            case SplitPlan() | SwitchPlan():
                raise AssertionError(chosen)  # choose() ends at neither
            case _:
                assert_never(chosen)

    def answered(self, made: Made, condition: str) -> None:
        """Keep an answer, unless it stands under a condition or beside calls."""
        if not condition and not self.explanation.calls:
            self.explanation.answer = passed_on(made, self.run.trail.text())

    def step(self, chain: ChainPlan, step: StepPlan, condition: str) -> None:
        """Follow a step, unless its condition is known not to hold."""
        if step.when is not None:
            if any(path[0] == "steps" for path in step.when.reads):
                condition = step.when.text
            elif self.run.value(step.when, self.run.activation, chain.name) is not True:
                return
        self.follow(step.target, chain.name, step.name, condition)
        if not isinstance(step.on_error, str):
            self.follow(step.on_error, chain.name, step.name, f'step "{step.name}" fails')
