"""How long to wait before a process is started again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

FIRST = 0.1  # seconds: one crash is hardly noticed
LONGEST = 10.0  # a process that cannot start does not busy the machine
STEADY = 30.0  # one that ran this long starts from the first pause again


@dataclass
class Backoff:
    """Pauses that double, and begin again after a life that was long enough."""

    _pause: float = FIRST
    _since: float = field(default_factory=time.monotonic)

    def started(self) -> None:
        """Note that a life begins."""
        self._since = time.monotonic()

    def pause(self) -> float:
        """Return the seconds to wait after a life that has just ended."""
        if time.monotonic() - self._since >= STEADY:
            self._pause = FIRST
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST)
        return pause
