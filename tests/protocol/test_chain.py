"""A response as the next model's request."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocol import NotPredictions, next_input, predictions
from tests.protocol.bodies import PROTOCOLS, QUICK, chat, completion, embeddings, tensor, text, v1, v2

TWO = v2(tensor([1, 2], [2], "INT64", "a"), tensor([[1, 2], [3, 4]], [2, 2], "FP32", "b"))
# fmt: off
TRANSLATED = [
    ("v1", "v1", b'{"predictions": [[1.10, 2], [1e400, 12345678901234567890123]], "x": 1}',
     b'{"instances":[[1.10, 2], [1e400, 12345678901234567890123]]}'),
    ("v1", "v1", b'{"predictions": 0.50}', b'{"instances":[0.50]}'),
    ("v1", "v2", b'{"predictions": [1.10, 2]}',
     b'{"inputs":[{"name":"input-0","shape":[2],"datatype":"FP64","data":[1.10,2]}]}'),
    ("v1", "v2", b'{"predictions": [[1, 2], [3, 4]]}',
     b'{"inputs":[{"name":"input-0","shape":[2,2],"datatype":"INT64","data":[1,2,3,4]}]}'),
    ("v1", "v2", b'{"predictions": [18446744073709551615]}',
     b'{"inputs":[{"name":"input-0","shape":[1],"datatype":"UINT64","data":[18446744073709551615]}]}'),
    ("v1", "v2", b'{"predictions": [true, false]}',
     b'{"inputs":[{"name":"input-0","shape":[2],"datatype":"BOOL","data":[true,false]}]}'),
    ("v1", "v2", b'{"predictions": ["a", "\\u00e9["]}',
     b'{"inputs":[{"name":"input-0","shape":[2],"datatype":"BYTES","data":["a","\\u00e9["]}]}'),
    ("v1", "v2", b'{"predictions": []}',
     b'{"inputs":[{"name":"input-0","shape":[0],"datatype":"FP64","data":[]}]}'),
    ("v1", "v2", b'{"predictions": [{"a": 1.10, "b": ["x"]}, {"b": ["y"], "a": 2}]}',
     (b'{"inputs":[{"name":"a","shape":[2],"datatype":"FP64","data":[1.10,2]},'
      b'{"name":"b","shape":[2,1],"datatype":"BYTES","data":["x","y"]}]}')),
    ("v2", "v1", v2(tensor([1, 2, 3, 4], [2, 2])), b'{"instances":[[1,2],[3,4]]}'),
    ("v2", "v1", b'{"outputs": [{"name": "o", "shape": [2], "datatype": "FP64", "data": [1.10, 1e400]}]}',
     b'{"instances":[1.10, 1e400]}'),
    ("v2", "v1", b'{"outputs": [{"name": "o", "shape": [1, 2], "datatype": "FP64", "data": [1.10, 1e400]}]}',
     b'{"instances":[[1.10,1e400]]}'),
    ("v2", "v1", v2(tensor([1, 2], [2, 1])), b'{"instances":[[1],[2]]}'),
    ("v2", "v1", TWO, b'{"instances":[{"a":1,"b":[1, 2]},{"a":2,"b":[3, 4]}]}'),
    ("v2", "v2", (b'{"model_name": "m", "id": "1", "outputs": [{"data": [1.10, 1e400], "parameters": {"x": 1.0},'
      b' "shape": [2], "datatype": "FP32", "name": "o", "more": 1}]}'),
     b'{"inputs":[{"name":"o","shape":[2],"datatype":"FP32","parameters":{"x": 1.0},"data":[1.10, 1e400]}]}'),
    ("openai", "openai", b'{"choices": [{"message": {"content": "\\u00e9"}}]}',
     b'{"messages":[{"role":"user","content":"\\u00e9"}]}'),
    ("openai", "openai", completion("a"), b'{"messages":[{"role":"user","content":"a"}]}'),
    ("openai", "v1", embeddings([1.5, 2]), b'{"instances":[[1.5, 2]]}'),
    ("openai", "v2", embeddings([1.5, 2]),
     b'{"inputs":[{"name":"input-0","shape":[1,2],"datatype":"FP64","data":[1.5,2]}]}'),
    ("openai", "v1", chat("a", "b"), b'{"instances":["a","b"]}'),
    ("v1", "openai", v1(["a"]), b'{"messages":[{"role":"user","content":"a"}]}'),
    ("v2", "openai", v2(tensor(["a"], [1], "BYTES")), b'{"messages":[{"role":"user","content":"a"}]}'),
    ("json", "v1", b'{"a": 1.10}', b'{"instances":[{"a": 1.10}]}'),
    ("json", "v1", b"[[1.10]]", b'{"instances":[[1.10]]}'),
]
# fmt: on


@pytest.mark.parametrize(("source", "target", "response", "expected"), TRANSLATED)
def test_a_response_is_turned_into_a_request(source, target, response, expected):
    """What is only moved keeps its text."""
    assert next_input(source, target, response) == expected


IMPOSSIBLE = [
    ("v1", "v2", v1([[1], [2, 3]])),
    ("v1", "v2", v1([1, [2]])),
    ("v1", "v2", v1([1, "a"])),
    ("v1", "v2", v1([True, 1])),
    ("v1", "v2", v1([None])),
    ("v1", "v2", v1([2**64])),
    ("v1", "v2", v1([-1, 2**63])),
    ("v1", "v2", v1([{"a": 1}, {"b": 1}])),
    ("v1", "v2", v1([{"": 1}])),
    ("v1", "v2", v1([{"a": 1}, 1])),
    ("v1", "v2", v1([{"a": {"b": 1}}])),
    ("v1", "v2", b'{"predictions": [1e400]}'),
    ("v1", "v2", b'{"predictions": ' + b"[" * 33 + b"]" * 33 + b"}"),
    ("v1", "v1", b"{}"),
    ("v1", "openai", v1([1])),
    ("v1", "openai", v1(["a", "b"])),
    ("v1", "openai", v1([])),
    ("v2", "openai", TWO),
    ("v2", "v1", v2(tensor([1], [1], name="a"), tensor([1, 2], [2], name="b"))),
    ("v2", "v1", v2(tensor([1], [2]))),
    ("v2", "v2", b'{"outputs": []}'),
    ("v2", "v2", v2({"name": "o", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}})),
    ("openai", "openai", embeddings([1])),
    ("openai", "openai", chat("a", "b")),
    ("openai", "openai", chat(None)),
    ("json", "v1", b"no json"),
]


@pytest.mark.parametrize(("source", "target", "response"), IMPOSSIBLE)
def test_what_cannot_be_translated_is_refused(source, target, response):
    """With a message that says why."""
    with pytest.raises(NotPredictions) as problem:
        next_input(source, target, response)
    assert str(problem.value)


@pytest.mark.parametrize("source", PROTOCOLS)
@pytest.mark.parametrize("response", [b' {"a": 1.10}', b"no json", b"\xff", b""])
def test_a_plain_model_gets_the_response_as_it_is(source, response):
    """Byte for byte, whatever it is."""
    assert next_input(source, "json", response) == response


REQUESTS = {
    "v1": b' {"instances" : [1.10]}',
    "v2": b' {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1.10]}]}',
    "openai": b' {"messages": [] }',
}


@pytest.mark.parametrize("source", PROTOCOLS)
@pytest.mark.parametrize("target", REQUESTS)
def test_a_response_that_is_a_request_already_is_passed_on(source, target):
    """A step that prepares another's input answers with it."""
    assert next_input(source, target, REQUESTS[target]) == REQUESTS[target]


