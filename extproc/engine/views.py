"""A model's response as expressions see it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.expr import EvaluationError, Record
from extproc.protocol import NotPredictions, dig

if TYPE_CHECKING:
    from extproc.engine.calling import Reply

_json = msgspec.json.Decoder()


def moved(body: bytes, keys: tuple[str, ...]) -> object:
    """Return a part of a JSON body in its exact text, NotImplemented where it is no JSON or holds no such part."""
    try:
        return dig(body, keys)
    except (KeyError, NotPredictions):
        return NotImplemented


class ResponseView(Record):
    """``status``, ``headers`` and ``body`` of a response; the body is parsed when it is first asked for."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def get(self, name: str) -> object:
        """Return a field; raise KeyError where there is none, EvaluationError for a body that is no JSON."""
        match name:
            case "status":
                return self._reply.status
            case "headers":
                return self._reply.header_map
            case "body":
                return self.body
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Tell whether a field is there."""
        return name in {"status", "headers", "body"}

    def move(self, keys: tuple[str, ...]) -> object:
        """Return a part of the body as the model wrote it."""
        return moved(self._reply.body, keys[1:]) if keys[:1] == ("body",) else NotImplemented

    @cached_property
    def body(self) -> Any:
        """The JSON body; integers are exact at any size."""
        try:
            return _json.decode(self._reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise EvaluationError("the response's body is not JSON") from None
