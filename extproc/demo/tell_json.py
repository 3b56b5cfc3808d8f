"""The tour for machines: one JSON object a line for each request, and for each challenge's report."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.demo.why import why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.demo.played import Played
    from extproc.demo.progress import Progress
    from extproc.demo.scene import Crowd, Scene, Trial
    from extproc.demo.trial import Tried


class JsonTeller:
    """Writes to standard output; what is otherwise than expected is told on the progress's own way."""

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
        self._wrong(scene, crowd.title, deviations)

    def trial(self, scene: Scene, trial: Trial, tried: Tried, deviations: Sequence[str]) -> None:
        """Writes one line, with the report's whole document."""
        self._wrong(scene, trial.title, deviations)
        _line(
            {
                "scene": scene.name,
                "title": trial.title,
                "feedback": tried.taken,
                "report": tried.document,
                "why": trial.why,
                "deviations": deviations,
            }
        )

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
        self._wrong(scene, title, played.deviations)
        _line(line)

    def _wrong(self, scene: Scene, title: str, deviations: Sequence[str]) -> None:
        for text in deviations:
            self._progress.failed(f"WRONG {scene.name}: {title}: {text}")


def _line(document: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.buffer.flush()
