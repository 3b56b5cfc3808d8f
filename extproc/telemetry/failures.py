"""One line for each request that failed by our fault or a model's, as long as they are few; beyond that, their number."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from extproc.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 20.0  # lines a second: when a model is down, more say nothing that these do not
BURST = 100  # lines at once: a short trouble is told whole
TELL_EVERY = 1.0  # seconds between lines that tell how many were left out
MAX_ID = 128  # characters of a request id, which is the client's own text: four times a UUID
_FIRST_SERVER_ERROR = 500
_OVERLOADED = 429

log = logging.getLogger(__name__)


class FailureLog:
    """Logs failed requests, ``rate`` a second, and ``burst`` at once. Holds nothing of a request but its id."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, rate: float = RATE, burst: float = BURST
    ) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = clock()
        self._left_out_before = 0  # and told
        self._left_out = 0
        self._left_out_since = 0.0

    def __repr__(self) -> str:
        """Say what was left out."""
        return f"<FailureLog {self._left_out_before + self._left_out} left out>"

    @property
    def dropped(self) -> int:
        """How many lines this process did not write: what was left out here, and whatever nobody read."""
        return self._left_out_before + self._left_out + logs.dropped()

    def failed(  # noqa: PLR0913 - what a line says, each once
        self,
        graph: str,
        status: int,
        code: str,
        request_id: str,
        trace_id: str = "",
        *,
        model: str = "",
        route: str = "",
    ) -> None:
        """Tell of a request that was answered with ``status``; ``code`` is the error's, empty strings are not known.

        What is a client's own fault (4xx but 429) is told at debug, where nothing is left out.
        """
        level = logging.WARNING if status >= _FIRST_SERVER_ERROR or status == _OVERLOADED else logging.DEBUG
        if not log.isEnabledFor(level):
            return
        if level == logging.WARNING:
            self.tell_left_out()
            if not self._may():
                self._leave_out()
                return
        request_id = request_id[:MAX_ID]
        known = {"code": code, "model": model, "route": route, "request_id": request_id, "trace_id": trace_id}
        fields = {name: value for name, value in known.items() if value}
        message = f"{graph}: {status} {code}"
        message += f" (model {model})" if model else ""
        message += f" request={_word(request_id)}" if request_id else ""
        message += f" trace={trace_id}" if trace_id else ""
        log.log(level, "%s", message, extra={"graph": graph, "status": status, **fields})

    def tell_left_out(self) -> None:
        """Say how many were left out, once a second at most; to be called now and then, for the last ones of a trouble."""
        if self._left_out and self._clock() - self._left_out_since >= TELL_EVERY and self._may():
            number, self._left_out = self._left_out, 0
            self._left_out_before += number
            log.warning("%d more requests failed, and have no line of their own", number, extra={"left_out": number})

    def _leave_out(self) -> None:
        if not self._left_out:
            self._left_out_since = self._clock()
        self._left_out += 1

    def _may(self) -> bool:
        """Take a line's worth of what may be said, if there is that much."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _word(text: str) -> str:
    """Return a text so that it cannot pass for more than one value: as it is if it is a plain word, else quoted."""
    plain = text.isascii() and text.isprintable() and not any(mark in text for mark in ' "\\')
    return text if plain else json.dumps(text)
