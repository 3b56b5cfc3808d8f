"""OpenAI's protocol: chat and plain completions, which predict text, and embeddings, which predict vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from extproc.protocol.errors import NotPredictions
from extproc.protocol.predictions import Column, Predictions
from extproc.protocol.reading import array, encode, fields_of, first_byte, items_of, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from extproc.protocol.reading import Fields

Keys: TypeAlias = tuple[str, ...]

_CHAT: Final = ("message", "content")
_COMPLETION: Final = ("text",)
_EMBEDDING: Final = ("embedding",)


def predictions(body: bytes) -> Predictions:
    """A row per choice (its text) or per embedding (its vector)."""
    place, items = _items(fields_of(body))
    texts = [_dig(item, _keys(place, item)) for item in items]
    prose = place == "choices"
    if prose and not all(map(_is_string, texts)):
        raise NotPredictions("a choice has no text")
    return Predictions((Column("", array(texts), prose=prose),))


def replace(body: bytes, columns: Sequence[Raw]) -> bytes:
    """The body with other texts or vectors in its choices or embeddings."""
    place, items = _items(fields_of(body))
    rows = items_of(columns[0], "the list of predictions")
    if place == "choices" and not all(map(_is_string, rows)):
        raise NotPredictions("a combined prediction is no text")
    new = [put(item, _keys(place, item), row) for item, row in zip(items, rows, strict=True)]
    return bytes(put(body, (place,), array(new)))


def request(columns: Sequence[Column], path: str | None, model: str | None) -> bytes:
    """A request of the kind that the path takes: the texts to embed, a prompt, or one user message (the default)."""
    texts = _only_texts(columns)
    named: dict[str, Any] = {} if model is None else {"model": model}
    route = (path or "").partition("?")[0]
    if route.endswith("/embeddings"):
        return encode({**named, "input": texts[0] if len(texts) == 1 else array(texts)})
    if len(texts) != 1:
        raise NotPredictions("several texts are no single prompt")
    if route.endswith("/completions") and not route.endswith("/chat/completions"):
        return encode({**named, "prompt": texts[0]})
    return encode({**named, "messages": [{"role": "user", "content": texts[0]}]})


def _only_texts(columns: Sequence[Column]) -> list[Raw]:
    texts = [text for column in columns for text in column.texts]
    if len(columns) != 1 or not texts or not all(map(_is_string, texts)):
        raise NotPredictions("predictions that are no texts are no prompt")
    return texts


def _is_string(text: Raw) -> bool:
    return first_byte(text) == b'"'


def _items(fields: Fields) -> tuple[str, list[Raw]]:
    for place in ("choices", "data"):
        if place in fields:
            return place, items_of(fields[place], place)
    raise NotPredictions("the response has neither choices nor embeddings")


def _keys(place: str, item: Raw) -> Keys:
    if place == "data":
        return _EMBEDDING
    return _CHAT if "message" in fields_of(item, "a choice") else _COMPLETION


def _dig(item: Raw, keys: Keys) -> Raw:
    for key in keys:
        fields = fields_of(item, "a choice or embedding")
        if key not in fields:
            raise NotPredictions("a choice or embedding is incomplete")
        item = fields[key]
    return item
