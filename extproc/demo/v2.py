"""The V2 protocol (Open Inference Protocol) in JSON, with the names of MLServer's scikit-learn runtime.

One input tensor of shape [rows, features], data flat or nested; asked for or not, the outputs are ``predict``,
``predict_proba`` and ``transform``. Labels have the shape [rows, 1], as MLServer has them since 1.3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np

from extproc import __version__
from extproc.demo.prediction import BadInput, predict, rows_of

if TYPE_CHECKING:
    from extproc.demo.models import DemoModel, Output, Rows, Values

SERVER: Final = {"name": "extproc-demo", "version": __version__, "extensions": []}
Datatype: TypeAlias = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"
]


class Tensor(msgspec.Struct):
    """An input; its data may be flat in row-major order, or nested by its shape."""

    name: str
    shape: list[int]
    datatype: Datatype
    data: list[float | bool | list[float | bool]]


class RequestedOutput(msgspec.Struct):
    """An output asked for by name."""

    name: str


class Request(msgspec.Struct):
    """A V2 request; parameters are ignored."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[RequestedOutput] = []


_DECODER = msgspec.json.Decoder(Request)


async def infer(model: DemoModel, body: bytes) -> dict[str, Any]:
    """Answers ``/infer``.

    Raises:
        BadInput: The body is no V2 request for this model.
    """
    try:
        request = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        raise BadInput(str(error)) from error
    rows = _rows(request, model.features)
    outputs = [_output(name, await predict(model, rows, name)) for name in _asked(request, model)]
    answer = {"model_name": model.name, "model_version": "1", "outputs": outputs}
    return answer if request.id is None else {**answer, "id": request.id}


def describe(model: DemoModel) -> dict[str, Any]:
    """The model's metadata."""
    return {
        "name": model.name,
        "versions": ["1"],
        "platform": "sklearn",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, model.features]}],
        "outputs": [_output_metadata(name, model.width) for name in model.outputs],
    }


def _output_metadata(name: Output, width: int) -> dict[str, Any]:
    label = name == "predict"
    return {"name": name, "datatype": "INT64" if label else "FP64", "shape": [-1, 1 if label else width]}


def _rows(request: Request, features: int) -> Rows:
    if len(request.inputs) != 1:
        raise BadInput(f"expected one input tensor, got {len(request.inputs)}")
    tensor = request.inputs[0]
    if len(tensor.shape) != 2:  # noqa: PLR2004 -- a matrix
        raise BadInput(f"input {tensor.name!r} has shape {tensor.shape}, but the model expects [-1, {features}]")
    count, width = tensor.shape
    flat = _flat(tensor)
    if count < 0 or width < 0 or len(flat) != math.prod(tensor.shape):
        raise BadInput(f"input {tensor.name!r} has {len(flat)} values, but its shape is {tensor.shape}")
    return rows_of([flat[start : start + width] for start in range(0, len(flat), width or 1)], features)


def _flat(tensor: Tensor) -> list[float]:
    """The data in row-major order."""
    rows = [item for item in tensor.data if isinstance(item, list)]
    numbers: list[float] = [item for item in tensor.data if not isinstance(item, list)]
    if not rows:
        return numbers
    if numbers or any(len(row) != tensor.shape[1] for row in rows):
        raise BadInput(f"input {tensor.name!r} has nested data that is not of its shape {tensor.shape}")
    return [number for row in rows for number in row]


def _asked(request: Request, model: DemoModel) -> list[Output]:
    """The outputs asked for, or the model's own."""
    known = {name: name for name in model.outputs}
    for output in request.outputs:
        if output.name not in known:
            raise BadInput(f"model {model.name} has no output {output.name!r}, but {', '.join(known)}")
    return [known[output.name] for output in request.outputs if output.name in known] or [model.output]


def _output(name: Output, values: Values) -> dict[str, Any]:
    matrix = values.reshape(len(values), -1)
    datatype = "INT64" if np.issubdtype(values.dtype, np.integer) else "FP64"
    return {"name": name, "shape": list(matrix.shape), "datatype": datatype, "data": matrix.ravel().tolist()}
