"""YAML's traps: what is bounded, what is refused, and what is forgiven."""

import pytest

from extproc.graph.pointing import point
from extproc.graph.read import MAX_FILE_BYTES, read
from extproc.graph.tree import Mapping, Scalar, locate
from tests.graph.samples import HEAD, NODES, loaded, said

LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(20)
)
MERGED = "a0: &a0 {x: [1,1,1,1,1]}\n" + "".join(
    f"a{n}: &a{n} {{{', '.join(f'k{k}: {{<<: *a{n - 1}}}' for k in range(10))}}}\n" for n in range(1, 20)
)
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "deep flow": ("[" * 1_000_000, "the document is nested deeper than 100 levels (MAX_DEPTH)"),
    "deep block": ("- " * 50_000, "1:201: the document is nested deeper than 100 levels (MAX_DEPTH)"),
    "deep by alias": (
        "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60,
        "2:64: the document is nested deeper than 100 levels (MAX_DEPTH)",
    ),
    "laughs": (LAUGHS, "6:8: the document holds more than 200000 values, aliases written out (MAX_VALUES)"),
    "merged laughs": (MERGED, "the document holds more than 200000 values, aliases written out (MAX_VALUES)"),
    "tab": ("a:\n\tb: 1\n", "2:1: no valid YAML: a tab cannot indent, use spaces"),
    "nul": ("a:\n b: \0", "2:5: control character U+0000; write it as an escape in double quotes"),
    "latin-1": (b"a: \xc3\xa9\xe9", "1:5: the file is not UTF-8: byte 0xe9"),
    "utf-16": ("a: 1".encode("utf-16"), "1:1: the file is not UTF-8: byte 0xff"),
    "lone surrogate": ('"\\ud800"', "1:4: no valid YAML: found invalid Unicode character escape code"),
    "too large": (b"#" * (MAX_FILE_BYTES + 1), "1:1: the file is larger than 4 MiB (MAX_FILE_BYTES)"),
    "open quote": ("a: 'x", "1:6: no valid YAML: found unexpected end of stream (while scanning a quoted scalar)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_at_its_place(tmp_path, name):
    """One problem with a position and the name of the limit."""
    text, message = REFUSED[name]
    loading = loaded(tmp_path, text)
    assert len(loading.problems) == 1
    assert message in said(loading)[0]


def test_a_byte_order_mark_and_json_are_read():
    """JSON's pairs of surrogates and its tabs too."""
    (tree,) = read('\ufeff{\t"a":\n\t"\\ud83d\\ude00\\\\ud83d"}'.encode()).documents
    found = locate(tree, ("a",))
    assert isinstance(found, Scalar)
    assert found.text == "\U0001f600\\ud83d"


def test_merge_keys_are_resolved():
    """A mapping's own keys win, then the first merged."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\nd: {<<: *b, w: 4}\n"
    (tree,) = read(text.encode()).documents
    assert isinstance(tree, Mapping)
    texts = {
        key: {inner: value.text for inner, (_, value) in item.index.items() if isinstance(value, Scalar)}
        for key, (_, item) in tree.index.items()
        if isinstance(item, Mapping)
    }
    assert texts["c"] == {"z": "3", "x": "1", "y": "1"}
    assert texts["d"] == {"w": "4", "y": "2", "z": "2"}


def test_a_number_limit_is_named(tmp_path):
    """An integer that Python would not parse is no traceback."""
    body = f"  nodes:\n    root: {{respond: {{status: 200, body: {'9' * 5000}}}}}\n"
    (problem,) = loaded(tmp_path, HEAD + body).problems
    assert problem.message.endswith("has more than 4300 digits (MAX_DIGITS)")


def test_aliases_are_plain_values(tmp_path):
    """One model's settings for two; an error in them is told for both."""
    models = "  models:\n    m: &m {url: http://m, timeout: 1}\n    n: *m\n"
    assert said(loaded(tmp_path, HEAD + models.replace("1}", "1s}") + NODES)) == []
    assert said(loaded(tmp_path, HEAD + models + NODES)) == [
        "g.yaml:7:36: spec.models.m.timeout: a duration needs a unit: 1s or 1ms?",
        "g.yaml:7:36: spec.models.n.timeout: a duration needs a unit: 1s or 1ms?",
    ]


POINTS = [
    ("a: bcd", 1, 2, "c"),
    ("a: 'b''d'", 1, 3, "d"),
    ('a: "b\\"d"', 1, 3, "d"),
    ('a: "\\u00e9\\x41d"', 1, 3, "d"),
    ("a: &x !!str bcd", 1, 3, "d"),
    ("a: |\n  b\n   c\n  d", 3, 1, "d"),
    ("a: |\n  b\n   c\n  d", 2, 2, "c"),
    ("a: |2-\n   b\n  d", 2, 1, "d"),
    ("a: >-\n  b\n  d\n", 1, 3, "d"),
    ("a: b\n  c\n  d", 1, 5, "d"),
    ('a: "b\\\n  d"', 1, 2, "d"),
    ('a: "b\n\n  d"', 2, 1, "d"),
    ("a: 'é d'", 1, 3, "d"),
]


@pytest.mark.parametrize(("source", "line", "column", "char"), POINTS, ids=range(len(POINTS)))
def test_a_place_in_a_scalar_is_found_in_the_file(source, line, column, char):
    """Through quotes, escapes, folding and indentation."""
    (tree,) = read(source.encode()).documents
    found = locate(tree, ("a",))
    assert isinstance(found, Scalar)
    mark = point(source, found, line, column)
    assert source[mark.index] == char
    assert source.split("\n")[mark.line - 1][mark.column - 1] == char


def test_a_place_past_the_end_is_the_end():
    """An expression that stops too early is wrong where it stops."""
    (tree,) = read(b"a: bc\n").documents
    found = locate(tree, ("a",))
    assert isinstance(found, Scalar)
    assert point("a: bc\n", found, 1, 3).column == 6
