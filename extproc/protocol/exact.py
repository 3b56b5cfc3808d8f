"""Exact texts out of bodies, and bodies put together, without a number losing a digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.protocol.errors import NotPredictions
from extproc.protocol.reading import EXACT, FIELDS, encode, first_byte, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

_NOT_JSON: Final = "the body is not JSON"


def dig(body: bytes, keys: tuple[str, ...]) -> Raw:
    """The exact text of the value under ``keys``, level by level; of a key that is there twice, the last.

    Raises:
        KeyError: A key is absent, or what should have it is no object.
        NotPredictions: The body is not JSON.
    """
    found = checked(body)
    for key in keys:
        if first_byte(found) != b"{":
            raise KeyError(key)
        found = read(FIELDS, found, _NOT_JSON)[key]
    return found


def checked(body: bytes) -> Raw:
    """The body as an exact text, known to be JSON in UTF-8 without white space around it.

    Raises:
        NotPredictions: It is not.
    """
    found = read(EXACT, body, _NOT_JSON)
    try:
        if not body.isascii():
            body.decode()
    except UnicodeDecodeError:
        raise NotPredictions(_NOT_JSON) from None
    return found


def collect(members: Sequence[tuple[str, bytes, str | None]]) -> bytes:
    """The object of name to body, of members given as name, body and content-type.

    A JSON body (without a content-type, whatever is JSON) is kept as it is; any other is a string, undecodable
    bytes replaced.
    """
    return encode({name: _body(body, content_type) for name, body, content_type in members})


def _body(body: bytes, content_type: str | None) -> Raw | str:
    if is_json(content_type):
        try:
            return checked(body)
        except NotPredictions:
            pass
    return body.decode("utf-8", "replace")


def is_json(content_type: str | None) -> bool:
    """Whether a content-type is JSON's, or unknown."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind in {"", "application/json", "text/json"} or kind.endswith("+json")
