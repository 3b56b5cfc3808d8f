"""The V2 protocol, the Open Inference Protocol in JSON: ``inputs`` in, ``outputs`` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from extproc.protocol.errors import NotPredictions
from extproc.protocol.predictions import UNNAMED, Column, Predictions
from extproc.protocol.reading import array, encode, fields_of, items_of, put
from extproc.protocol.tensor import BINARY, made_of, rows_of, tensor_of, with_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from msgspec import Raw

    from extproc.protocol.reading import Fields
    from extproc.protocol.tensor import Tensor

DEFAULT_NAME: Final = "input-0"  # what KServe's and MLServer's own clients call a lone input
BINARY_HEADER: Final = "inference-header-content-length"
_MOVED: Final = ("name", "shape", "datatype", "parameters", "data")


def refuse_binary(headers: Mapping[str, str]) -> None:
    """Refuse a response whose lower-case headers say that binary tensors follow its JSON.

    Raises:
        NotPredictions: They do.
    """
    if BINARY_HEADER in headers:
        raise NotPredictions(BINARY)


def predictions(body: bytes) -> Predictions:
    """A column per output tensor, with a row per index of its first dimension."""
    return Predictions(tuple(_column(tensor, _place(index)) for index, tensor in enumerate(_outputs(body))))


def replace(body: bytes, columns: Sequence[Raw]) -> bytes:
    """The body with other data in its output tensors."""
    pairs = zip(_outputs(body), columns, strict=True)
    return bytes(put(body, ("outputs",), array(encode(with_rows(tensor, rows)) for tensor, rows in pairs)))


def forward(body: bytes) -> bytes:
    """A request with the response's output tensors as its inputs, data and parameters untouched."""
    tensors = [tensor.fields for tensor in _outputs(body)]
    return encode({"inputs": [{key: fields[key] for key in _MOVED if key in fields} for fields in tensors]})


def request(columns: Sequence[Column]) -> bytes:
    """A request with one tensor per column; rows that are all objects make a tensor per field."""
    named = [part for column in columns for part in _by_field(column)]
    return encode({"inputs": [made_of(column.name or DEFAULT_NAME, column.rows, column.array) for column in named]})


def is_tensors(text: Raw) -> bool:
    """Whether a text is a list of tensors, by the first."""
    try:
        items = items_of(text, "outputs")
        fields = fields_of(items[0]) if items else {}
    except NotPredictions:
        return False
    return "name" in fields and not fields.keys().isdisjoint(("shape", "datatype"))


def _outputs(body: bytes) -> list[Tensor]:
    fields = _document(body)
    if "outputs" not in fields:
        raise NotPredictions("the response has no outputs")
    items = items_of(fields["outputs"], "outputs")
    if not items:
        raise NotPredictions("the response has no outputs")
    return [tensor_of(fields_of(item, _place(index)), _place(index)) for index, item in enumerate(items)]


def _document(body: bytes) -> Fields:
    try:
        return fields_of(body)
    except NotPredictions:
        if b'"binary_data_size"' in body:
            raise NotPredictions(BINARY) from None
        raise


def _place(index: int) -> str:
    return f"outputs[{index}]"


def _column(tensor: Tensor, place: str) -> Column:
    return Column(tensor.name, rows_of(tensor, place), shape=tensor.shape)


def _by_field(column: Column) -> list[Column]:
    rows: list[Any] = column.rows
    if not rows or any(type(row) is not dict for row in rows):
        return [column]
    names = list(rows[0])
    if any(row.keys() != rows[0].keys() for row in rows) or UNNAMED in names:
        raise NotPredictions("the predictions are objects of different fields, which are no tensors")
    texts = [fields_of(text, "a prediction") for text in column.texts]
    return [Column(name, array(fields[name] for fields in texts)) for name in names]
