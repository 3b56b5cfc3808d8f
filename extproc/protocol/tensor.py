"""Tensors of the Open Inference Protocol: shape, datatype, and data that is flat or nested."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from extproc.protocol.errors import NotPredictions
from extproc.protocol.reading import STRING, array, fields_of, first_byte, items_of, nested, read, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.protocol.reading import Fields

MAX_DIMENSIONS: Final = 32  # numpy's limit for most of its life; no runtime has more
BINARY: Final = "the response uses the binary tensor extension, which is passed on but never read"
_DIMENSIONS: Final[msgspec.json.Decoder[tuple[int, ...]]] = msgspec.json.Decoder(tuple[int, ...])
_INTEGERS: Final = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
_NESTED: Final = re.compile(rb"\[\s*\[")
_REALS: Final = frozenset({"FP16", "FP32", "FP64", "BF16"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as it is in a body; ``data`` is its exact text, ``fields`` are all that the body says of it."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: Raw
    fields: Fields

    @property
    def empty(self) -> bool:
        """Whether a dimension is 0, so that there is nothing in it."""
        return 0 in self.shape


def tensor_of(fields: Fields, place: str) -> Tensor:
    """Read one tensor's frame.

    Raises:
        NotPredictions: Something of it is missing or of the wrong type, or its data is binary.
    """
    if _is_binary(fields):
        raise NotPredictions(BINARY)
    missing = [key for key in ("name", "shape", "datatype", "data") if key not in fields]
    if missing:
        raise NotPredictions(f"{place} has no {missing[0]}")
    shape = read(_DIMENSIONS, fields["shape"], f"{place}.shape is no list of integers")
    if len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise NotPredictions(f"{place}.shape has a negative size, or more than {MAX_DIMENSIONS} dimensions")
    name = read(STRING, fields["name"], f"{place}.name is no string")
    datatype = read(STRING, fields["datatype"], f"{place}.datatype is no string")
    return Tensor(name, shape or (1,), datatype, fields["data"], fields)


def _is_binary(fields: Fields) -> bool:
    parameters = fields.get("parameters")
    return parameters is not None and first_byte(parameters) == b"{" and "binary_data_size" in fields_of(parameters)


def rows_of(tensor: Tensor, place: str) -> Raw:
    """The array of a tensor's rows along its first dimension, nested by its shape, with the exact text of each number.

    A tensor with nothing in it has no rows.

    Raises:
        NotPredictions: The data does not fit the shape.
    """
    items = items_of(tensor.data, f"{place}.data")
    if tensor.empty:
        return array(())
    if not is_nested(tensor):
        _check(_scalars(items) and len(items) == math.prod(tensor.shape), place)
        return tensor.data if len(tensor.shape) == 1 else array(_nest(items, tensor.shape))
    values = read(nested(len(tensor.shape)), tensor.data, f"{place}.data does not fit its shape")
    _check(shape_of(values) == tensor.shape and _scalars(flatten(values, len(tensor.shape))), place)
    return tensor.data


def _check(fits: bool, place: str) -> None:  # noqa: FBT001 - the one thing it checks
    if not fits:
        raise NotPredictions(f"{place}.data does not fit its shape")


def is_nested(tensor: Tensor) -> bool:
    """Whether the data is nested by the shape, and not flat in row-major order."""
    return _NESTED.match(tensor.data) is not None


def with_rows(tensor: Tensor, rows: Raw) -> Fields:
    """The tensor with other rows of the same shape, in its own layout, and a datatype that holds them.

    Raises:
        NotPredictions: The rows have another shape, or another kind of values.
    """
    if tensor.empty:
        return tensor.fields
    depth = len(tensor.shape)
    problem = "a combined prediction does not fit the tensor's shape"
    texts = read(nested(depth), rows, problem)
    if shape_of(texts) != tensor.shape:
        raise NotPredictions(problem)
    flat = flatten(texts, depth)
    if not _scalars(flat):
        raise NotPredictions(problem)
    data = rows if is_nested(tensor) else array(flat)
    datatype = fitting(tensor.datatype, value_of(array(flat)))
    return {**tensor.fields, "datatype": Raw(msgspec.json.encode(datatype)), "data": data}


def made_of(name: str, rows: list[Any], text: Raw) -> dict[str, Any]:
    """A tensor made of rows and their array's text: shape and datatype are told from the values, the data is flat.

    Raises:
        NotPredictions: The rows are no regular nested lists of one kind of values.
    """
    shape = shape_of(rows)
    flat = flatten(rows, len(shape))
    datatype = datatype_of(flat)
    if datatype is None:
        raise NotPredictions("the predictions are no tensor: not all of one shape and one type")
    leaves = flatten(read(nested(len(shape)), text, "the predictions are no tensor: not all of one shape"), len(shape))
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": array(leaves)}


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of regular nested lists.

    Raises:
        NotPredictions: Lists of one level have different lengths, or there are too many levels.
    """
    shape: list[int] = []
    level = [value]
    while level and all(type(item) is list for item in level):
        sizes = {len(item) for item in level}
        if len(sizes) != 1 or len(shape) == MAX_DIMENSIONS:
            raise NotPredictions("the predictions are no tensor: not all of one shape")
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    return tuple(shape)


def flatten(value: Any, dimensions: int) -> list[Any]:
    """The items of lists nested ``dimensions`` deep."""
    for _ in range(dimensions - 1):
        value = list(chain.from_iterable(value))
    return list(value)


def datatype_of(values: Sequence[Any]) -> str | None:
    """The datatype of some values, None when none holds them all; without values, FP64."""
    types = set(map(type, values))
    if types == {int}:
        return next((name for name in ("INT64", "UINT64") if _within(name, values)), None)
    if types <= {int, float}:
        return "FP64"
    if types == {bool}:
        return "BOOL"
    return "BYTES" if types == {str} else None


def fitting(datatype: str, values: Sequence[Any]) -> str:
    """The datatype when it holds the values, else, among numbers, one that does: FP64 for the mean of integers.

    Raises:
        NotPredictions: They are of another kind.
    """
    if _holds(datatype, values):
        return datatype
    other = datatype_of(values)
    if other is None or {datatype, other} & {"BOOL", "BYTES"}:
        raise NotPredictions("a combined prediction is of another type than the tensor")
    return other


def _holds(datatype: str, values: Sequence[Any]) -> bool:
    types = set(map(type, values))
    if datatype in _INTEGERS:
        return types == {int} and _within(datatype, values)
    if datatype in _REALS:
        return types <= {int, float}
    if datatype == "BOOL":
        return types <= {bool} or (types <= {bool, int} and set(values) <= {0, 1})
    return datatype != "BYTES" or types <= {str}


def _within(datatype: str, values: Sequence[int]) -> bool:
    sign, bits = _INTEGERS[datatype]
    low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return low <= min(values) and max(values) <= high


def _scalars(texts: Sequence[Raw]) -> bool:
    """Whether no text is a list or an object; only strings with brackets in them need a look at each."""
    whole = b"".join(texts)
    if b"[" not in whole and b"{" not in whole:
        return True
    return all(first_byte(text) not in (b"[", b"{") for text in texts)


def _nest(texts: Sequence[Raw], shape: tuple[int, ...]) -> Sequence[Raw]:
    for size in reversed(shape[1:]):
        texts = [array(texts[start : start + size]) for start in range(0, len(texts), size)]
    return texts


__all__ = [
    "BINARY",
    "MAX_DIMENSIONS",
    "Tensor",
    "datatype_of",
    "fitting",
    "made_of",
    "rows_of",
    "tensor_of",
    "with_rows",
]
