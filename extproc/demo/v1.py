"""The V1 protocol of KServe and TF Serving: ``instances`` in, ``predictions`` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from extproc.demo.prediction import BadInput, rows_of
from extproc.demo.prediction import predict as predict_rows

if TYPE_CHECKING:
    from extproc.demo.models import DemoModel


class Request(msgspec.Struct):
    """A V1 request for models of numeric rows; other members are ignored, as the servers do."""

    instances: list[list[float]]


_DECODER = msgspec.json.Decoder(Request)


async def predict(model: DemoModel, body: bytes) -> dict[str, Any]:
    """Answers ``:predict``.

    Raises:
        BadInput: The body is no V1 request for this model.
    """
    try:
        request = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        raise BadInput(f"Unrecognized request format: {error}") from error
    values = await predict_rows(model, rows_of(request.instances, model.features))
    return {"predictions": values.tolist()}
