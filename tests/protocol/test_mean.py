"""The mean of an ensemble's predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocol import NotPredictions, mean
from tests.protocol.bodies import QUICK, chat, embeddings, tensor, v1, v2


def of(*bodies, protocol="v1"):
    return json.loads(mean([(body, protocol, 1) for body in bodies]))


VALUES = [
    ([[1, 2]], [1.0, 2.0]),
    ([[1, 2], [2, 4]], [1.5, 3.0]),
    ([[[1, 2]], [[3, 4]]], [[2.0, 3.0]]),
    ([[[1]], [[2]]], [[1.5]]),
    ([[[1]], [2]], [[1.5]]),
    ([[1], [[2]]], [1.5]),
    ([[[[1, 2], [3]]], [[[3, 4], [5]]]], [[[2.0, 3.0], [4.0]]]),
    ([[{"b": 1, "a": [2]}], [{"a": [4], "b": 3}]], [{"b": 2.0, "a": [3.0]}]),
    ([[], []], []),
    ([[[]], [[]]], [[]]),
    ([3, 4], 3.5),
    ([[1e308]] * 3, [1e308]),
    ([[1.7976931348623157e308], [-1.7976931348623157e308]], [0.0]),
    ([[5e-324]] * 3, [5e-324]),
]


@pytest.mark.parametrize(("predictions", "expected"), VALUES)
def test_numbers_are_averaged_where_they_stand(predictions, expected):
    """In lists and objects, in the layout of the first."""
    assert of(*map(v1, predictions)) == {"predictions": expected}


MISFITS = [
    ([[1], [1, 2]], 1),
    ([[1, 2], [1, 2], [[1, 2]]], 2),
    ([[[1, 2], [3]], [[1, 2], [3, 4]]], 1),
    ([[1, [2, 3]], [[1, 2], 3]], 1),
    ([[{"a": 1}], [{"b": 1}]], 1),
    ([[{"a": 1}], [1]], 1),
    ([[True], [1]], 0),
    ([[1], ["a"]], 1),
    ([[[1, None]], [1]], 0),
    ([[1], [10**400]], 1),
    ([[[[1, "a"]]], [[[1, 2]]]], 0),
    ([[[[[1], [2]], [3]]], [[[1, 2], [[[3]]]]]], 1),
]


@pytest.mark.parametrize(("predictions", "member"), MISFITS)
def test_a_member_that_does_not_fit_is_named(predictions, member):
    """By its index."""
    with pytest.raises(NotPredictions) as problem:
        of(*map(v1, predictions))
    assert problem.value.member == member


def test_objects_keep_the_order_of_the_first():
    """Though they are averaged by key."""
    assert mean([(v1([{"b": 1, "a": 2}]), "v1", 1), (v1([{"a": 4, "b": 1}]), "v1", 1)]) == (
        b'{"predictions":[{"b":1.0,"a":3.0}]}'
    )


@pytest.mark.parametrize("inner", [b"1", b"1,2", b"[1],2"])
@pytest.mark.parametrize("levels", [70, 480])
def test_predictions_nested_too_deeply_are_refused(inner, levels):
    """The limit is a named one, and Python's stack is not it."""
    body = b'{"predictions":' + b"[" * levels + inner + b"]" * levels + b"}"
    with pytest.raises(NotPredictions, match="more than 64 levels") as problem:
        of(v1([1]), body)
    assert problem.value.member == 1


@pytest.mark.parametrize(
    "hostile", [b"no json", b"{}", b'{"predictions": [1e400]}', b'{"predictions": [' + b"[" * 5000]
)
def test_a_member_without_predictions_is_named(hostile):
    """By its index as well."""
    with pytest.raises(NotPredictions) as problem:
        of(v1([1]), hostile)
    assert problem.value.member == 1


def test_weights_count():
    """In proportion, whatever their sum."""
    assert json.loads(mean([(v1([1]), "v1", 0.1), (v1([2]), "v1", 0.3)])) == {"predictions": [1.75]}


