"""What OpenAI's protocol says of a call, in the words of OpenTelemetry's semantic conventions for generative AI.

The model's name, token counts and finish reasons only: never a prompt or an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    Attributes: TypeAlias = Mapping[str, "str | int | list[str]"]

# How a path ends: the operation's name in the conventions.
_OPERATIONS = {
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/responses": "chat",
}
_ENDS = tuple(_OPERATIONS)
MAX_NAME = 128  # characters of a model's name: the client wrote it
MAX_BODY = 1024 * 1024  # a larger one is no chat, and is not looked at
MAX_REASONS = 16  # finish reasons: one for each answer that was asked for
_NOTHING: Attributes = {}
# A larger number, or a negative one, counts nothing; and OTLP has 64 bits: one that does not fit costs a whole batch.
_Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Request(msgspec.Struct):
    model: str = ""


class _Usage(msgspec.Struct):
    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None
    input_tokens: _Tokens | None = None  # as "responses" calls them
    output_tokens: _Tokens | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Response(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: _Usage | None = None
    choices: list[_Choice] = []


_requests = msgspec.json.Decoder(_Request)
_responses = msgspec.json.Decoder(_Response)


def operation(target: str) -> str | None:
    """Return what a path asks for, None where that is none of OpenAI's."""
    path = target.partition("?")[0]
    if not path.endswith(_ENDS):  # nearly all
        return None
    return next(name for end, name in _OPERATIONS.items() if path.endswith(end))


def of_request(target: str, body: bytes | None) -> Attributes:
    """Return what a request says; nothing where it is none of OpenAI's."""
    name = operation(target)
    if name is None:
        return _NOTHING
    said: dict[str, str | int | list[str]] = {"gen_ai.operation.name": name, "gen_ai.provider.name": "openai"}
    try:
        model = _requests.decode(body).model if body and len(body) <= MAX_BODY else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        model = ""
    return said | ({"gen_ai.request.model": model[:MAX_NAME]} if model else {})


def of_response(target: str, body: bytes) -> Attributes:
    """Return what a response says; nothing where it cannot be read."""
    if operation(target) is None or len(body) > MAX_BODY:
        return _NOTHING
    try:
        response = _responses.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOTHING
    usage = response.usage or _Usage()
    reasons = [choice.finish_reason[:MAX_NAME] for choice in response.choices if choice.finish_reason]
    said: dict[str, str | int | list[str] | None] = {
        "gen_ai.response.id": response.id[:MAX_NAME],
        "gen_ai.response.model": response.model[:MAX_NAME],
        "gen_ai.usage.input_tokens": usage.prompt_tokens if usage.input_tokens is None else usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens if usage.output_tokens is None else usage.output_tokens,
        "gen_ai.response.finish_reasons": reasons[:MAX_REASONS],
    }
    return {name: value for name, value in said.items() if value not in (None, "", [])}
