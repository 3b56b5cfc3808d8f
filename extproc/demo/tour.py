"""Plays the scenes: sends, verifies, tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, assert_never

from extproc.demo.scene import Ask, Crowd
from extproc.demo.verify import crowd_deviations, deviations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.scene import Request, Scene


class Sender(Protocol):
    """Who sends requests; an ``ExtprocError`` of its own ends the tour."""

    async def send(self, request: Request) -> Answer:
        """Sends one."""
        ...

    async def send_all(self, requests: Sequence[Request]) -> list[Answer]:
        """Sends many; the answers are in the requests' order."""
        ...


class Teller(Protocol):
    """Who tells what happened. ``deviations``: what was otherwise than the scene promised."""

    def scene(self, scene: Scene) -> None:
        """A scene begins."""
        ...

    def asked(self, scene: Scene, ask: Ask, answer: Answer, deviations: Sequence[str]) -> None:
        """A request was answered."""
        ...

    def crowd(self, scene: Scene, crowd: Crowd, answers: Sequence[Answer], deviations: Sequence[Sequence[str]]) -> None:
        """A crowd was answered: deviations of each request, and last those of the shares."""
        ...


class Tour:
    """The scenes played so far: how many requests, how many of them, or of the shares, otherwise than expected."""

    def __init__(self, sender: Sender, graphs: Mapping[str, str], teller: Teller) -> None:
        self.requests = 0
        self.failures = 0
        self._sender = sender
        self._graphs = graphs  # name to NAME@DIGEST
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
        found = self._deviations(scene, ask, answer)
        self._count(1, [found])
        self._teller.asked(scene, ask, answer, found)

    async def _crowd(self, scene: Scene, crowd: Crowd) -> None:
        answers = await self._sender.send_all([ask.request for ask in crowd.asks])
        found = [self._deviations(scene, *pair) for pair in zip(crowd.asks, answers, strict=True)]
        found.append([*crowd_deviations(crowd, answers)])
        self._count(len(answers), found)
        self._teller.crowd(scene, crowd, answers, found)

    def _deviations(self, scene: Scene, ask: Ask, answer: Answer) -> list[str]:
        graph = None if scene.graph is None else self._graphs.get(scene.graph, f"{scene.graph}, which is not loaded")
        return [*deviations(ask, answer, graph)]

    def _count(self, requests: int, found: Sequence[Sequence[str]]) -> None:
        self.requests += requests
        self.failures += sum(1 for one in found if one)
