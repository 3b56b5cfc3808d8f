"""The V1 protocol of KServe and TF Serving: ``instances`` in, ``predictions`` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.protocol.errors import NotPredictions
from extproc.protocol.predictions import Predictions, alone, column_of
from extproc.protocol.reading import array, encode, fields_of, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from extproc.protocol.predictions import Column
    from extproc.protocol.reading import Fields

# ``result`` is TF Serving's for :classify and :regress, ``outputs`` its columnar format's.
_PLACES: Final = ("predictions", "result", "outputs")


def predictions(body: bytes) -> Predictions:
    """The list under ``predictions``; a value that is no list is a batch of one."""
    fields = fields_of(body)
    return Predictions((column_of(fields[_place(fields)]),))


def replace(body: bytes, columns: Sequence[Raw]) -> bytes:
    """The body with other predictions."""
    place = _place(fields := fields_of(body))
    new = columns[0] if column_of(fields[place]).listed else alone(columns[0])
    return bytes(put(body, (place,), new))


def request(columns: Sequence[Column]) -> bytes:
    """A request with one instance per row; several columns make objects by their names."""
    if len(columns) == 1:
        return encode({"instances": columns[0].array})
    if len({len(column.texts) for column in columns}) != 1:
        raise NotPredictions("the outputs have different first dimensions, which are no instances")
    names = [column.name for column in columns]
    rows = zip(*(column.texts for column in columns), strict=True)
    return encode({"instances": array(encode(dict(zip(names, row, strict=True))) for row in rows)})


def _place(fields: Fields) -> str:
    for place in _PLACES:
        if place in fields:
            return place
    raise NotPredictions("the response has no predictions")
