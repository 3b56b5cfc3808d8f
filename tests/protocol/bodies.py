"""Responses of each protocol in a few words, and strategies of hostile ones."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

QUICK = settings(max_examples=100, derandomize=True, deadline=None, database=None)
PROTOCOLS = ("v1", "v2", "openai", "json")


def text(value: Any) -> bytes:
    """The JSON text of a value."""
    return json.dumps(value, ensure_ascii=False).encode()


def v1(predictions: Any, **more: Any) -> bytes:
    return text({"predictions": predictions, **more})


def tensor(data: Any, shape: list[int], datatype: str = "FP64", name: str = "out") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def v2(*tensors: dict[str, Any]) -> bytes:
    return text({"model_name": "m", "outputs": list(tensors)})


def chat(*texts: Any) -> bytes:
    return text({"id": "x", "choices": [{"index": i, "message": {"content": said}} for i, said in enumerate(texts)]})


def completion(*texts: Any) -> bytes:
    return text({"choices": [{"text": said} for said in texts]})


def embeddings(*vectors: Any) -> bytes:
    return text({"object": "list", "data": [{"embedding": vector} for vector in vectors]})


NUMBER = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.none() | st.booleans() | NUMBER | st.text(max_size=4)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b"]) | VALUE,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | VALUE,
        "datatype": st.sampled_from(["INT64", "FP32", "BOOL", "BYTES", "UINT8", "?"]) | VALUE,
        "data": VALUE,
        "parameters": VALUE,
    },
)
CHOICE = st.fixed_dictionaries(
    {}, optional={"message": st.fixed_dictionaries({"content": SCALAR}) | VALUE, "text": VALUE}
)
BODY = (
    st.fixed_dictionaries({"predictions": VALUE})
    | st.fixed_dictionaries({"outputs": st.lists(TENSOR | VALUE, max_size=2) | VALUE})
    | st.fixed_dictionaries({"choices": st.lists(CHOICE | VALUE, max_size=2) | VALUE})
    | st.fixed_dictionaries({"data": st.lists(st.fixed_dictionaries({"embedding": VALUE}) | VALUE, max_size=2)})
    | VALUE
).map(text)
DEEP = st.sampled_from([30, 63, 64, 65, 200, 480, 900, 5000]).flatmap(
    lambda depth: st.sampled_from(
        [
            b"[" * depth + b"]" * depth,
            b'{"predictions": ' + b"[" * depth + b"1, 2" + b"]" * depth + b"}",
            b'{"predictions": [' + b'{"a":' * depth + b"1" + b"}" * depth + b"]}",
            b'{"outputs": [{"name": "o", "shape": [1, 1], "datatype": "FP64", "data": '
            + b"[" * depth + b"1" + b"]" * depth + b"}]}",
        ]
    )
)  # fmt: skip
ODD = st.sampled_from(
    [
        b'{"predictions": [%s]}' % (b"9" * 5000),
        b'{"predictions": [1e400, -1e400, %s]}' % (b"9" * 400),
        b'{"predictions": ["\xff"]}',
        b'{"predictions": ["\\ud800"], "\\udfff": 1}',
        b'{"\xff": [1], "predictions": [1]}',
        b'{"predictions": [NaN]}',
        b'\xef\xbb\xbf{"predictions": [1]}',
        b'{"outputs": [{"name": "o", "shape": [1000000000000, 0], "datatype": "FP64", "data": []}]}',
        b'{"outputs": [{"name": "o", "shape": [99999999999999999999999, 2], "datatype": "FP64", "data": [1]}]}',
        b'{"outputs": [{"name": "o", "shape": %s, "datatype": "FP64", "data": [1]}]}' % text([1] * 1000),
        b'{"outputs": [{"name": "\xff", "shape": [1], "datatype": "FP64", "data": [1]}]}',
        b'{"outputs": [{"name": "o", "shape": [2], "datatype": "FP64", "data": [[1], 2]}]}',
        b"",
        b" ",
        b"null",
    ]
)
HOSTILE = BODY | DEEP | ODD | st.binary(max_size=12) | st.text(max_size=12).map(str.encode)
