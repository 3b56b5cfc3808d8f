"""What a challenge may take of its worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of each challenger, in each worker.

    concurrency: legs under way. A model that hangs holds them for the graph's timeout, and the rest is shed: enough for
        a thousand requests a second at 50 ms.
    queue: legs that wait for one of these. A burst of as many again, not a backlog.
    memory: bytes of bodies held for pairs that are not settled, the request's and both legs': a body that several
        challengers wait for counts for each of them, so that one that hangs takes nothing from the others.
    response: bytes of a leg's response, as ``maxBody``'s own default: what is larger is no prediction to compare.
    records: pairs of one window kept for labels and as examples; windows are half a second long.
    kept: bytes of what these predict, and of their bodies: written to the supervisor in one piece, so a few milliseconds.
    segments: different values of ``compare.by``; the rest is ``OTHER_SEGMENT``.
    segment: characters of such a value.
    body: bytes of a request kept with an example, where that is on.
    """

    concurrency: int = 64
    queue: int = 64
    memory: int = 64 * 1024 * 1024
    response: int = 1024 * 1024
    records: int = 2048
    kept: int = 4 * 1024 * 1024
    segments: int = 100
    segment: int = 64
    body: int = 16 * 1024


DEFAULTS = Limits()
OTHER_SEGMENT = "(other)"
NO_SEGMENT = "(none)"  # ``compare.by`` had no value