def test_decimal_weights_are_exact():
    """0.1 and 0.2 of one side and 0.3 of the other cancel out."""
    members: list[Any] = [(v1([1]), "v1", 0.1), (v1([1]), "v1", 0.2), (v1([-1]), "v1", 0.3)]
    assert json.loads(mean(members)) == {"predictions": [0.0]}


def test_weights_of_any_size_count():
    """Even when no double holds their sum or products."""
    assert json.loads(mean([(v1([1e308]), "v1", 1e308), (v1([1e308]), "v1", 1e308), (v1([1]), "v1", 1e-300)])) == {
        "predictions": [1e308]
    }


def test_a_member_of_weight_0_does_not_count():
    """It is not even read."""
    assert json.loads(mean([(v1([1]), "v1", 1), (b"no json", "v1", 0)])) == {"predictions": [1.0]}


def test_a_first_member_of_weight_0_gives_the_body_alone():
    """The contract says whose body it is; its numbers do not count."""
    assert json.loads(mean([(v1([9], a=1), "v1", 0), (v1([1]), "v1", 1)])) == {"predictions": [1.0], "a": 1}


@pytest.mark.parametrize("weights", [[], [0], [0, 0.0]])
def test_there_must_be_some_weight(weights):
    """Else there is no mean."""
    with pytest.raises(NotPredictions, match="no member has any weight"):
        mean([(v1([1]), "v1", weight) for weight in weights])


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf")])
def test_weights_are_checked_by_who_gives_them(weight):
    """A weight that the loader refuses is a mistake in this project."""
    with pytest.raises(ValueError, match=r"negative|Invalid literal"):
        mean([(v1([1]), "v1", weight), (v1([1]), "v1", 3)])


def test_all_else_in_the_body_keeps_its_text():
    """Numbers with their digits, escapes, white space within values, and the order of fields."""
    first = rb'{"z": 1.10, "predictions": [1], "big": 12345678901234567890123, "h": 1e400, "s": "\u00e9", "n": { "a" :-0.0}}'
    assert mean([(first, "v1", 1)]) == (
        rb'{"z":1.10,"predictions":[1.0],"big":12345678901234567890123,"h":1e400,"s":"\u00e9","n":{ "a" :-0.0}}'
    )


TENSORS = [
    (tensor([1, 2], [2], "INT64"), tensor([2, 2], [2], "INT64"), tensor([1.5, 2.0], [2], "FP64")),
    (tensor([1, 2], [2], "FP32"), tensor([2, 2], [2], "INT64"), tensor([1.5, 2.0], [2], "FP32")),
    (tensor([1, 2], [1, 2], "UINT8"), tensor([[2, 2]], [1, 2]), tensor([1.5, 2.0], [1, 2], "FP64")),
    (tensor([[1, 2]], [1, 2]), tensor([2, 2], [1, 2]), tensor([[1.5, 2.0]], [1, 2])),
    (tensor([1, 2], [2, 1]), tensor([2, 2], [2]), tensor([1.5, 2.0], [2, 1])),
    (tensor([[[1], [2]]], [1, 2, 1]), tensor([3, 4], [1, 2, 1]), tensor([[[2.0], [3.0]]], [1, 2, 1])),
    (tensor([], [0, 2], "INT8"), tensor([], [0, 2]), tensor([], [0, 2], "INT8")),
    (tensor([3], []), tensor([4], [1]), tensor([3.5], [])),
    (tensor([1], [1], name="other"), tensor([2], [1]), tensor([1.5], [1], name="other")),
]


@pytest.mark.parametrize(("first", "second", "expected"), TENSORS)
def test_tensors_keep_their_layout(first, second, expected):
    """Flat or nested, with a datatype that holds a mean."""
    assert of(v2(first), v2(second), protocol="v2") == {"model_name": "m", "outputs": [expected]}


def test_outputs_are_matched_by_name():
    """In whatever order the others have them."""
    a, b = tensor([1], [1], name="a"), tensor([10], [1], name="b")
    found = of(v2(a, b), v2(b, tensor([3], [1], name="a")), protocol="v2")
    assert [output["data"] for output in found["outputs"]] == [[2.0], [10.0]]


