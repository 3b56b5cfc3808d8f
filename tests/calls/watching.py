"""A recorder that remembers."""

from __future__ import annotations


class Recorded:
    """The calls told of: model, outcome, attempts, hedged."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int, bool]] = []
        self.seconds: list[float] = []

    def called(self, model, outcome, seconds, attempts, *, hedged):
        self.calls.append((model.name, outcome, attempts, hedged))
        self.seconds.append(seconds)
