"""A challenge tried: the true labels of its requests are told, and its report is read once all of it is in."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from extproc.challenge.document import Report, read
from extproc.demo.scene import Request
from extproc.errors import ExtprocError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extproc.demo.played import Played
    from extproc.demo.tour import Sender

OK: Final = 200
PATIENCE: Final = 30.0  # seconds for all to be booked: a worker tells of it twice a second, on a loaded machine later
LOOK_EVERY: Final = 0.1  # seconds between two reports, each of which takes the store a hundredth of one


@dataclass(frozen=True, slots=True)
class Tried:
    """``feedback`` is what was told, ``taken`` the answer to it, ``document`` the report as it came."""

    feedback: Request
    taken: Any
    document: Any

    @property
    def report(self) -> Report:
        """The report."""
        return read(self.document)


async def tried(graph: str, played: Sequence[Played], admin: Sender) -> Tried:
    """Tells the labels when all pairs are booked, and returns the report that has them.

    What is not in after ``PATIENCE`` is missing from the report.

    Raises:
        ExtprocError: The admin address took no labels, or answered otherwise than with a report.
    """
    end = time.monotonic() + PATIENCE
    await _report(graph, admin, lambda report: _booked(report, len(played)), end)
    feedback = Request("/feedback", [_label(one) for one in played])
    taken = await _asked(admin, feedback)
    return Tried(feedback, taken, await _report(graph, admin, _joined, end))


def _label(played: Played) -> dict[str, Any]:
    """What a row was, by the request's id; of several rows a list."""
    truth = played.ask.truth
    return {"requestId": played.answer.request_id, "label": truth[0] if len(truth) == 1 else truth}


async def _report(graph: str, admin: Sender, ready: Callable[[Report], bool], end: float) -> Any:
    """The first report that is ready, or, when time is up, the last that is not."""
    request = Request(f"/challenges/{graph}", None, {"accept": "application/json"}, "GET")
    while True:
        document = await _asked(admin, request)
        try:
            report = read(document)
        except msgspec.ValidationError as error:
            raise ExtprocError(f"what the admin address says of {graph} is no report: {error}") from None
        if ready(report) or time.monotonic() > end:
            return document
        await asyncio.sleep(LOOK_EVERY)


async def _asked(admin: Sender, request: Request) -> Any:
    answer = await admin.send(request)
    if answer.status != OK:
        raise ExtprocError(f"{request.path} at the admin address was answered {answer.status}: {answer.document}")
    return answer.document


def _booked(report: Report, requests: int) -> bool:
    """Whether all requests have come, and none is on the way."""
    return report.eligible >= requests and not any(one.counts.pending for one in report.challengers)


def _joined(report: Report) -> bool:
    """Whether every pair has its label, usable or not."""
    truths = [(one.truth, one.counts.paired) for one in report.challengers]
    return all(truth is not None and truth.joined + truth.unusable >= paired for truth, paired in truths)