def test_a_missing_output_is_the_fault_of_its_member():
    """The first member tells which there are."""
    a, b = tensor([1], [1], name="a"), tensor([10], [1], name="b")
    with pytest.raises(NotPredictions, match="missing") as problem:
        of(v2(a, b), v2(a), protocol="v2")
    assert problem.value.member == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (tensor([1, 2], [2]), tensor([1, 2, 3], [3])),
        (tensor([1, 2], [1, 2]), tensor([1, 2], [2, 1])),
        (tensor([1, 2], [2]), tensor(["a", "b"], [2], "BYTES")),
    ],
)
def test_tensors_of_other_shapes_and_types_do_not_fit(first, second):
    """The member is named."""
    with pytest.raises(NotPredictions) as problem:
        of(v2(first), v2(second), protocol="v2")
    assert problem.value.member == 1


@pytest.mark.parametrize("data", [[True, False], [0, 1]])
def test_booleans_have_no_mean(data):
    """Not even those that are written as numbers."""
    with pytest.raises(NotPredictions):
        of(v2(tensor(data, [2], "BOOL")), protocol="v2")


def test_members_of_different_protocols_are_averaged():
    """The answer is of the first's."""
    assert json.loads(mean([(v1([1, 2]), "v1", 1), (v2(tensor([3, 4], [2, 1])), "v2", 1)])) == {"predictions": [2, 3]}


def test_embeddings_are_averaged():
    """Vector by vector."""
    found = of(embeddings([1, 2], [3, 4]), embeddings([3, 2], [5, 5]), protocol="openai")
    assert found == {"object": "list", "data": [{"embedding": [2.0, 2.0]}, {"embedding": [4.0, 4.5]}]}


def test_texts_have_no_mean():
    """A vote is what they have."""
    with pytest.raises(NotPredictions, match="no number"):
        of(chat("a"), chat("a"), protocol="openai")


def test_plain_json_is_averaged_whole():
    """An object of numbers, or a list."""
    assert of(b'{"a": 1}', b'{"a": 2}', protocol="json") == {"a": 1.5}
    assert of(b"[1, 2]", b" [2, 2] ", protocol="json") == [1.5, 2.0]


FLOATS = st.floats(-1e300, 1e300)


@st.composite
def members(draw):
    """Some members' matrices of one shape, and their weights."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    count = draw(st.integers(1, 5))
    size = int(np.prod(shape))
    rows = draw(st.lists(st.lists(FLOATS, min_size=size, max_size=size), min_size=count, max_size=count))
    weights = draw(st.lists(st.floats(1e-3, 1e3), min_size=count, max_size=count))
    return [np.array(row).reshape(shape) for row in rows], weights


@QUICK
@given(members())
def test_it_is_the_weighted_average_of_numpy(drawn):
    """Within rounding, and never outside of what the members said, nested (V1) and flat (V2) alike."""
    matrices, weights = drawn
    pairs = list(zip(matrices, weights, strict=True))
    shape = list(matrices[0].shape)
    nested = json.loads(mean([(v1(one.tolist()), "v1", weight) for one, weight in pairs]))["predictions"]
    flat = json.loads(mean([(v2(tensor(one.ravel().tolist(), shape)), "v2", weight) for one, weight in pairs]))
    scale = np.max(np.abs(matrices)) + 5e-324
    expected = np.average(matrices, axis=0, weights=weights)
    assert np.allclose(np.array(nested) / scale, expected / scale, rtol=0, atol=1e-13)
    assert flat["outputs"][0]["data"] == np.array(nested).ravel().tolist()


@QUICK
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), st.data())
def test_it_is_finite_for_finite_numbers(values, data):
    """Even where sums are beyond a double."""
    weights = data.draw(st.lists(st.floats(1e-300, 1e300), min_size=len(values), max_size=len(values)))
    pairs = zip(values, weights, strict=True)
    found = json.loads(mean([(v1([value]), "v1", weight) for value, weight in pairs]))["predictions"][0]
    assert min(values) <= found <= max(values) or found == pytest.approx(values[0], rel=1e-15)
