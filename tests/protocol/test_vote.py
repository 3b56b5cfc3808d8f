"""The vote of an ensemble's predictions."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocol import NotPredictions, vote
from tests.protocol.bodies import QUICK, chat, completion, embeddings, tensor, text, v1, v2


def winner(*bodies, protocol="v1"):
    return vote([(body, protocol, 1) for body in bodies])


def each(*texts):
    """What each member says of one element, as JSON texts; the winner's text."""
    won = winner(*(b'{"predictions":[' + said + b"]}" for said in texts))
    return won.removeprefix(b'{"predictions":[').removesuffix(b"]}")


ELEMENTS = [
    ([b'"a"', b'"b"', b'"b"'], b'"b"'),
    ([b'"a"', b'"b"', b'"c"'], b'"a"'),
    ([b'"a"', b'"b"', b'"c"', b'"c"', b'"b"'], b'"b"'),
    ([b"1.10", b"2", b"1.1"], b"1.10"),
    ([b"2", b"1.0", b"1"], b"1.0"),
    ([b"2", b"1e0", b"1"], b"1e0"),
    ([b"true", b"1", b"1.0"], b"1"),
    ([b"1", b"true", b"true"], b"true"),
    ([b"0", b"false", b"null", b"null"], b"null"),
    ([b'"1"', b"1", b"1"], b"1"),
    ([b"1", b"12345678901234567890123", b"12345678901234567890123"], b"12345678901234567890123"),
    ([b"9007199254740993", b"9007199254740992.0", b"9007199254740992"], b"9007199254740992.0"),
    ([b"[1, 2]", b"[2,1]", b"[2, 1.0]"], b"[2,1]"),
    ([b'{"a":1,"b":[true]}', b'{"a":0}', b'{"b":[true], "a":1.0}'], b'{"a":1,"b":[true]}'),
    ([b"[true]", b"[1]", b"[1]"], b"[1]"),
    ([b'"\\u00e9"', b'"x"', b'"\xc3\xa9"'], b'"\\u00e9"'),
    ([b"[5]", b"[1, 2]", b"[1,2]"], b"[1, 2]"),
    ([b"[]", b"{}", b"{}"], b"{}"),
    ([b"[1.10]", b"2", b"2"], b"[2]"),
    ([b"1", b"[2.0]", b"[[2]]"], b"2.0"),
]


@pytest.mark.parametrize(("said", "won"), ELEMENTS)
def test_the_majority_wins_with_the_text_of_its_first_voter(said, won):
    """Numbers are equal by value, true is no 1, lists and objects count whole."""
    assert each(*said) == won


def test_each_element_is_its_own_vote():
    """As a batch has independent instances."""
    assert json.loads(winner(v1(["a", "b"]), v1(["a", "c"]), v1(["d", "c"]))) == {"predictions": ["a", "c"]}


WEIGHTS = [
    ((1, 1, 1), b"1"),
    ((1, 2, 1), b"2"),
    ((1, 0.5, 0.5), b"1"),
    ((0.3, 0.1, 0.2), b"1"),
    ((0, 1, 1), b"2"),
    ((1, 1, 0), b"1"),
    ((1e-300, 1e300, 0), b"2"),
]


@pytest.mark.parametrize(("weights", "won"), WEIGHTS)
def test_weights_are_added_exactly(weights, won):
    """And a tie goes to the first listed."""
    said = [v1([number]) for number in (1, 2, 3)]
    members: list[Any] = [(body, "v1", weight) for body, weight in zip(said, weights, strict=True)]
    assert vote(members) == b'{"predictions":[' + won + b"]}"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)])
def test_a_tie_of_sums_goes_to_the_first_listed(order):
    """0.1 + 0.2 is 0.3 here."""
    said = [(v1(["a"]), "v1", 0.3), (v1(["b"]), "v1", 0.1), (v1(["b"]), "v1", 0.2)]
    first = json.loads(said[order[0]][0])
    assert json.loads(vote([said[index] for index in order])) == first


def test_a_member_of_weight_0_has_no_vote():
    """Not even as the first, whose body it is nevertheless."""
    assert json.loads(vote([(v1(["a"], x=1), "v1", 0), (v1(["b"]), "v1", 1), (b"", "v1", 0)])) == {
        "predictions": ["b"],
        "x": 1,
    }


@pytest.mark.parametrize("hostile", [v1([1, 2]), v1([]), b"", b"{}", b'{"predictions": [1e400]}'])
def test_a_member_that_does_not_fit_is_named(hostile):
    """By its index."""
    with pytest.raises(NotPredictions) as problem:
        winner(v1([1]), v1([2]), hostile)
    assert problem.value.member == 2


def test_labels_nested_too_deeply_are_refused():
    """The limit is a named one, and Python's stack is not it."""
    fine, deep = (b'{"predictions":[' + b"[0," * levels + b"1" + b"]" * levels + b"]}" for levels in (64, 65))
    assert winner(fine) == fine
    with pytest.raises(NotPredictions, match="more than 64 levels") as problem:
        winner(fine, deep)
    assert problem.value.member == 1


