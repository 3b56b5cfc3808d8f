"""JSON of no known protocol: the whole body is what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.protocol.predictions import Predictions, alone, column_of
from extproc.protocol.reading import EXACT, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw


def predictions(body: bytes) -> Predictions:
    """The rows of an array, or the lone value that the body is."""
    return Predictions((column_of(_whole(body)),))


def replace(body: bytes, columns: Sequence[Raw]) -> bytes:
    """The new predictions, alone when the body's were."""
    return bytes(columns[0] if column_of(_whole(body)).listed else alone(columns[0]))


def _whole(body: bytes) -> Raw:
    return read(EXACT, body, "the response is not JSON")
