"""Plays the scenes: sends, verifies, tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, assert_never

from extproc.demo.alone import apart, together
from extproc.demo.played import Played
from extproc.demo.scene import Ask, Crowd, Trial
from extproc.demo.trial import tried
from extproc.demo.verify import crowd_deviations, deviations
from extproc.demo.verify_report import report_deviations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.scene import Request, Scene
    from extproc.demo.trial import Tried

OK: Final = 200


class Sender(Protocol):
    """Who sends requests; an ``ExtprocError`` of its own ends the tour."""

    async def send(self, request: Request) -> Answer:
        """Sends one."""
        ...

    async def send_all(self, requests: Sequence[Request]) -> list[Answer]:
        """Sends many; the answers are in the requests' order."""
        ...


@dataclass(frozen=True, slots=True)
class Senders:
    """``graphs`` sends through Envoy, ``models`` to the model server past it, ``admin`` to the admin address."""

    graphs: Sender
    models: Sender
    admin: Sender


class Teller(Protocol):
    """Who tells what happened."""

    def scene(self, scene: Scene) -> None:
        """A scene begins."""
        ...

    def asked(self, scene: Scene, played: Played) -> None:
        """A request was answered."""
        ...

    def crowd(self, scene: Scene, crowd: Crowd, played: Sequence[Played], deviations: Sequence[str]) -> None:
        """A crowd was answered; ``deviations``: those that are no single request's."""
        ...

    def trial(self, scene: Scene, trial: Trial, tried: Tried, deviations: Sequence[str]) -> None:
        """Labels were told, and the report is there."""
        ...


class Tour:
    """The scenes played so far: how many requests, how many of them, of the shares or reports, otherwise than expected.

    ``graphs``: name to ``NAME@DIGEST``.
    """

    def __init__(self, senders: Senders, graphs: Mapping[str, str], teller: Teller) -> None:
        self.requests = 0
        self.failures = 0
        self._senders = senders
        self._graphs = graphs
        self._teller = teller

    def __repr__(self) -> str:
        """Say what came of it."""
        return f"<Tour {self.requests} requests, {self.failures} failures>"

    async def play(self, scenes: Iterable[Scene]) -> None:
        """Plays scenes one after the other."""
        for scene in scenes:
            self._teller.scene(scene)
            played: list[Played] = []
            for step in scene.steps:
                match step:
                    case Ask():
                        played.append(await self._ask(scene, step))
                    case Crowd():
                        played += await self._crowd(scene, step)
                    case Trial():
                        await self._trial(scene, step, played)
                    case _:
                        assert_never(step)

    async def _ask(self, scene: Scene, ask: Ask) -> Played:
        answer = await self._senders.graphs.send(ask.request)
        (alone,), failed = await self._alone(ask.alone, [ask])
        played = Played(ask, answer, alone, [*deviations(ask, answer, self._graph(scene)), *failed])
        self._count(1, [played.deviations])
        self._teller.asked(scene, played)
        return played

    async def _crowd(self, scene: Scene, crowd: Crowd) -> Sequence[Played]:
        answers = await self._senders.graphs.send_all([ask.request for ask in crowd.asks])
        alone, failed = await self._alone(crowd.alone, crowd.asks)
        played = [
            Played(ask, answer, said, [*deviations(ask, answer, self._graph(scene))])
            for ask, answer, said in zip(crowd.asks, answers, alone, strict=True)
        ]
        found = [*crowd_deviations(crowd, answers), *failed]
        self._count(len(played), [*(one.deviations for one in played), found])
        self._teller.crowd(scene, crowd, played, found)
        return played

    async def _trial(self, scene: Scene, trial: Trial, played: Sequence[Played]) -> None:
        came = await tried(scene.name, played, self._senders.admin)
        found = [*report_deviations(trial, played, came, self._graph(scene))]
        self._count(0, [found])
        self._teller.trial(scene, trial, came, found)

    async def _alone(
        self, models: Sequence[str], asks: Sequence[Ask]
    ) -> tuple[Sequence[Mapping[str, Sequence[Any]]], Sequence[str]]:
        """What each model says by itself to each request, all in one batch; and those that failed at it, in words."""
        said: list[dict[str, Sequence[Any]]] = [{} for _ in asks]
        failed = []
        for model in models:
            answer = await self._senders.models.send(together(model, asks))
            if answer.status != OK:
                failed.append(f"{model}, asked alone, answered {answer.status}")
            for mine, predictions in zip(said, apart(answer.predictions or (), asks), strict=True):
                mine[model] = predictions
        return said, failed

    def _graph(self, scene: Scene) -> str | None:
        """The id of the graph that has to take a scene's requests."""
        return None if scene.graph is None else self._graphs.get(scene.graph, f"{scene.graph}, which is not loaded")

    def _count(self, requests: int, found: Sequence[Sequence[str]]) -> None:
        self.requests += requests
        self.failures += sum(1 for one in found if one)
