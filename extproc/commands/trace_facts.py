"""What a line of a trace's tree says of a span besides its name, and what of an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from extproc.challenge.wording import value, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extproc.telemetry.span import Event, Span

NAME: Final = 64  # characters of a name
VALUE: Final = 80  # of a value
MESSAGE: Final = 200  # of what went wrong
OTHERS: Final = 3  # attributes shown of an event that nobody here knows
CALL_TO_US: Final = "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"
_NAMES: Final = {CALL_TO_US: "ext_proc"}
_STATUSES: Final = ("http.response.status_code", "http.status_code")  # the second is what Envoy says
_ENDS: Final = {"left": "the client left", "cancelled": "cancelled", "passed": "passed on untouched"}
# Envoy's reasons for a response of its own, or for none (its documentation, "Access logging", %RESPONSE_FLAGS%).
_FLAGS: Final = {
    "DC": "the caller left",
    "DPE": "the client broke HTTP",
    "DT": "took too long in all",
    "EXPR": "the graph's processor failed",
    "LH": "health checks fail",
    "LR": "reset here",
    "NC": "no such cluster",
    "NR": "no route",
    "SI": "idle for too long",
    "UC": "the connection broke off",
    "UF": "no connection",
    "UH": "no healthy endpoint",
    "UO": "too many at once",
    "UPE": "the model broke HTTP",
    "UR": "the model reset it",
    "URX": "no attempt left",
    "UT": "the model took too long",
}
_NO_ANSWER: Final = ("0", 0)  # what Envoy gives as the status then
_TOKENS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")


def name(span: Span) -> str:
    """Return a span's name."""
    return shown(_NAMES.get(span.name, span.name), NAME).strip()


def shown(said: Any, longest: int = VALUE) -> str:
    """Return somebody else's value as it can be shown: short, and nothing that a terminal obeys."""
    return visible(value(said, longest))


def is_challenger(span: Span) -> bool:
    """Tell whether a span is a challenger's leg."""
    return span.attributes.get("extproc.leg") == "challenger"


def facts(span: Span) -> Iterator[str]:
    """Yield what is worth a look, the most important first."""
    said = span.attributes
    told = list(_outcome(span))
    if is_challenger(span):
        told.append("the client does not wait for it")
    told += _model(span)
    told += _attempts(said)
    error = said.get("error.type")
    if error is not None and not any(shown(error) in one for one in told):
        told.append(shown(error))
    if span.message and not any(shown(span.message) in one for one in told):
        told.append(shown(span.message, MESSAGE))
    flags = said.get("response_flags")
    told += [_flag(flag) for flag in flags.split(",") if flag != "-"] if isinstance(flags, str) else []
    if isinstance(left := said.get("extproc.deadline.left"), int | float):
        told.append(f"deadline in {left:.2f} s" if left >= 0 else f"deadline {-left:.2f} s ago")
    told += [f"linked to trace {one.trace_id}" for one in span.links if one.trace_id != span.trace_id]
    yield from told


def _outcome(span: Span) -> Iterator[str]:
    said = span.attributes
    status = next((said[key] for key in _STATUSES if key in said), None)
    outcome, route = said.get("extproc.outcome"), said.get("extproc.route")
    match outcome:
        case "tail":
            yield f"Envoy calls {shown(said.get('extproc.model', '?'), NAME)}"
        case "answer":
            yield f"answers {shown(status)}"
        case str() if status is None:
            yield _ENDS.get(outcome, shown(outcome))
        case _ if status in _NO_ANSWER:
            yield "no answer"
        case _ if status is not None and span.name != CALL_TO_US:
            yield shown(status)
        case _:
            pass
    if route and route != said.get("extproc.model"):
        yield f"route {shown(route)}"


def _flag(flag: str) -> str:
    return f"{flag}: {_FLAGS[flag]}" if flag in _FLAGS else f"flag {shown(flag)}"


def _model(span: Span) -> Iterator[str]:
    said = span.attributes
    model = said.get("extproc.model")
    if model is not None and shown(model, NAME) not in name(span) and said.get("extproc.outcome") != "tail":
        yield f"model {shown(model, NAME)}"
    if (asked := said.get("gen_ai.request.model")) is not None:
        yield f"asks for {shown(asked, NAME)}"
    if all(isinstance(said.get(key), int) for key in _TOKENS):
        read, written = (said[key] for key in _TOKENS)
        yield f"{read:,} tokens in, {written:,} out"


def _attempts(said: Mapping[str, Any]) -> Iterator[str]:
    attempts = said.get("extproc.attempts")
    if isinstance(attempts, int) and attempts > 1:
        yield f"{attempts:,} attempts"
    if said.get("extproc.hedged") is True:
        yield "hedged"


def happening(event: Event) -> str:
    """Return an event in words."""
    said = event.attributes
    match event.name:
        case "decision":
            taken = f"{shown(said.get('extproc.node', '?'))} → {shown(said.get('extproc.branch', '?'))}"
            expression = said.get("extproc.expression")
            why = "" if expression is None else f": {shown(expression)} is {shown(said.get('extproc.result', '?'))}"
            return f"{taken}{why}"
        case "expression_failed":
            return f"{shown(said.get('extproc.node', '?'))}: {shown(said.get('extproc.expression', '?'))} failed"
        case "retry":
            return f"attempt {shown(said.get('extproc.attempt', '?'))}, a retry"
        case "hedge":
            return f"attempt {shown(said.get('extproc.attempt', '?'))}, a hedge beside the first"
        case "exception":
            return f"{shown(said.get('exception.type', '?'))}: {shown(said.get('exception.message', ''), MESSAGE)}"
        case other:
            some = [f"{shown(key)}={shown(said[key])}" for key in sorted(said)[:OTHERS]]
            return " ".join([shown(other), *some])
