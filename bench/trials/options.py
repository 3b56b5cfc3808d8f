"""How long trials take, and by which chance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """``seconds`` is of load, in a round where there are rounds; None is each trial's own."""

    rounds: int = 7
    seconds: float | None = None
    seed: int = 1
