"""A scene: one sample graph's part of the tour, as data. To add one, write a file in ``scenes/`` and list it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extproc.demo.answer import Answer

Why: TypeAlias = "str | Callable[[Answer], str]"
"""One or two sentences on what just happened; a function where that depends on the answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; a ``body`` goes as JSON, None is no body."""

    path: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the answer must be; anything else fails the demo.

    ``routes``: the values ``x-extproc-route`` may have; none: no such header. ``says``: a text within the body.
    ``headers``: those that must be there just so; they are shown.
    """

    routes: tuple[str, ...] = ()
    status: int = 200
    says: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, shown with its answer.

    ``truth``: the true label of each row sent. ``picture``: lines above it. ``alone``: models that are asked the same by
    themselves, past the graph, when it is a V1 request.
    """

    title: str
    request: Request
    why: Why
    expected: Expected
    truth: tuple[int, ...] = ()
    picture: str = ""
    alone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many requests, shown as the shares of one node's branches; without a node, of the models that answered.

    ``shares``: for each of them the least and the greatest share of the requests that is as expected. ``alone``: models
    that are asked all of it by themselves, past the graph; these are V1 requests.
    """

    title: str
    asks: tuple[Ask, ...]
    node: str | None
    shares: Mapping[str, tuple[float, float]]
    why: str
    alone: tuple[str, ...] = ()

    def side(self, answer: Answer) -> str:
        """Whose share an answer belongs to."""
        taken = answer.model if self.node is None else answer.decisions.get(self.node)
        return taken or "(none)"


@dataclass(frozen=True, slots=True)
class Trial:
    """The true labels of all that the scene has sent so far are told, and the graph's challenge is shown as its report.

    ``challengers``: the challenger's name to its model. The requests before have the champion and these models in their
    ``alone``: what the report says of them must be so.
    """

    title: str
    champion: str
    challengers: Mapping[str, str]
    why: str


Step: TypeAlias = Ask | Crowd | Trial


@dataclass(frozen=True, slots=True)
class Scene:
    """``graph``: the sample graph's name, or none for what no graph matches; ``about``: what to look for.

    ``labels``: what the predictions 0, 1, 2 mean, where they are no numbers. ``between``: what stands between the models
    that one request called, in words.
    """

    graph: str | None
    title: str
    about: str
    steps: tuple[Step, ...]
    labels: tuple[str, ...] = ()
    between: str = ", then "

    @property
    def name(self) -> str:
        """What it is called in machine-readable output."""
        return self.graph or "no-graph"
