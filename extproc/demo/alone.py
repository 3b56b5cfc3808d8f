"""Models asked by themselves, past Envoy and the graph: what each of them says, to compare it with the graph's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extproc.demo.scene import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.demo.scene import Ask


def together(model: str, asks: Sequence[Ask]) -> Request:
    """The instances of V1 requests as one request to a model of the model server."""
    instances = [instance for ask in asks for instance in ask.request.body["instances"]]
    return Request(f"/v1/models/{model}:predict", {"instances": instances})


def apart(predictions: Sequence[Any], asks: Sequence[Ask]) -> Iterator[Sequence[Any]]:
    """The predictions of such a request, those of each request by themselves."""
    start = 0
    for ask in asks:
        end = start + len(ask.request.body["instances"])
        yield predictions[start:end]
        start = end
