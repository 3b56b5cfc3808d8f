"""A graph compiled to a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from extproc.errors import GraphError
from extproc.expr import compile_expression, compile_template
from extproc.graph.away import away_model
from extproc.graph.document import Node, Respond, Split, Switch
from extproc.graph.walk import Branch as GraphBranch
from extproc.graph.walk import children, flatten
from extproc.plan.model import ModelPlan, plan_model
from extproc.plan.plan import Branch, Call, Plan, PlanNode, RespondPlan, SplitPlan, SwitchPlan
from extproc.plan.reads import reads_body
from extproc.plan.sticky import Lots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.graph import Graph

REQUEST = frozenset({"request"})


def compile_graph(graph: Graph) -> Plan:
    """Compile a loaded graph. Raises GraphError for what is valid but not run yet."""
    spec = graph.document.spec
    models = {name: plan_model(graph.name, name, model) for name, model in spec.models.items()}
    building = _Building(graph, models, flatten(spec))
    root = building.target("root")
    return Plan(
        graph=graph.name,
        id=graph.id,
        match=spec.match,
        timeout=spec.timeout,
        max_body=spec.max_body,
        root=root,
        models=models,
        reads_body=reads_body(root),
        away=None if (away := away_model(spec)) is None else models[away],
        nodes=building.done,
    )


class _Building:
    """The nodes compiled so far; a node that several branches lead to is compiled once."""

    def __init__(self, graph: Graph, models: Mapping[str, ModelPlan], nodes: Mapping[str, Node]) -> None:
        self._graph = graph
        self._models = models
        self._nodes = nodes
        self.done: dict[str, PlanNode] = {}

    def place(self, path: str) -> str:
        return f"{self._graph.source}: {path}"

    def target(self, name: str) -> PlanNode:
        """Compile what a name leads to: a node, or a model in tail position."""
        if name in self._models and name not in self._nodes:
            return Call(self._models[name], tail=True)
        if name not in self.done:
            self.done[name] = self._node(name, self._nodes[name])
        return self.done[name]

    def _node(self, name: str, node: Node) -> PlanNode:
        match node.body:
            case Split() as split:
                return self._split(name, node, split)
            case Switch() as switch:
                return self._switch(name, node, switch)
            case Respond() as respond:
                return _respond(name, respond)
            case other:
                kind = type(other).__name__.lower()
                raise GraphError(
                    f"{self.place(f'spec.nodes.{name}')}: a {kind} is part of the language, but this version does not "
                    f"run it yet; it runs split, switch and respond"
                )

    def _branches(self, name: str, node: Node) -> list[tuple[GraphBranch, Branch]]:
        return [
            (branch, Branch(branch.name, f"{name}={branch.name}", self.target(branch.target)))
            for branch in children(name, node)
        ]

    def _split(self, name: str, node: Node, split: Split) -> SplitPlan:
        branches = tuple(branch for _, branch in self._branches(name, node))
        weights = [route.weight for route in split.routes]
        seed = f"{self._graph.name}/{name}" if split.seed is None else split.seed
        lots = Lots.of(seed, [(branch.name, weight) for branch, weight in zip(branches, weights, strict=True)])
        by = None if split.by is None else compile_expression(split.by, REQUEST)
        return SplitPlan(name, by, lots, branches)

    def _switch(self, name: str, node: Node, switch: Switch) -> SwitchPlan:
        found = self._branches(name, node)
        cases = tuple(
            (compile_expression(case.when, REQUEST), branch)
            for case, (_, branch) in zip(switch.cases, found, strict=False)
        )
        default = next((branch for origin, branch in found if origin.role == "default"), None)
        return SwitchPlan(name, cases, default)


def _respond(name: str, respond: Respond) -> RespondPlan:
    body = None if respond.body is msgspec.UNSET else compile_template(respond.body, REQUEST)
    headers = tuple((key.lower(), value) for key, value in respond.headers.items())
    return RespondPlan(name, respond.status, headers, body)