ECHOES = [
    ("v1", {"predictions": [1]}, {"instances": [1]}),
    ("v2", {"outputs": [tensor([1], [1])]}, {"inputs": [tensor([1], [1])]}),
    ("openai", {"choices": [{"text": "a"}]}, {"messages": [{"role": "user", "content": "a"}]}),
]


@pytest.mark.parametrize(("protocol", "response", "expected"), ECHOES)
def test_a_response_that_repeats_its_request_is_still_a_response(protocol, response, expected):
    """Some servers echo what they were asked."""
    echo = json.loads(REQUESTS[protocol])
    assert json.loads(next_input(protocol, protocol, text({**echo, **response}))) == expected


OPENAI = [
    (None, None, {"messages": [{"role": "user", "content": "a"}]}),
    ("/v1/chat/completions", "gpt", {"model": "gpt", "messages": [{"role": "user", "content": "a"}]}),
    ("/openai/v1/completions?x=1", "gpt", {"model": "gpt", "prompt": "a"}),
    ("/v1/embeddings", None, {"input": "a"}),
]


@pytest.mark.parametrize(("path", "model", "expected"), OPENAI)
def test_the_next_models_path_tells_what_it_is_asked(path, model, expected):
    """A chat, a prompt, or a text to embed."""
    assert json.loads(next_input("openai", "openai", chat("a"), path=path, model=model)) == expected


def test_several_texts_are_embedded_together():
    """As one request."""
    assert json.loads(next_input("v1", "openai", v1(["a", "b"]), path="/v1/embeddings")) == {"input": ["a", "b"]}


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@QUICK
@given(SHAPES, st.booleans())
def test_tensors_become_instances_as_numpy_would_shape_them(shape, flat):
    """Flat or nested, and back again."""
    values = np.arange(np.prod(shape)).reshape(shape)
    response = v2(tensor(values.ravel().tolist() if flat else values.tolist(), shape, "INT64"))
    instances = json.loads(next_input("v2", "v1", response))["instances"]
    assert instances == values.tolist()
    back = json.loads(next_input("v1", "v2", v1(instances)))["inputs"][0]
    assert back == tensor(values.ravel().tolist(), shape, "INT64", "input-0")
    assert predictions("v2", text({"outputs": [back]})).columns[0].rows == values.tolist()
