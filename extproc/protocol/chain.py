"""``input: auto`` of a chain's step: the previous response as the next model's request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.protocol import openai, v1, v2
from extproc.protocol.detect import is_request
from extproc.protocol.dialect import predictions

if TYPE_CHECKING:
    from extproc.protocol.dialect import Protocol


def next_input(
    source: Protocol, target: Protocol, response: bytes, *, path: str | None = None, model: str | None = None
) -> bytes:
    """Turn a response of ``source`` into a request of ``target``; values that are only moved keep their exact text.

    A model of protocol json gets the response byte for byte, and so does any model that gets a request of its own
    protocol already. ``path`` and ``model`` are the next model's, for OpenAI alone: the path tells a chat (the
    default) from a prompt and from texts to embed; the model's name is put into the request when given.

    Raises:
        NotPredictions: There is no such translation of this response.
    """
    if is_request(target, response):
        return response
    if source == target == "v2":
        return v2.forward(response)
    columns = predictions(source, response).columns
    match target:
        case "v1":
            return v1.request(columns)
        case "v2":
            return v2.request(columns)
        case "openai":
            return openai.request(columns, path, model)
        case "json":
            return response
