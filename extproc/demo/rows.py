"""Requests made of held-out rows: what no model was trained on, and whose true label is known."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from extproc.demo import models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.demo.models import DataSet, Labels, Rows

SHADES: Final = " .:oO#@@@"  # a pixel of the digits is 0 to 16: two of its values a shade


def v1(data_set: DataSet, numbers: Sequence[int]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """A V1 request of the rows with these numbers (counted round), and their labels."""
    rows, labels = _held_out(data_set)
    chosen = [number % len(rows) for number in numbers]
    return {"instances": [_plain(rows[at]) for at in chosen]}, tuple(int(labels[at]) for at in chosen)


def v2(data_set: DataSet, number: int, request_id: str) -> tuple[dict[str, Any], tuple[int, ...]]:
    """A V2 request of one row, and its label."""
    body, truth = v1(data_set, [number])
    (row,) = body["instances"]
    tensor = {"name": data_set, "shape": [1, len(row)], "datatype": "FP64", "data": row}
    return {"id": request_id, "inputs": [tensor]}, truth


def held_out_count(data_set: DataSet) -> int:
    """How many rows there are."""
    return len(_held_out(data_set)[0])


def digit_picture(number: int) -> str:
    """A row of the digits as 8 lines of 16 characters, for people."""
    rows, _ = _held_out("digits")
    pixels = rows[number].reshape(8, 8)
    return "\n".join("".join(SHADES[int(value / 2)] * 2 for value in line) for line in pixels)


@functools.cache
def _held_out(data_set: DataSet) -> tuple[Rows, Labels]:
    return models.held_out(data_set)


def _plain(row: Any) -> list[float]:
    """Numbers as people write them: 3 rather than 3.0."""
    return [int(value) if float(value).is_integer() else float(value) for value in row]
