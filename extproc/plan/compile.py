"""A graph compiled to a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from extproc.expr import Program, Template, compile_expression, compile_template
from extproc.graph.away import away_model
from extproc.graph.challenged import challenge_key
from extproc.graph.document import (
    Cascade,
    Chain,
    Challenge,
    Ensemble,
    Fallback,
    Node,
    Respond,
    Split,
    Switch,
)
from extproc.graph.walk import children, flatten
from extproc.plan.chain import waits
from extproc.plan.model import ModelPlan, plan_model
from extproc.plan.plan import (
    Branch,
    Call,
    CascadePlan,
    ChainPlan,
    ChallengePlan,
    ChallengerPlan,
    ComparePlan,
    EnsemblePlan,
    FallbackPlan,
    Input,
    MemberPlan,
    Plan,
    PlanNode,
    RespondPlan,
    SplitPlan,
    StepPlan,
    SwitchPlan,
)
from extproc.plan.reads import makes_calls, reachable, reads_body, rewrites_tail, tail_called
from extproc.plan.sticky import Lots, prefix_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.graph import Graph
    from extproc.graph.walk import Branch as GraphBranch

REQUEST = frozenset({"request"})
IN_CHAIN = frozenset({"request", "steps"})
IN_ENSEMBLE = frozenset({"request", "members"})
WITH_RESPONSE = frozenset({"request", "response"})


def compile_graph(graph: Graph) -> Plan:
    """Compile a loaded graph."""
    spec = graph.document.spec
    models = {name: plan_model(graph.name, name, model) for name, model in spec.models.items()}
    building = _Building(graph, models, flatten(spec))
    root = building.target("root", tail=True, of="")
    away = away_model(spec)
    return Plan(
        graph=graph.name,
        id=graph.id,
        match=spec.match,
        timeout=spec.timeout,
        max_body=spec.max_body,
        root=root,
        models=models,
        reads_body=reads_body(root),
        calls=makes_calls(root),
        rewrites=rewrites_tail(root),
        away=None if away is None else models[away],
        challenge=_challenge_of(root),
        nodes=building.done,
    )


def _challenge_of(root: PlanNode) -> ChallengePlan | None:
    """Return the challenge; of one in tail position and elsewhere the one whose response has to be shown."""
    found = [node for node in reachable(root) if isinstance(node, ChallengePlan)]
    return max(found, key=lambda node: node.shown, default=None)


class _Building:
    """The nodes compiled so far: a node that several branches lead to is compiled once for tail position, once not."""

    def __init__(self, graph: Graph, models: Mapping[str, ModelPlan], nodes: Mapping[str, Node]) -> None:
        self._graph = graph
        self._models = models
        self._nodes = nodes
        self.done: dict[tuple[str, bool], PlanNode] = {}

    def target(self, name: str, *, tail: bool, of: str) -> PlanNode:
        """Compile what a name in the node ``of`` leads to: a model, or a node."""
        if name in self._models and name not in self._nodes:
            return Call(self._models[name], tail, of)
        if (name, tail) not in self.done:
            self.done[name, tail] = self._node(name, self._nodes[name], tail=tail)
        return self.done[name, tail]

    def _node(self, name: str, node: Node, *, tail: bool) -> PlanNode:
        branches = children(name, node)
        match node.body:
            case Split() as split:
                return self._split(name, split, self._branches(name, branches, tail=tail))
            case Switch() as switch:
                return _switch(name, switch, self._branches(name, branches, tail=tail))
            case Respond() as respond:
                return _respond(name, respond)
            case Chain() as chain:
                return self._chain(name, chain, branches, tail=tail)
            case Ensemble() as ensemble:
                return self._ensemble(name, ensemble, branches)
            case Fallback() as fallback:
                targets = self._routes(name, branches, tail=tail)
                timeouts = [route.timeout for route in fallback.routes]
                return FallbackPlan(name, tuple(zip(targets, timeouts, strict=True)), frozenset(fallback.on))
            case Cascade() as cascade:
                targets = self._routes(name, branches, tail=tail)
                accepts = [_expression(route.accept, WITH_RESPONSE) for route in cascade.routes]
                return CascadePlan(name, tuple(zip(targets, accepts, strict=True)))
            case Challenge() as challenge:
                return self._challenge(name, challenge, branches, tail=tail)

    def _branches(self, name: str, branches: Sequence[GraphBranch], *, tail: bool) -> list[Branch]:
        return [
            Branch(branch.name, f"{name}={branch.name}", self.target(branch.target, tail=tail, of=name))
            for branch in branches
        ]

    def _routes(self, name: str, branches: Sequence[GraphBranch], *, tail: bool) -> list[PlanNode]:
        """Compile routes that are tried in turn: only the last one's response is the answer whatever it is."""
        last = len(branches) - 1
        return [
            self.target(branch.target, tail=tail and index == last, of=name) for index, branch in enumerate(branches)
        ]

    def _split(self, name: str, split: Split, branches: list[Branch]) -> SplitPlan:
        seed = f"{self._graph.name}/{name}" if split.seed is None else split.seed
        weighted = [(branch.name, route.weight) for branch, route in zip(branches, split.routes, strict=True)]
        return SplitPlan(name, _expression(split.by, REQUEST), Lots.of(seed, weighted), tuple(branches))

    def _chain(self, name: str, chain: Chain, branches: Sequence[GraphBranch], *, tail: bool) -> ChainPlan:
        targets = {(branch.role, branch.index): branch.target for branch in branches}
        last = len(chain.steps) - 1
        steps: list[StepPlan] = []
        for index, step in enumerate(chain.steps):
            ends = tail and index == last and chain.output is msgspec.UNSET and step.on_error == "fail"
            when = _expression(step.when, IN_CHAIN)
            source = _input(step.input)
            other = targets.get(("onError", index))
            on_error = (
                step.on_error if isinstance(step.on_error, str) else self.target(other or "", tail=False, of=name)
            )
            target = self.target(targets["step", index], tail=ends, of=name)
            names = [one.name for one in chain.steps[:index]]
            # Once a tail call is handed over no other step can fail the chain: it waits for all of them.
            due = frozenset(range(index)) if ends else waits(names, source, when)
            steps.append(StepPlan(step.name, target, source, when, on_error, due))
        in_line = all(index == 0 or index - 1 in step.waits for index, step in enumerate(steps))
        return ChainPlan(name, tuple(steps), _template(chain.output, IN_CHAIN), in_line)

    def _ensemble(self, name: str, ensemble: Ensemble, branches: Sequence[GraphBranch]) -> EnsemblePlan:
        members = tuple(
            MemberPlan(
                member.name,
                self.target(branch.target, tail=False, of=name),
                member.weight,
                _template(member.input, REQUEST),
            )
            for member, branch in zip(ensemble.members, branches, strict=True)
        )
        require = len(members) if ensemble.require is None else ensemble.require
        output = _template(ensemble.output, IN_ENSEMBLE)
        return EnsemblePlan(name, members, require, ensemble.wait, ensemble.combine or "collect", output)

    def _challenge(
        self, name: str, challenge: Challenge, branches: Sequence[GraphBranch], *, tail: bool
    ) -> ChallengePlan:
        champion = self.target(branches[0].target, tail=tail, of=name)
        seed = f"{self._graph.name}/{name}"
        challengers = tuple(
            ChallengerPlan(
                one.name,
                self.target(branch.target, tail=False, of=name),
                one.sample,
                _expression(one.by, REQUEST),
                prefix_of(seed, one.name),
            )
            for one, branch in zip(challenge.challengers, branches[1:], strict=True)
        )
        compare = challenge.compare
        return ChallengePlan(
            name=name,
            key=challenge_key(self._graph),
            champion=champion,
            again=self.target(branches[0].target, tail=False, of=name) if challenge.noise else None,
            challengers=challengers,
            compare=ComparePlan(
                _expression(compare.value, WITH_RESPONSE),
                compare.kind,
                compare.tolerance,
                _expression(compare.by, REQUEST),
            ),
            shown=tail_called(champion),
        )


def _switch(name: str, switch: Switch, branches: list[Branch]) -> SwitchPlan:
    conditions = [compile_expression(case.when, REQUEST) for case in switch.cases]
    default = branches[-1] if switch.default is not None else None
    return SwitchPlan(name, tuple(zip(conditions, branches[: len(conditions)], strict=True)), default)


def _respond(name: str, respond: Respond) -> RespondPlan:
    headers = tuple((key.lower(), value) for key, value in respond.headers.items())
    return RespondPlan(name, respond.status, headers, _template(respond.body, REQUEST))


def _input(written: Any) -> Input:
    if written is msgspec.UNSET:
        return "previous"
    return "auto" if written == "auto" else compile_template(written, IN_CHAIN)


def _expression(text: str | None, variables: frozenset[str]) -> Program | None:
    return None if text is None else compile_expression(text, variables)


def _template(written: Any, variables: frozenset[str]) -> Template | None:
    return None if written is msgspec.UNSET else compile_template(written, variables)
