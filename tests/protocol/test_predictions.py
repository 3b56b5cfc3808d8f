"""What responses predict, as elements to be compared."""

from __future__ import annotations

import pytest

from extproc.protocol import NotPredictions, predictions, refuse_binary
from tests.protocol.bodies import chat, completion, embeddings, tensor, text, v1, v2

FOUND = [
    ("v1", v1([1, 2.5]), [1, 2.5], "number"),
    ("v1", v1([[1], [2]]), [1, 2], "number"),
    ("v1", v1([[1, 2], [3, 4]]), [[1, 2], [3, 4]], "vector"),
    ("v1", v1(["a", "b"]), ["a", "b"], "label"),
    ("v1", v1([True, None]), [True, None], "label"),
    ("v1", v1([1, "a"]), [1, "a"], "label"),
    ("v1", v1([{"cat": 0.9, "dog": 0.1}]), [{"cat": 0.9, "dog": 0.1}], "vector"),
    ("v1", v1([{"label": "cat"}]), [{"label": "cat"}], "label"),
    ("v1", v1([1, [2, 3]]), [1, [2, 3]], "vector"),
    ("v1", v1([[1, "a"]]), [[1, "a"]], "label"),
    ("v1", v1([]), [], "number"),
    ("v1", v1(0.5), [0.5], "number"),
    ("v1", text({"result": [1]}), [1], "number"),
    ("v1", text({"outputs": [1]}), [1], "number"),
    ("v2", v2(tensor([1, 2], [2], "INT64")), [1, 2], "number"),
    ("v2", v2(tensor([1, 2], [2, 1], "INT64")), [1, 2], "number"),
    ("v2", v2(tensor([1, 2, 3, 4], [2, 2])), [[1, 2], [3, 4]], "vector"),
    ("v2", v2(tensor([[1, 2], [3, 4]], [2, 2])), [[1, 2], [3, 4]], "vector"),
    ("v2", v2(tensor([1, 2, 3, 4], [1, 2, 2])), [[[1, 2], [3, 4]]], "vector"),
    ("v2", v2(tensor([7], [])), [7], "number"),
    ("v2", v2(tensor([], [0, 3])), [], "number"),
    ("v2", v2(tensor(["[", "{"], [2], "BYTES")), ["[", "{"], "label"),
    ("v2", v2(tensor([1], [1], name="a"), tensor(["x"], [1], "BYTES", "b")), [{"a": 1, "b": "x"}], "label"),
    ("openai", chat("yes", "no"), ["yes", "no"], "text"),
    ("openai", completion("yes"), ["yes"], "text"),
    ("openai", embeddings([1, 0.5], [2, 3]), [[1, 0.5], [2, 3]], "vector"),
    ("json", b' {"score": 1} ', [{"score": 1}], "vector"),
    ("json", b' [1, "a"] ', [1, "a"], "label"),
    ("json", b"0.5", [0.5], "number"),
    ("json", b'"cat"', ["cat"], "label"),
]
LOST = [
    ("v1", b"SECRET"),
    ("v1", b'["SECRET"]'),
    ("v1", b'{"SECRET": 1}'),
    ("v1", b'{"predictions": [1e400, "SECRET"]}'),
    ("v1", b'{"predictions": ["SECRET\xff"]}'),
    ("v2", b'{"SECRET": 1}'),
    ("v2", b'{"outputs": {"SECRET": 1}}'),
    ("v2", b'{"outputs": []}'),
    ("v2", b'{"outputs": ["SECRET"]}'),
    ("v2", v2({"name": "SECRET", "shape": [1], "datatype": "FP64"})),
    ("v2", v2({"name": "SECRET", "datatype": "FP64", "data": [1]})),
    ("v2", v2(tensor([1], [2], name="SECRET"))),
    ("v2", v2(tensor([1, 2], [-1, -2], name="SECRET"))),
    ("v2", v2(tensor([[1], [2, 3]], [2, 1], name="SECRET"))),
    ("v2", v2(tensor([[1, 2], [3, 4]], [4], name="SECRET"))),
    ("v2", v2(tensor([[1, 2], [3, 4]], [4, 1], name="SECRET"))),
    ("v2", v2(tensor([1, [2], 3, 4], [2, 2], name="SECRET"))),
    ("v2", v2(tensor(["SECRET", [1]], [2], "BYTES"))),
    ("v2", v2(tensor([1] * 2, ["SECRET"]))),  # type: ignore[list-item]
    ("v2", v2(tensor([1], [1] * 33))),
    ("v2", v2(tensor([[[1]]], [1, 1]))),
    ("v2", v2(tensor([1], [1], name="SECRET"), tensor([1, 2], [2], name="b"))),
    ("openai", b'{"SECRET": 1}'),
    ("openai", b'{"choices": "SECRET"}'),
    ("openai", b'{"choices": [{"SECRET": 1}]}'),
    ("openai", b'{"choices": [{"message": {"SECRET": 1}}]}'),
    ("openai", chat(None)),
    ("openai", chat([{"type": "text", "text": "SECRET"}])),
    ("openai", b'{"data": [{"SECRET": 1}]}'),
    ("json", b"SECRET"),
]


@pytest.mark.parametrize(("protocol", "body", "elements", "kind"), FOUND)
def test_predictions_are_found_element_by_element(protocol, body, elements, kind):
    """With the kind that their values tell."""
    found = predictions(protocol, body)
    assert found.elements() == elements
    assert found.kind() == kind


@pytest.mark.parametrize(("protocol", "body"), LOST)
def test_what_is_no_prediction_is_said_without_the_body(protocol, body):
    """No message tells what a model answered."""
    with pytest.raises(NotPredictions) as problem:
        predictions(protocol, body).elements()
    assert "SECRET" not in str(problem.value)
    assert str(problem.value)
    assert problem.value.__cause__ is None


def test_a_lone_value_is_no_list():
    """So that it is put back as it was."""
    assert not predictions("v1", v1(1)).columns[0].listed
    assert predictions("v1", v1([1])).columns[0].listed


BINARY_TENSOR = {"name": "o", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}


@pytest.mark.parametrize("body", [v2(BINARY_TENSOR), v2(BINARY_TENSOR) + b"\0\0\x80?"])
def test_binary_tensors_are_named_as_the_reason(body):
    """With their bytes behind the JSON, or without."""
    with pytest.raises(NotPredictions, match="binary tensor extension"):
        predictions("v2", body)


def test_binary_tensors_are_told_from_the_header():
    """And other headers are none of its business."""
    refuse_binary({"content-type": "application/json"})
    with pytest.raises(NotPredictions, match="binary tensor extension"):
        refuse_binary({"inference-header-content-length": "120"})
