"""Which protocol a model speaks."""

from __future__ import annotations

import pytest

from extproc.protocol import next_protocol, protocol_of
from tests.protocol.bodies import chat, completion, embeddings, tensor, text, v1, v2

PATHS = [
    ("/v1/models/fraud:predict", "v1"),
    ("/v1/models/fraud:predict?verbose=1", "v1"),
    ("/v1/models/fraud/versions/3:predict", "v1"),
    ("/v1/models/fraud/labels/stable:classify", "v1"),
    ("/v1/models/fraud:regress", "v1"),
    ("/serving/team/v1/models/fraud:predict", "v1"),
    ("/v2/models/fraud/infer", "v2"),
    ("/v2/models/fraud/versions/3/infer", "v2"),
    ("/seldon/v2/models/fraud/infer", "v2"),
    ("/v1/chat/completions", "openai"),
    ("/v1/completions", "openai"),
    ("/openai/v1/embeddings", "openai"),
    ("/openai/v1/chat/completions?x=/v2/models/a/infer", "openai"),
    ("/v1/models/fraud", "json"),
    ("/v2/models/fraud", "json"),
    ("/v2/models/fraud/infer/more", "json"),
    ("/v1/models/a:predict/b", "json"),
    ("/xv2/models/fraud/infer", "json"),
    ("/predict", "json"),
    ("/", "json"),
    (None, "json"),
]
BODIES = [
    (v1([1]), "v1"),
    (text({"instances": [[1]]}), "v1"),
    (v2(tensor([1], [1])), "v2"),
    (text({"inputs": [{"name": "a", "datatype": "FP32"}]}), "v2"),
    (text({"inputs": [[1, 2]]}), "json"),
    (text({"inputs": "a prompt"}), "json"),
    (text({"outputs": []}), "json"),
    (chat("a"), "openai"),
    (completion("a"), "openai"),
    (embeddings([1.0]), "openai"),
    (text({"messages": []}), "openai"),
    (text({"data": [{"id": 1}]}), "json"),
    (text({"data": {"embedding": 1}}), "json"),
    (text({"score": 1}), "json"),
    (b"[1]", "json"),
    (b"no json", "json"),
    (b"", "json"),
    (b"[" * 5000, "json"),
    (None, "json"),
]


@pytest.mark.parametrize(("path", "protocol"), PATHS)
def test_a_path_tells_the_protocol(path, protocol):
    """By its last segments, behind any prefix."""
    assert protocol_of("auto", path, None) == protocol


@pytest.mark.parametrize(("body", "protocol"), BODIES)
def test_a_body_tells_the_protocol(body, protocol):
    """By its shape, where the path does not tell."""
    assert protocol_of("auto", "/predict", body) == protocol


@pytest.mark.parametrize("declared", ["v1", "v2", "openai", "json"])
def test_what_is_declared_holds(declared):
    """Whatever path and body look like."""
    assert protocol_of(declared, "/v2/models/fraud/infer", v1([1])) == declared


def test_a_path_comes_before_a_body():
    """A V2 model may answer whatever it likes."""
    assert protocol_of("auto", "/v2/models/fraud/infer", v1([1])) == "v2"


@pytest.mark.parametrize(
    ("declared", "path", "expected"),
    [("v2", "/v1/models/a:predict", "v2"), ("auto", "/v1/models/a:predict", "v1"), ("auto", "/predict", "openai")],
)
def test_a_next_model_that_nothing_tells_of_speaks_as_the_one_before(declared, path, expected):
    """Else by what is declared, or its path."""
    assert next_protocol(declared, path, "openai") == expected
