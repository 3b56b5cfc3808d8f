"""The tour for machines: one JSON object a line for each request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.demo.why import why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.progress import Progress
    from extproc.demo.scene import Ask, Crowd, Scene


class JsonTeller:
    """Writes to standard output; shares that are not as expected are told on the progress's own way."""

    def __init__(self, address: str, progress: Progress) -> None:
        self._address = address
        self._progress = progress

    def scene(self, scene: Scene) -> None:
        """Every line names its scene: nothing to write."""

    def asked(self, scene: Scene, ask: Ask, answer: Answer, deviations: Sequence[str]) -> None:
        """Writes one line."""
        self._write(scene, ask.title, ask, answer, deviations)

    def crowd(self, scene: Scene, crowd: Crowd, answers: Sequence[Answer], deviations: Sequence[Sequence[str]]) -> None:
        """Writes a line a request."""
        *single, shares = deviations
        for ask, answer, found in zip(crowd.asks, answers, single, strict=True):
            self._write(scene, crowd.title, ask, answer, found)
        for text in shares:
            self._progress.failed(f"WRONG {scene.name}: {crowd.title}: {text}")

    def _write(self, scene: Scene, title: str, ask: Ask, answer: Answer, deviations: Sequence[str]) -> None:
        line: dict[str, Any] = {
            "scene": scene.name,
            "title": title,
            "method": ask.request.method,
            "url": self._address + ask.request.path,
            "headers": ask.request.headers,
            "body": ask.request.body,
            "status": answer.status,
            "graph": answer.graph,
            "route": answer.route,
            "model": answer.model,
            "answer": answer.document,
            "predictions": answer.predictions,
            "truth": ask.truth or None,
            "why": why(ask, answer) or None,
            "deviations": deviations,
        }
        for text in deviations:
            self._progress.failed(f"WRONG {scene.name}: {title}: {text}")
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()