TENSORS = [
    (tensor([1, 2], [2], "INT64"), tensor([3, 2], [2], "INT64"), tensor([3, 2], [2], "INT64")),
    (tensor([1, 2], [2, 1], "INT64"), tensor([[3], [2]], [2, 1], "INT64"), tensor([3, 2], [2, 1], "INT64")),
    (tensor([[1], [2]], [2, 1]), tensor([3, 2], [2]), tensor([[3], [2]], [2, 1])),
    (tensor([1, 2, 3, 4], [2, 2]), tensor([1, 2, 4, 4], [2, 2]), tensor([1, 2, 4, 4], [2, 2])),
    (tensor(["a"], [1], "BYTES"), tensor(["[b]"], [1], "BYTES"), tensor(["[b]"], [1], "BYTES")),
    (tensor([True], [1], "BOOL"), tensor([False], [1], "BOOL"), tensor([False], [1], "BOOL")),
    (tensor([1], [1], "INT64"), tensor([2.0], [1], "FP32"), tensor([2.0], [1], "FP64")),
    (tensor([1], [1], "INT8"), tensor([300], [1], "INT64"), tensor([300], [1], "INT64")),
    (tensor([1], [1], "INT8"), tensor([2**63], [1], "UINT64"), tensor([2**63], [1], "UINT64")),
    (tensor([1], [1], "FP32"), tensor([2], [1], "INT64"), tensor([2], [1], "FP32")),
]


@pytest.mark.parametrize(("first", "other", "expected"), TENSORS)
def test_tensors_keep_their_layout_and_a_datatype_that_holds_the_winners(first, other, expected):
    """Flat or nested."""
    assert json.loads(winner(v2(first), v2(other), v2(other), protocol="v2"))["outputs"] == [expected]


@pytest.mark.parametrize(
    ("first", "other", "member"),
    [
        (tensor([1, 2], [1, 2]), tensor([1, 2, 3], [1, 3]), 1),
        (tensor([1], [1]), tensor([1, 2], [2]), 1),
        (tensor([1], [1]), tensor(["a"], [1], "BYTES"), 0),
        (tensor([True], [1], "BOOL"), tensor([3], [1], "INT8"), 0),
        (tensor([2**63], [1], "UINT64"), tensor([-1], [1], "BOOL"), None),
        (tensor([1], [1]), tensor([None], [1]), 0),
    ],
)
def test_winners_that_the_tensor_cannot_hold_are_refused(first, other, member):
    """A member of another shape is to blame; of another type, the first, whose tensor it is."""
    if member is None:
        assert json.loads(winner(v2(first), v2(other), v2(other), protocol="v2"))["outputs"][0]["datatype"] == "INT64"
        return
    with pytest.raises(NotPredictions) as problem:
        winner(v2(first), v2(other), v2(other), protocol="v2")
    assert problem.value.member == member


@pytest.mark.parametrize("row", [[1, 2, 3], [[1], 2], {"a": 1}, 1])
@pytest.mark.parametrize("data", [[1, 2], [[1, 2]]])
@pytest.mark.parametrize("datatype", ["INT64", "SOMETHING"])
def test_winners_of_another_protocol_have_the_tensors_shape(row, data, datatype):
    """Flat or nested, and whatever its datatype is."""
    members: list[Any] = [(v2(tensor(data, [1, 2], datatype)), "v2", 1), (v1([row]), "v1", 2)]
    with pytest.raises(NotPredictions, match="does not fit the tensor's shape"):
        vote(members)


def test_texts_are_compared_without_white_space_around_them():
    """The winner keeps its own."""
    found = json.loads(winner(chat("no"), chat("yes\n"), chat(" yes"), protocol="openai"))
    assert found == {"id": "x", "choices": [{"index": 0, "message": {"content": "yes\n"}}]}
    assert json.loads(winner(completion("a"), chat("b"), completion("b"), protocol="openai")) == {
        "choices": [{"text": "b"}]
    }


def test_labels_are_compared_with_their_white_space():
    """It may be what tells them apart."""
    assert json.loads(winner(v1(["a"]), v1(["b"]), v1(["b "]))) == {"predictions": ["a"]}


def test_vectors_are_no_texts():
    """So they cannot win where a text stood."""
    with pytest.raises(NotPredictions):
        winner(chat("a"), embeddings([1]), embeddings([1]), protocol="openai")


def test_members_of_different_protocols_vote_together():
    """The answer is of the first's."""
    members: list[Any] = [(v1(["a"]), "v1", 1), (v2(tensor(["b"], [1, 1], "BYTES")), "v2", 1), (b'["b"]', "json", 1)]
    assert vote(members) == b'{"predictions":["b"]}'


def test_all_else_in_the_body_keeps_its_text():
    """As with a mean."""
    first = b'{"h": 1e400, "predictions": ["a"], "n": 1.10}'
    assert winner(first, v1(["b"]), v1(["b"])) == b'{"h":1e400,"predictions":["b"],"n":1.10}'


def test_plain_json_votes_whole_unless_it_is_a_list():
    """A list is a batch."""
    assert winner(b'{"a": 1}', b'{"a": 2.0}', b'{"a": 2}', protocol="json") == b'{"a": 2.0}'
    assert winner(b"[1, 2]", b"[3, 2]", b"[3, 4]", protocol="json") == b"[3,2]"


LABEL = st.sampled_from(
    [True, False, None, 0, 1, 0.0, 1.0, 1.5, "a", "b", "", [], [1, 2], [True, 2], {"a": 1}, {"a": True}]
)
VOTERS = st.integers(1, 4).flatmap(
    lambda size: st.lists(
        st.tuples(st.lists(LABEL, min_size=size, max_size=size), st.sampled_from([0.1, 0.2, 0.3, 1, 2])),
        min_size=1,
        max_size=6,
    )
)


def same(left, right):
    """Equality as the contract has it, the long way."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right


@QUICK
@given(VOTERS)
def test_it_is_what_counting_by_hand_finds(voters):
    """For each element: the first label with the most weight, as its first voter wrote it."""
    found = json.loads(vote([(v1(labels), "v1", weight) for labels, weight in voters]))["predictions"]
    for place, won in enumerate(found):
        ballots = [(labels[place], Fraction(str(weight))) for labels, weight in voters]
        counts = [sum(weight for other, weight in ballots if same(label, other)) for label, _ in ballots]
        expected = ballots[counts.index(max(counts))][0]
        assert text(won) == text(expected)
