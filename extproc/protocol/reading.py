"""Reading and rewriting JSON one level at a time, so that what is not looked at keeps its exact text."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Raw

from extproc.protocol.errors import NotPredictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

T = TypeVar("T")
Text: TypeAlias = bytes | Raw
Fields: TypeAlias = dict[str, Raw]

FIELDS: Final[msgspec.json.Decoder[Fields]] = msgspec.json.Decoder(dict[str, Raw])
ITEMS: Final[msgspec.json.Decoder[list[Raw]]] = msgspec.json.Decoder(list[Raw])
STRING: Final[msgspec.json.Decoder[str]] = msgspec.json.Decoder(str)
ANYTHING: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()
EXACT: Final[msgspec.json.Decoder[Raw]] = msgspec.json.Decoder(Raw)

UNREADABLE: Final = "a value holds numbers out of range, text that is no UTF-8, or too many levels"


def read(decoder: msgspec.json.Decoder[T], text: Text, problem: str) -> T:
    """Decode a text.

    Raises:
        NotPredictions: It is something else; ``problem`` is the message.
    """
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotPredictions(problem) from None


def value_of(text: Text) -> Any:
    """The value of a text that is known to be JSON."""
    return read(ANYTHING, text, UNREADABLE)


def fields_of(body: Text, what: str = "the response") -> Fields:
    """The fields of an object, each with its exact text; of a field that is there twice, the last."""
    return read(FIELDS, body, f"{what} is no JSON object")


def items_of(text: Text, what: str) -> list[Raw]:
    """The items of an array, each with its exact text."""
    return read(ITEMS, text, f"{what} is no JSON array")


def first_byte(text: Raw) -> bytes:
    """The first byte, which tells the type; a decoder's texts have no white space around them."""
    return memoryview(text)[:1].tobytes()


def array(texts: Iterable[Text]) -> Raw:
    """The array of some texts."""
    return Raw(b"[" + b",".join(texts) + b"]")


def encode(value: Mapping[str, Any] | list[Any]) -> bytes:
    """The JSON text of a value; texts in it are kept as they are."""
    return msgspec.json.encode(value)


def put(body: Text, keys: Sequence[str], new: Raw) -> Raw:
    """The object with the value under ``keys`` replaced; all other values and their order are kept."""
    head, *rest = keys
    fields = fields_of(body)
    fields[head] = put(fields[head], rest, new) if rest else new
    return Raw(encode(fields))


@cache
def nested(dimensions: int) -> msgspec.json.Decoder[Any]:
    """A decoder of lists nested ``dimensions`` deep whose innermost items keep their exact text."""
    shape: Any = Raw
    for _ in range(dimensions):
        shape = list[shape]
    return msgspec.json.Decoder(shape)
