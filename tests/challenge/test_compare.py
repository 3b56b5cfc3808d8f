"""Two legs read from their responses, and compared element by element."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extproc.challenge.compare import MAX_RECORDED, Comparer, Said
from extproc.challenge.evidence import Evidence, merged
from extproc.challenge.leg import LegAnswer, Unparsable
from extproc.engine.calling import Reply
from extproc.protocol.leaves import MAX_DEPTH
from tests.challenge.legs import MANY, NUMBERS, QUICK, compared, comparer, evidence, leg
from tests.protocol.bodies import HOSTILE, PROTOCOLS, VALUE, chat, embeddings, tensor, text, v1, v2

SECRET = "SECRET"  # stands in bodies, and never in a message

TOLD = [
    (v1([1, 2.5]), "number", [1, 2.5]),
    (v1([[1], [2]]), "number", [1, 2]),
    (v1(0.5), "number", [0.5]),
    (v1([]), "number", []),
    (v1(["a", None, True]), "label", ["a", None, True]),
    (v1([[1, 2], [3, 4]]), "vector", [[1, 2], [3, 4]]),
    (v1([{"cat": 0.9, "dog": 0.1}]), "vector", [{"cat": 0.9, "dog": 0.1}]),
    (v2(tensor([1, 2, 3, 4], [2, 2])), "vector", [[1, 2], [3, 4]]),
    (v2(tensor([1], [1], name="a"), tensor(["x"], [1], "BYTES", "b")), "label", [{"a": 1, "b": "x"}]),
    (chat("yes", "no"), "text", ["yes", "no"]),
    (embeddings([1, 0.5]), "vector", [[1, 0.5]]),
    (b'{"score": 1}', "vector", [{"score": 1}]),
    (b'"cat"', "label", ["cat"]),
]


@pytest.mark.parametrize(("body", "kind", "elements"), TOLD)
def test_without_a_value_the_protocol_tells(body, kind, elements):
    """The predictions, as the response's protocol has them, and their kind, told from them."""
    said = Comparer().read(leg(body))
    assert (said.kind, said.elements) == (kind, elements)


def test_a_model_s_protocol_is_declared_or_told_by_its_path():
    """Before the body is looked at."""
    body = text({"predictions": [1], "score": 2})
    assert Comparer().read(leg(body)).elements == [1]
    assert Comparer().read(leg(body, "json")).elements == [{"predictions": [1], "score": 2}]
    assert Comparer().read(leg(body, path="/v1/models/m:predict")).elements == [1]
    with pytest.raises(Unparsable):
        Comparer().read(leg(body, path="/v2/models/m/infer"))


VALUED = [
    ("response.body.predictions", None, v1([1, 2]), "number", [1, 2]),
    ("response.body.predictions[0]", None, v1([1, 2]), "number", [1]),
    ("response.body.predictions[0]", None, v1([[1, 2]]), "number", [1, 2]),
    ("response.body.predictions[0]", "vector", v1([[1, 2]]), "vector", [[1, 2]]),
    ("response.body.predictions", "vector", v1([[1, 2], [3, 4]]), "vector", [[1, 2], [3, 4]]),
    ("response.body.predictions", "vector", v1([]), "vector", []),
    ("response.body.predictions", "vector", v1([7]), "vector", [7]),
    ("response.body.predictions", "vector", v1([[7]]), "vector", [7]),
    ("response.body.predictions", "number", v1([[7], [[8]]]), "number", [7, 8]),
    ("response.body.predictions", "label", v1([1, "a", [1]]), "label", [1, "a", 1]),
    ("response.body.predictions[0]", "text", v1(["a"]), "text", ["a"]),
    ("response.body.predictions[0]", None, v1(["a"]), "label", ["a"]),
    ("response.body.predictions[0] > 0.5", None, v1([0.7]), "label", [True]),
    ("response.body.predictions.map(p, p * 2)", None, v1([1, 2]), "number", [2, 4]),
    ("response.status", None, b"", "number", [200]),
    ('response.headers["x-score"]', None, b"", "label", ["7"]),
    ("response.headers", None, b"", "label", [{"x-score": "7"}]),
    ('request.headers["x-model"]', None, b"", "label", ["m"]),
    ("request.body.want", None, b"", "number", [2**70]),
    ("{'a': 1.5, 'b': 2}", None, b"", "vector", [{"a": 1.5, "b": 2}]),
    ("{1: 2.0, 'a': 3.0}", None, b"", "vector", [{"1": 2.0, "a": 3.0}]),
]


