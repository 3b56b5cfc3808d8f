"""Random nested graphs, in which every call is a model of its own, numbered in document order: ``m0``, ``m1``..."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from extproc.engine.calling import Cause
from tests.engine.scripted import Fails, Hangs, Says, planned

if TYPE_CHECKING:
    from extproc.plan.plan import Plan
    from tests.engine.scripted import Line

CAUSES = [cause for cause in Cause if cause not in {Cause.STATUS, Cause.TIMEOUT}]
STATUSES = [200, 200, 200, 200, 404, 429, 503]
MOST_CALLS = 12


@dataclass
class Grown:
    """A graph with the script of its models; ``wild``: timing may decide, and anything may go wrong at once."""

    draw: Any
    wild: bool
    nodes: dict[str, Any] = field(default_factory=dict)
    script: dict[str, Line] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Say what it takes to see it fail again."""
        return f"<Grown {self.nodes} {self.script}>"

    @property
    def plan(self) -> Plan:
        """The plan; without wildness no deadline is ever near."""
        models = {name: {"url": f"http://{name}:1/v1/models/{name}:predict"} for name in self.script}
        return planned(self.nodes, models, timeout=0.1 if self.wild else 1e6)

    def pick(self, *values: Any) -> Any:
        """Draw one of some values."""
        return self.draw(st.sampled_from(values))

    def target(self, depth: int) -> Any:
        """A model or a node."""
        if depth == 0 or len(self.script) >= MOST_CALLS or self.pick(True, False):
            return self.model()
        return self.node(depth)

    def model(self) -> str:
        """The next model, which takes twice as long as the one before; wild ones take any time."""
        number = len(self.script)
        name = f"m{number}"
        self.script[name] = self.line(number)
        return name

    def line(self, number: int) -> Line:
        """What a model does."""
        after = self.pick(0, 1, 10, 20, 30) if self.wild else 2**number
        if self.wild and self.pick(*"12345678") == "8":
            return Hangs()
        if self.pick(*"12345678") == "8":
            return Fails(self.pick(*CAUSES), after)
        return Says(self.pick(*STATUSES), {"m": number}, after)

    def node(self, depth: int) -> dict[str, Any]:
        """A node of any kind."""
        kinds = ["split", "switch", "chain", "chain", "ensemble", "ensemble", "fallback", "cascade"]
        kind = self.pick(*kinds, *(["respond"] if self.wild else []))
        return {kind: getattr(self, kind)(depth - 1)}

    def split(self, depth: int) -> Any:
        """A split whose second half is taken."""
        return {"routes": [{"name": f"r{index}", "to": self.target(depth), "weight": 1} for index in range(2)]}

    def switch(self, depth: int) -> Any:
        """A switch; a wild one may lead nowhere."""
        whens = ["true", "false", "request.headers.nope == 'x'", *(["request.body.x"] if self.wild else [])]
        cases = [{"name": f"c{index}", "when": self.pick(*whens), "to": self.target(depth)} for index in range(2)]
        return {"cases": cases} | ({} if self.wild and self.pick(True, False) else {"default": self.target(depth)})

    def chain(self, depth: int) -> Any:
        """A chain whose steps read each other or not."""
        steps = [self.step(index, depth) for index in range(self.pick(1, 2, 3))]
        return {"steps": steps} | ({"output": "${steps.map(name, name)}"} if self.pick(True, False) else {})

    def step(self, index: int, depth: int) -> Any:
        """A step; the first one is always run, unless it is wild."""
        found: dict[str, Any] = {"name": f"s{index}", "to": self.target(depth)}
        earlier = f"s{self.pick(*range(index))}" if index else "none"
        if index or self.wild:
            found |= self.pick(
                {}, {}, {"when": "false"}, {"when": f"has(steps.{earlier})"} if index else {"when": "true"}
            )
        templates = [{"input": 1}, {"input": f"${{has(steps.{earlier})}}"}] if index else [{"input": 1}]
        wild = [{"input": f"${{steps.{earlier}.body.m}}"}] if self.wild and index else []
        found |= self.pick({}, {}, *templates, *wild)
        return found | self.pick({}, {}, {}, {"onError": "skip"}, {"onError": {"to": self.target(depth)}})

    def ensemble(self, depth: int) -> Any:
        """An ensemble of up to three members."""
        members = [{"name": f"e{index}", "to": self.target(depth)} for index in range(self.pick(1, 2, 3))]
        found = {
            "members": members,
            "require": self.pick(*range(1, len(members) + 1)),
            "wait": self.pick("all", "quorum"),
        }
        return found | {"combine": self.pick("collect", "first", *(["mean", "vote"] if self.wild else []))}

    def fallback(self, depth: int) -> Any:
        """A fallback for some or all failures."""
        on = self.pick({}, {"on": ["5xx"]}, {"on": ["connect", "429"]})
        routes = [{"to": self.target(depth)} for _ in range(self.pick(1, 2, 3))]
        timeouts = [None, 0.01, 0.025] if self.wild else [None]
        return on | {"routes": [route | {"timeout": self.pick(*timeouts)} for route in routes]}

    def cascade(self, depth: int) -> Any:
        """A cascade; the condition may have no value."""
        accepts = ["true", "false", "response.body.m < 3", "response.body.nope"]
        routes = [{"to": self.target(depth), "accept": self.pick(*accepts)} for _ in range(self.pick(0, 1, 2))]
        return {"routes": [*routes, {"to": self.target(depth)}]}

    def respond(self, _depth: int) -> Any:
        """An answer, or none that can be computed."""
        return {"status": self.pick(200, 403, 503), "body": self.pick("text", {"m": 1}, "${request.headers.nope}")}


@st.composite
def grown(draw: Any, *, wild: bool) -> Grown:
    """A random graph with a script."""
    graph = Grown(draw, wild)
    graph.nodes = {"root": graph.node(3)}
    return graph


class Half:
    """A Random that takes the second of two equal lots."""

    def random(self) -> float:
        """Return a number above a half."""
        return 0.75
