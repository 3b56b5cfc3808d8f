"""What is told of calls by OpenAI's protocol: models, counts, reasons; never a message, whatever a body holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.telemetry.genai import MAX_BODY, MAX_NAME, MAX_REASONS, of_request, of_response, operation

CHAT = "/v1/chat/completions"
SECRET = "hunter2"
NAMED = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
LARGEST = 2**63 - 1  # of a number in OTLP


def written(value):
    """A value as a body."""
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (CHAT, "chat"),
        ("/v1/chat/completions?key=1", "chat"),
        ("/openai/deployments/x/chat/completions", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/responses", "chat"),
        ("/v1/models/m:predict", None),
        ("/v1/completions/1", None),
        ("/v1?next=/completions", None),
        ("", None),
    ],
)
def test_operations(target, name):
    """A path's end tells; its query does not."""
    assert operation(target) == name
    assert bool(of_request(target, None)) is (name is not None)
    assert bool(of_response(target, written({"model": "m"}))) is (name is not None)


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (written({"model": "llama", "messages": [{"role": "user", "content": SECRET}]}), "llama"),
        (written({"model": "m" * 1000}), "m" * MAX_NAME),
        (written({"messages": SECRET}), None),
        (written({"model": [SECRET]}), None),
        (written({"model": {SECRET: 1}}), None),
        (written([SECRET]), None),
        (b'{"model": "\\ud800"}', None),
        (b'{"model": "\xff"}', None),
        (b'{"model": "m"', None),
        (b'{"a": ' + b"[" * 100_000, None),
        (b'{"model": "m", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
        (b'{"model": "m", "messages": "' + b"x" * MAX_BODY + b'"}', None),
        (b"", None),
        (None, None),
    ],
)
def test_requests(body, model):
    """The model's name, short, and the operation in any case."""
    assert of_request(CHAT, body) == NAMED | ({} if model is None else {"gen_ai.request.model": model})


def test_a_response():
    """Names, counts and reasons."""
    choices = [{"index": 0, "finish_reason": "stop", "message": {"content": SECRET}}, {"finish_reason": None}, {}]
    usage = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16, "details": {"cached": 1}}
    assert of_response(CHAT, written({"id": "c-1", "model": "llama-3", "choices": choices, "usage": usage})) == {
        "gen_ai.response.id": "c-1",
        "gen_ai.response.model": "llama-3",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.response.finish_reasons": ["stop"],
    }


def test_the_responses_interface():
    """Has other words for the counts."""
    usage = {"input_tokens": 0, "output_tokens": 3, "prompt_tokens": 5}
    found = of_response("/v1/responses", written({"output": [{"content": SECRET}], "usage": usage}))
    assert found == {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 3}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"data: {}\n\n",
        written([SECRET]),
        written({"usage": [SECRET]}),
        written({"usage": {"prompt_tokens": -1}}),
        written({"usage": {"prompt_tokens": LARGEST + 1}}),
        written({"usage": {"prompt_tokens": True}}),
        b'{"usage": {"prompt_tokens": 1e400}}',
        written({"choices": [{"finish_reason": {SECRET: 1}}]}),
        b'{"model": "m", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "m", "a": "' + b"x" * MAX_BODY + b'"}',
    ],
)
def test_responses_that_say_nothing(body):
    """What cannot be read, and what would not fit into a span."""
    assert of_response(CHAT, body) == {}


def test_bounds():
    """Whatever a model answers, a span stays small; the largest number is one that OTLP has."""
    body = {
        "id": "i" * 1000,
        "model": "m" * 1000,
        "choices": [{"finish_reason": "r" * 1000}] * 1000,
        "usage": {"prompt_tokens": LARGEST},
    }
    found = of_response(CHAT, written(body))
    assert found["gen_ai.usage.input_tokens"] == LARGEST
    assert found["gen_ai.response.finish_reasons"] == ["r" * MAX_NAME] * MAX_REASONS
    assert found["gen_ai.response.id"] == "i" * MAX_NAME
    assert found["gen_ai.response.model"] == "m" * MAX_NAME


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["model", "id", "usage", "choices", "prompt_tokens", "finish_reason", "input_tokens"]),
            inner,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES.map(written) | st.binary(max_size=40))
@example(b"\xff")
def test_any_body(body):
    """Nothing is raised, and what is told is what spans can hold."""
    for found in (of_request(CHAT, body), of_response(CHAT, body)):
        for value in found.values():
            assert isinstance(value, str | int | list)
            assert not isinstance(value, int) or 0 <= value <= LARGEST
            assert not isinstance(value, str) or value.encode()
