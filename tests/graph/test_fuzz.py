"""Whatever the file holds: problems, never a traceback."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.graph import load_raw
from extproc.graph.drawing import draw
from extproc.graph.load import Loading, _Room, load
from tests.graph.samples import BROKEN, HERE, VALID

TEXTS = [file.read_text() for file in [*VALID, *BROKEN]]
LINES = sorted({line for text in TEXTS for line in text.splitlines()})
BITS = [
    "", "\t", "\n", " ", ":", "- ", "[", "]", "{", "}", "'", '"', "&a ", "*a", "!!str ", "!x ", "|", ">", "#", "? ", "<<: ",
    "\0", "\x85", "\u2028", "\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "9" * 40, ".nan", "-1",
    "~", "${", "}", "to: root", "null", "---\n", "%YAML 1.3\n", "...\n", "é", "\\", "\\u0000", "1e999", "root", "[]", "{}",
]  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """One file for all examples."""
    return tmp_path_factory.mktemp("fuzz") / "g.yaml"


def settled(file, data: bytes) -> Loading:
    """Loads, and checks what holds for every loading."""
    file.write_bytes(data)
    loading = load([file])
    assert loading.graphs or loading.errors
    lines = data.decode("utf-8-sig", "replace").count("\n") + 2
    for problem in loading.problems:
        assert (
            1
            <= problem.line
            <= max(lines, data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + lines)
        )
        assert problem.column >= 1
        assert "\n" not in str(problem)
    for graph in loading.graphs:
        assert load_raw(json.loads(json.dumps(graph.raw)), graph.source) == graph
        draw(graph)
        draw(graph, "svg")
    return loading


@settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=60))
def test_random_bytes(file, data):
    """No bytes crash the loader."""
    settled(file, data)


@settings(
    max_examples=250, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.sampled_from(TEXTS),
    cuts=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 12), st.sampled_from(BITS)), min_size=1, max_size=4),
)
def test_mutated_documents(file, text, cuts):
    """Pieces taken out and put in anywhere."""
    for at, length, bit in cuts:
        at %= len(text)  # noqa: PLW2901
        text = text[:at] + bit + text[at + length :]
    settled(file, text.encode("utf-8", "replace"))


@settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.sampled_from(TEXTS), moves=st.lists(st.tuples(st.integers(0, 200), st.sampled_from(LINES)), max_size=5))
def test_mixed_documents(file, text, moves):
    """Lines of other documents in place of a document's own."""
    lines = text.splitlines()
    for at, line in moves:
        lines[at % len(lines)] = line
    settled(file, "\n".join(lines).encode())


JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.sampled_from(BITS)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
RAW = [graph.raw for graph in load([HERE / "valid"]).graphs]


@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), junk=JUNK)
def test_replaced_values(file, data, junk):
    """Any value anywhere in a document of the right shape."""
    document = json.loads(json.dumps(data.draw(st.sampled_from(RAW))))
    document["spec"].pop("timeout", None)
    at = document
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        below = at[key]
        if not isinstance(below, dict | list) or not below or data.draw(st.integers(0, 4)) == 0:
            at[key] = junk
            break
        at = below
    settled(file, json.dumps(document).encode())


def test_the_room_starts_empty():
    """Nothing is kept from one loading to the next."""
    assert _Room() == _Room()
