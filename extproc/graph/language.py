"""The document types seen as a language: which fields an object has, what a type hint expects, what stands in for it."""

from __future__ import annotations

import math
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from extproc.graph import addresses, scalars
from extproc.graph.document import Text

READERS: dict[str, Any] = {
    "duration": scalars.duration,
    "size": scalars.size,
    "share": scalars.share,
    "weight": scalars.weight,
    "number": scalars.number,
    "count": scalars.count,
    "status": scalars.status,
    "name": scalars.name,
    "graph_name": scalars.graph_name,
    "expression": scalars.expression,
    "url": addresses.url,
    "path": addresses.http_path,
    "host": addresses.host,
    "match_host": addresses.match_host,
    "header_name": addresses.header_name,
    "header_value": addresses.header_value,
}
"""How the scalars with a meaning of their own are read; a template is no scalar."""

EXPECTED = {
    "duration": "a duration like 250ms or 2s",
    "size": "a size like 64KiB or 8MiB",
    "share": "a share like 25% or 0.25",
    "weight": "a weight, a number from 0 up",
    "number": "a number",
    "count": "a whole number",
    "status": "a status from 200 to 599",
    "expression": "an expression",
    "url": "a URL like http://host:8080/path",
}
PLAIN = {str: scalars.text, bool: scalars.boolean}


@cache
def keys(cls: type[msgspec.Struct]) -> dict[str, FieldInfo]:
    """The keys of an object in the file, with the field each fills."""
    return {one.encode_name: one for one in fields(cls)}


def text_kind(hint: Any) -> str | None:
    """The kind of a marked scalar."""
    if get_origin(hint) is Annotated:
        return next((mark.kind for mark in hint.__metadata__ if isinstance(mark, Text)), None)
    return None


@cache
def choices(hint: Any) -> tuple[Any, ...]:
    """The members of a union without None; a hint that is no union is its only member."""
    if get_origin(hint) in {Union, UnionType}:
        return tuple(one for one in get_args(hint) if one is not NoneType)
    return (hint,)


def is_object(hint: Any) -> bool:
    """Whether a mapping with known keys is expected."""
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def expected(hint: Any) -> str:
    """What stands at this place, for "expected x, found y"."""
    return " or ".join(dict.fromkeys(_expected(one) for one in choices(hint)))


def _expected(hint: Any) -> str:
    if kind := text_kind(hint):
        return EXPECTED.get(kind, "a text")
    if get_origin(hint) is Literal:
        words = get_args(hint)
        return f"one of {', '.join(words)}" if len(words) > 1 else str(words[0])
    if get_origin(hint) is tuple:
        return "a list"
    if hint is str or hint is bool:
        return "a text" if hint is str else "true or false"
    return "a mapping"


def stand_in(hint: Any) -> Any:
    """A value of the expected type in place of a broken one, so that the checks can walk the rest of the document."""
    hint = choices(hint)[0]
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if is_object(hint):
        return hint(**{one.name: stand_in(one.type) for one in fields(hint) if one.required})
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    return {float: math.nan, int: 0, bool: False, str: "", tuple: (), dict: {}}.get(get_origin(hint) or hint)
