"""Which way a request goes and why: decisions as the engine makes them, and the calls that follow, calling nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

import msgspec

from extproc.engine.answers import fill, passed_on, refused, respond
from extproc.engine.request import Request
from extproc.engine.result import Made, listed_as
from extproc.engine.run import Run
from extproc.engine.sampling import sampled
from extproc.engine.seams import Seams
from extproc.engine.views import ResponseView
from extproc.errors import BadRequest
from extproc.plan.match import fits, specific_first
from extproc.plan.plan import (
    Call,
    CascadePlan,
    ChainPlan,
    ChallengePlan,
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
    from extproc.engine.outcome import Answer
    from extproc.expr import EvaluationError, Program, Template
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


@dataclass(frozen=True, slots=True)
class Shadowing:
    """A challenger: whether it sees the request, and why."""

    name: str
    node: str
    sampled: bool
    share: float
    expr: str | None

    def why(self) -> str:
        """Say the reason in a few words."""
        if self.share >= 1:
            return "it sees every request"
        how = "by chance" if self.expr is None else f"by {self.expr}"
        return f"{how}, {self.share * 100:g} % are sampled"


@dataclass
class Explanation:
    """What happened to one request; a Recorder of the engine's, and a Caller that is never asked."""

    plan: Plan | None = None
    answer: Answer | None = None
    decisions: list[Decision] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    calls: list[PlannedCall] = field(default_factory=list)
    challengers: list[Shadowing] = field(default_factory=list)

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
            "challengers": [msgspec.to_builtins(challenger) for challenger in self.challengers],
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
        made = _Explainer(run, explanation).follow(plan.root, "root")
        explanation.answer = None if made is None else passed_on(made, run.trail.text())
    except BadRequest as error:
        explanation.answer = refused(error, plan.graph, request.id, run.trail.text())
    return explanation


class _Explainer:
    """Follows the nodes as if every model answered well; what depends on an answer is followed under its condition.

    What follows a node returns the response that is known to come of it, None where that is for a model to say.
    """

    def __init__(self, run: Run, explanation: Explanation) -> None:
        self.run = run
        self.explanation = explanation

    def follow(self, node: PlanNode, at: str, part: str = "", condition: str = "") -> Made | None:
        """Follow one node. Raises BadRequest for what fails the whole request, whatever the models answer."""
        try:
            chosen = self.run.choose(node, self.run.trail)
            if isinstance(chosen, Call):
                kind = "tail" if chosen.tail else "sub"
                self.explanation.calls.append(PlannedCall(chosen.model.name, kind, at, part, condition))
                return None
            return chosen if isinstance(chosen, Made) else self.within(chosen, condition)
        except BadRequest as error:
            if not condition:
                raise
            self.explanation.failures.append(Failure(error.node, f"if {condition}", error.message))
            return None

    def within(self, node: PlanNode, condition: str) -> Made | None:
        """Follow what a node holds."""
        match node:
            case RespondPlan():
                return respond(node, self.run.activation)
            case ChainPlan():
                return self.chain(node, condition)
            case EnsemblePlan():
                self.ensemble(node, condition)
                return None
            case FallbackPlan():
                return self.fallback(node, condition)
            case CascadePlan():
                return self.cascade(node, condition)
            case ChallengePlan():
                return self.challenge(node, condition)
            case Call() | SplitPlan() | SwitchPlan():
                raise AssertionError(node)  # follow() and choose() end at none of them
            case _:
                assert_never(node)

    def chain(self, node: ChainPlan, condition: str) -> Made | None:
        """Follow the steps, up to one that is known to end the chain."""
        last: Made | None = None
        for step in node.steps:
            if (under := self.condition(node, step, condition)) is None:
                continue
            last = self.step(node, step, under)
            if last is not None and under != condition:
                last = None
            if last is not None and not last.ok:
                return last
        if node.output is not None:
            self.check(node.output, "the chain's output", node.name, condition)
            return None
        return last

    def condition(self, chain: ChainPlan, step: StepPlan, condition: str) -> str | None:
        """Return under which condition a step is run, None where it is known to be skipped."""
        if step.when is None:
            return condition
        if any(path[0] == "steps" for path in step.when.reads):
            return step.when.text
        return condition if self.run.value(step.when, self.run.activation, chain.name) is True else None

    def step(self, chain: ChainPlan, step: StepPlan, condition: str) -> Made | None:
        """Follow a step, and where its failure leads."""
        if not isinstance(step.input, str):
            self.check(step.input, f'the input of step "{step.name}"', chain.name, condition)
        made = self.follow(step.target, chain.name, step.name, condition)
        if (made is not None and made.ok) or step.on_error == "fail":
            return made
        if step.on_error == "skip":
            return None
        if made is not None:
            return self.follow(step.on_error, chain.name, step.name, condition)
        self.follow(step.on_error, chain.name, step.name, f'step "{step.name}" fails')
        return None

    def check(self, template: Template, what: str, node: str, condition: str) -> None:
        """Fill a template that needs no answer, to learn whether that fails the request."""
        if not condition and all(path[0] == "request" for path in template.reads):
            fill(template, self.run.activation, node, what)

    def ensemble(self, node: EnsemblePlan, condition: str) -> None:
        """Follow the members."""
        for member in node.members:
            if member.input is not None:
                self.check(member.input, f'the input of member "{member.name}"', node.name, condition)
        for member in node.members:
            self.follow(member.target, node.name, member.name, condition)

    def fallback(self, node: FallbackPlan, condition: str) -> Made | None:
        """Follow the routes, up to one that is known not to lead on to the next."""
        last = len(node.routes) - 1
        under = condition
        for index, (target, _) in enumerate(node.routes):
            made = self.follow(target, node.name, "", under)
            if made is None:
                under = "the one before fails"
            elif index == last or listed_as(made) not in node.on:
                return made if under == condition else None
        return None

    def cascade(self, node: CascadePlan, condition: str) -> Made | None:
        """Follow the routes, up to one whose response is known to be accepted."""
        last = len(node.routes) - 1
        under = condition
        for index, (target, accept) in enumerate(node.routes):
            made = self.follow(target, node.name, "", under)
            if made is None:
                under = "the one before is not accepted"
            elif under != condition:
                continue
            elif index == last or (made.ok and (accept is None or self.accepted(accept, made, node.name))):
                return made
        return None

    def challenge(self, node: ChallengePlan, condition: str) -> Made | None:
        """Tell who would see the request, and follow the champion: the calls of challengers are no part of the answer."""
        for one in node.challengers:
            drawn = sampled(self.run, one, node.name)
            self.explanation.challengers.append(
                Shadowing(one.name, node.name, drawn, one.sample, one.by.text if one.by else None)
            )
        return self.follow(node.champion, node.name, "champion", condition)

    def accepted(self, accept: Program, made: Made, node: str) -> bool:
        """Tell whether a response made here is accepted."""
        return fill(accept, self.run.activation | {"response": ResponseView(made)}, node, "accept") is True
