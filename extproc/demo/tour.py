"""Plays the scenes: sends, verifies, tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, assert_never

from extproc.demo.alone import apart, together
from extproc.demo.played import Played
from extproc.demo.scene import Ask, Crowd
from extproc.demo.verify import crowd_deviations, deviations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.scene import Request, Scene

OK: Final = 200


class Sender(Protocol):
    """Who sends requests; an ``ExtprocError`` of its own ends the tour."""

    async def send(self, request: Request) -> Answer:
        """Sends one."""
        ...

    async def send_all(self, requests: Sequence[Request]) -> list[Answer]:
        """Sends many; the answers are in the requests' order."""
        ...


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


class Tour:
    """The scenes played so far: how many requests, how many of them, or of the shares, otherwise than expected.

    ``models`` sends to the model server, past the graphs; ``graphs``: name to ``NAME@DIGEST``.
    """

    def __init__(self, sender: Sender, models: Sender, graphs: Mapping[str, str], teller: Teller) -> None:
        self.requests = 0
        self.failures = 0
        self._sender = sender
        self._models = models
        self._graphs = graphs
        self._teller = teller

    def __repr__(self) -> str:
        """Say what came of it."""
        return f"<Tour {self.requests} requests, {self.failures} failures>"

    async def play(self, scenes: Iterable[Scene]) -> None:
        """Plays scenes one after the other."""
        for scene in scenes:
            self._teller.scene(scene)
            for step in scene.steps:
                match step:
                    case Ask():
                        await self._ask(scene, step)
                    case Crowd():
                        await self._crowd(scene, step)
                    case _:
                        assert_never(step)

    async def _ask(self, scene: Scene, ask: Ask) -> None:
        answer = await self._sender.send(ask.request)
        (alone,), failed = await self._alone(ask.alone, [ask])
        played = Played(ask, answer, alone, [*self._deviations(scene, ask, answer), *failed])
        self._count(1, [played.deviations])
        self._teller.asked(scene, played)

    async def _crowd(self, scene: Scene, crowd: Crowd) -> None:
        answers = await self._sender.send_all([ask.request for ask in crowd.asks])
        alone, failed = await self._alone(crowd.alone, crowd.asks)
        played = [
            Played(ask, answer, said, self._deviations(scene, ask, answer))
            for ask, answer, said in zip(crowd.asks, answers, alone, strict=True)
        ]
        deviations = [*crowd_deviations(crowd, answers), *failed]
        self._count(len(played), [*(one.deviations for one in played), deviations])
        self._teller.crowd(scene, crowd, played, deviations)

    async def _alone(
        self, models: Sequence[str], asks: Sequence[Ask]
    ) -> tuple[Sequence[Mapping[str, Sequence[Any]]], Sequence[str]]:
        """What each model says by itself to each request, all in one batch; and those that failed at it, in words."""
        said: list[dict[str, Sequence[Any]]] = [{} for _ in asks]
        failed = []
        for model in models:
            answer = await self._models.send(together(model, asks))
            if answer.status != OK:
                failed.append(f"{model}, asked alone, answered {answer.status}")
            for mine, predictions in zip(said, apart(answer.predictions or (), asks), strict=True):
                mine[model] = predictions
        return said, failed

    def _deviations(self, scene: Scene, ask: Ask, answer: Answer) -> list[str]:
        graph = None if scene.graph is None else self._graphs.get(scene.graph, f"{scene.graph}, which is not loaded")
        return [*deviations(ask, answer, graph)]

    def _count(self, requests: int, found: Sequence[Sequence[str]]) -> None:
        self.requests += requests
        self.failures += sum(1 for one in found if one)
