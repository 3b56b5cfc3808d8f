"""Legs and comparers in a few words, and strategies of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st

from extproc.challenge.compare import Comparer
from extproc.challenge.evidence import Evidence
from extproc.challenge.leg import LegAnswer
from extproc.engine.calling import Reply
from extproc.engine.request import Request
from extproc.graph.document import Compare
from tests.protocol.bodies import v1

if TYPE_CHECKING:
    from extproc.challenge.compare import Comparison
    from extproc.protocol import Declared

QUICK = settings(max_examples=100, derandomize=True, deadline=None, database=None)
MANY = settings(QUICK, max_examples=300)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.integers(-(2**70), 2**70) | FINITE


def request(body: bytes | None = None) -> Request:
    headers = {":method": "POST", ":path": "/v1/models/m:predict", ":authority": "m", "x-model": "m"}
    return Request(headers, body)


def leg(body: bytes, declared: Declared = "auto", path: str | None = None, **more: Any) -> LegAnswer:
    """A leg that answered 200 with a body; ``headers`` and ``asked``, the request's body, where given."""
    reply = Reply(200, tuple(more.get("headers", {}).items()), body)
    return LegAnswer(request(more.get("asked")), reply, declared, path)


def comparer(**compare: Any) -> Comparer:
    return Comparer.of(Compare(**compare))


def compared(champion: Any, challenger: Any, **compare: Any) -> Any:
    """Two lists of V1 predictions, compared."""
    by = comparer(**compare)
    return by.compare(by.read(leg(v1(champion))), by.read(leg(v1(challenger))))


def evidence(*comparisons: Comparison) -> Evidence:
    """What some pairs add up to."""
    found = Evidence()
    for comparison in comparisons:
        comparison.add_to(found)
    return found
