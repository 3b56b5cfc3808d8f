"""The tour for machines: one JSON object a line for each request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.demo.why import why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.demo.played import Played
    from extproc.demo.progress import Progress
    from extproc.demo.scene import Crowd, Scene


class JsonTeller:
    """Writes to standard output; shares that are not as expected are told on the progress's own way."""

    def __init__(self, address: str, progress: Progress) -> None:
        self._address = address
        self._progress = progress

    def scene(self, scene: Scene) -> None:
        """Every line names its scene: nothing to write."""

    def asked(self, scene: Scene, played: Played) -> None:
        """Writes one line."""
        self._write(scene, played.ask.title, played)

    def crowd(self, scene: Scene, crowd: Crowd, played: Sequence[Played], deviations: Sequence[str]) -> None:
        """Writes a line a request."""
        for one in played:
            self._write(scene, crowd.title, one)
        for text in deviations:
            self._progress.failed(f"WRONG {scene.name}: {crowd.title}: {text}")

    def _write(self, scene: Scene, title: str, played: Played) -> None:
        ask, answer = played.ask, played.answer
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
            "calls": answer.calls,
            "answer": answer.document,
            "predictions": answer.predictions,
            "truth": ask.truth or None,
            "alone": played.alone or None,
            "why": why(ask, answer) or None,
            "deviations": played.deviations,
        }
        for text in played.deviations:
            self._progress.failed(f"WRONG {scene.name}: {title}: {text}")
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()