@pytest.mark.parametrize(("value", "kind", "body", "told", "elements"), VALUED)
def test_a_value_tells_instead_of_the_protocol(value, kind, body, told, elements):
    """A list is a batch, anything else one prediction; a list of numbers that is to be a vector is one."""
    answer = leg(body, headers={"x-score": "7"}, asked=b'{"want": %d}' % 2**70)
    said = comparer(value=value, kind=kind).read(answer)
    assert (said.kind, said.elements) == (told, elements)


UNREAD = [
    ({}, b"SECRET"),
    ({}, b""),
    ({}, b"\xff\xfe"),
    ({}, v1(["SECRET"])[:-1]),
    ({}, b'{"predictions": [NaN, "SECRET"]}'),
    ({}, b'{"predictions": [1e400, "SECRET"]}'),
    ({}, b'{"predictions": [' + b"1" * 5000 + b', "SECRET"]}'),
    ({}, b'{"predictions": ["SECRET\xff"]}'),
    ({}, b'{"predictions": ["SECRET\\ud800"]}'),
    ({}, b'{"predictions": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ({}, b'{"predictions": [' + b"[2," * MAX_DEPTH + b"[1, 2]" + b"]" * MAX_DEPTH + b"]}"),
    ({}, v1([{"a": json.loads("[" * 70 + '"SECRET"' + "]" * 70)}])),
    ({}, chat(None)),
    ({"kind": "number"}, v1(["SECRET"])),
    ({"kind": "number"}, v1([True])),
    ({"kind": "number"}, v1([[1, 2]])),
    ({"kind": "text"}, v1([1])),
    ({"kind": "vector"}, v1([["SECRET"]])),
    ({"kind": "vector"}, v1([[10**400]])),
]


@pytest.mark.parametrize(("compare", "body"), UNREAD, ids=range(len(UNREAD)))
def test_what_cannot_be_read_is_unparsable(compare, body):
    """And the message holds nothing of the body; it is no expression's fault."""
    with pytest.raises(Unparsable) as caught:
        comparer(**compare).read(leg(body))
    assert SECRET not in caught.value.message
    assert not caught.value.expression


EVALUATED = [
    "response.body.absent",
    "response.body.predictions[7]",
    "response.body.predictions[0] + 1",
    "response",
    "[response]",
    "request",
    "request.body.a",
    "{'a': request}",
    "double('nan')",
    "[double('inf')]",
    "response.body.predictions.map(a, response.body.predictions.map(b, [0].map(c, c + 1)))[0][0] + 'SECRET'",
]


@pytest.mark.parametrize("value", EVALUATED)
def test_an_expression_without_a_value_is_told_apart(value):
    """So that it can be counted: an evaluation error, a value that is no JSON, a request's body that is none."""
    with pytest.raises(Unparsable) as caught:
        comparer(value=value).read(leg(v1([SECRET]), asked=b"SECRET"))
    assert caught.value.expression
    assert SECRET not in caught.value.message


def test_an_expression_over_its_budget_is_unparsable():
    """A champion's answer that makes the expression expensive costs a bounded time, and no request."""
    value = "response.body.predictions.all(a, response.body.predictions.all(b, a == b))"
    with pytest.raises(Unparsable, match="budget"):
        comparer(value=value).read(leg(v1([1] * 3000)))


def test_binary_tensors_are_unparsable():
    """Their header tells, whatever the JSON before them holds."""
    body = v2(tensor([1], [1]))
    assert Comparer().read(leg(body)).elements == [1]
    with pytest.raises(Unparsable, match="binary"):
        Comparer().read(leg(body, headers={"inference-header-content-length": "10"}))


CHALLENGERS_FAULT = [
    ([1], ["a"], {}),
    ([1], [True], {}),
    (["a"], [1], {}),
    ([[1, 2]], [1], {}),
    ([1, 2], [1], {}),
    ([], [1], {}),
    ([1], [], {}),
    ([[1, 2]], [[1, 2, 3]], {}),
    ([[1, 2]], [[[1, 2], [3, 4]]], {}),
    ([{"a": 1, "b": 2}], [{"a": 1, "c": 2}], {}),
    ([[1, 2]], [{"a": 1, "b": 2}], {}),
    ([[1, 2]], [1], {"kind": "vector"}),
]


@pytest.mark.parametrize(("champion", "challenger", "compare"), CHALLENGERS_FAULT)
def test_what_does_not_match_the_champion_is_unparsable(champion, challenger, compare):
    """Another kind, another number of predictions, another structure of vectors."""
    by = comparer(**compare)
    ours, theirs = by.read(leg(v1(champion))), by.read(leg(v1(challenger)))
    with pytest.raises(Unparsable, match="challenger"):
        by.compare(ours, theirs)


PAIRS = [
    ([1, 2, 3, 4], [1, 2, 3, 5], {}, 0.75, "number"),
    ([1.0, 2.0], [1.05, 2.06], {"tolerance": 0.05}, 0.5, "number"),
    (["a", "b"], ["a", "c"], {}, 0.5, "label"),
    ([1, True], [1.0, 1], {"kind": "label"}, 0.5, "label"),
    ([[1, 2], [3, 4]], [[1, 2.25], [3, 4]], {}, 0.5, "vector"),
    ([[1, 2], [3, 4]], [[1, 2.25], [3, 4]], {"tolerance": 0.25}, 1.0, "vector"),
    ([" yes\n", "no"], ["yes", "No"], {"kind": "text"}, 0.5, "text"),
    ([], [], {}, 1.0, "number"),
]


@pytest.mark.parametrize(("champion", "challenger", "compare", "agreement", "kind"), PAIRS)
def test_agreement_is_the_share_of_elements_that_agree(champion, challenger, compare, agreement, kind):
    """By the kind and the tolerance; of nothing, all agree."""
    found = compared(champion, challenger, **compare)
    assert (found.agreement, found.kind, found.elements) == (agreement, kind, len(champion))


def test_the_document_s_kind_value_and_tolerance_are_taken():
    """What the graph does not say is told from the predictions, and tolerates nothing."""
    assert comparer() == Comparer(None, None, 0.0)
    by = comparer(value="response.body", kind="vector", tolerance=0.5)
    assert (repr(by.value), by.kind, by.tolerance) == ("<Program 'response.body'>", "vector", 0.5)


def test_a_pair_adds_its_kind_elements_and_agreement():
    """And nothing of an outcome or of latencies, which are booked by others."""
    found = evidence(compared([1, 2], [1, 3]), compared([1], [1]), compared(["a"], ["a"]))
    assert found.kinds == {"number": 2, "label": 1}
    assert found.elements == 4
    assert found.agreement == {5000: 1, 10_000: 2}
    assert (found.outcomes, found.noise, found.champion_latency) == ({}, {}, {})


def test_elements_are_recorded_as_json():
    """Exact where they are integers of any size, in the order in which they were compared."""
    found = compared([2**70, 0.1], [1, 0.5])
    assert bytes(found.champion.recorded()) == b"[%d,0.1]" % 2**70
    assert bytes(found.challenger.recorded()) == b"[1,0.5]"


def test_elements_too_large_for_a_record_are_not_recorded():
    """The limit is in bytes of JSON, and the last that fits is kept."""
    longest = "x" * (MAX_RECORDED - len('[""]'))
    assert len(Said("label", [longest], []).recorded() or b"") == MAX_RECORDED
    assert Said("label", [longest + "x"], []).recorded() is None


KINDED = {
    None: VALUE,
    "number": NUMBERS,
    "label": VALUE,
    "vector": st.lists(NUMBERS, min_size=2, max_size=3) | st.dictionaries(st.sampled_from("ab"), NUMBERS),
    "text": st.text(max_size=6),
}
COMPARES = st.sampled_from([{"kind": kind} for kind in KINDED] + [{"kind": "number", "tolerance": 0.5}])


@st.composite
def pairs(draw):
    """Pairs of one comparer, most of which can be compared."""
    compare = draw(COMPARES)
    element = KINDED[compare["kind"]]
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    return compare, [[draw(st.lists(element, min_size=n, max_size=n)) for _ in "ab"] for n in sizes]


def comparisons(compare, batches):
    found = []
    for champion, challenger in batches:
        try:
            found.append(compared(champion, challenger, **compare))
        except Unparsable:
            continue
    return found


@MANY
@given(pairs(), st.randoms(use_true_random=False))
@example(({"kind": "number"}, [[[1, 2.5], [1e300, -1e308]], [[10**400], [1.5]]]), random.Random(1))
def test_evidence_is_the_same_in_whatever_order_pairs_come_or_merge(drawn, chance):
    """Added one by one, backwards, or by two workers whose evidence is merged."""
    found = comparisons(*drawn)
    whole = evidence(*found)
    assert evidence(*reversed(found)) == whole
    cut = chance.randint(0, len(found))
    halves = evidence(*found[cut:]), evidence(*found[:cut])
    total = Evidence()
    for half in halves:
        merged(total, half)
    assert total == whole


@MANY
@given(pairs())
def test_agreement_is_a_share_and_symmetric(drawn):
    """It is in [0, 1], the same the other way round, and 1 of a leg with itself but for what has no difference."""
    compare, batches = drawn
    for champion, challenger in batches:
        for one in comparisons(compare, [(champion, challenger)]):
            assert 0.0 <= one.agreement <= 1.0
            assert compared(challenger, champion, **compare).agreement == one.agreement
            assert compared(champion, champion, **compare).agreement == 1.0


@MANY
@given(HOSTILE, HOSTILE, st.sampled_from([*PROTOCOLS, "auto"]), st.sampled_from([None, *KINDED]), st.booleans())
def test_nothing_but_unparsable_is_raised(champion, challenger, declared, kind, valued):
    """Whatever the bodies are; what could be compared can be added, recorded, sent and read again."""
    by = comparer(kind=kind, value="response.body" if valued else None)
    try:
        found = by.compare(by.read(leg(champion, declared)), by.read(leg(challenger, declared)))
    except Unparsable:
        return
    assert 0.0 <= found.agreement <= 1.0
    evidence(found)
    for said in (found.champion, found.challenger):
        assert len(json.loads(bytes(said.recorded() or b""), parse_int=float)) == found.elements


@QUICK
@given(st.recursive(st.just("1"), lambda inner: inner.map("[{},2]".format), max_leaves=3), st.integers(1, 2000))
def test_deep_bodies_are_read_or_unparsable(inner, depth):
    """However deep: there is no recursion without a limit."""
    body = b'{"predictions": [' + b'{"a":[1,' * depth + inner.encode() + b"]}" * depth + b"]}"
    for kind in KINDED:
        with contextlib.suppress(Unparsable):
            assert comparer(kind=kind).read(leg(body)).elements


def test_a_leg_knows_nothing_of_a_protocol_by_itself():
    """An answer that was made here is told by its body."""
    request = leg(b"").request
    assert Comparer().read(LegAnswer(request, Reply(200, (), v1([3])))).elements == [3]


def test_workers_can_compare_without_heavy_libraries():
    """Comparison, evidence and truth load neither numpy nor scipy nor SQLAlchemy."""
    code = (
        "import sys, extproc.challenge.compare, extproc.challenge.encodings, extproc.challenge.truth;"
        "print(sorted({'numpy', 'scipy', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
