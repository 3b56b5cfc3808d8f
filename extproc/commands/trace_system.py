"""What a running system says of its traces: one connection to the admin address, asked again and again."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import msgspec

from extproc.commands.addresses import host_and_port
from extproc.commands.asking import OK, PATIENCE, NoAnswer
from extproc.telemetry.span import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_FOUND = 404
_NAMES = {"traceId": "trace_id", "spanId": "span_id", "parentId": "parent_id"}


@dataclass(frozen=True, slots=True)
class Overview:
    """What the system keeps. ``refusal`` says why it keeps nothing, empty where it does.

    ``ingress`` is the URL at which it takes requests, ``collector`` says where spans go that are not kept.
    """

    ingress: str | None
    collector: str | None
    refusal: str
    document: dict[str, Any]


class RunningSystem:
    """The admin address at HOST:PORT; ``with`` closes the connection."""

    def __init__(self, admin: str) -> None:
        self._admin = admin
        host, port = host_and_port(admin)
        self.host = host
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def overview(self) -> Overview:
        """Return what is kept. Raises NoAnswer."""
        status, said = self._get("/traces")
        try:
            if status == OK:
                said["traces"] = [_line(one) for one in said["traces"]]
            refusal = "" if status == OK else str(said["error"]["message"])
            known = status == OK or said["error"]["code"] == "no_traces"
        except (KeyError, TypeError, msgspec.ValidationError):
            known = False
        if not known:
            raise self._stranger()
        return Overview(_text(said.get("ingress")), _text(said.get("collector")), refusal, said)

    def spans(self, trace_id: str) -> Sequence[Span]:
        """Return what has come of a trace so far. Raises NoAnswer."""
        status, said = self._get(f"/traces/{trace_id}")
        try:
            if status == NOT_FOUND and said["error"]["code"] == "not_found":
                return []
            if status != OK:
                raise NoAnswer(str(said["error"]["message"]))
            return [_span(one) for one in said["spans"]]
        except (KeyError, TypeError, AttributeError, msgspec.ValidationError):
            raise self._stranger() from None

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        try:
            self._connection.request("GET", path, headers={"accept": "application/json"})
            answer = self._connection.getresponse()
            status, said = answer.status, answer.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "no answer"
            raise NoAnswer(f"{self._admin}: {what}; is extproc up running, and is that its --admin?") from None
        try:
            return status, msgspec.json.decode(said, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._stranger() from None

    def _stranger(self) -> NoAnswer:
        return NoAnswer(f"{self._admin} does not answer as extproc does; is that its --admin, and of this version?")


class _Line(msgspec.Struct, rename="camel"):
    trace_id: str
    name: str
    service: str
    start: int
    duration: int
    spans: int
    error: bool


def _line(said: object) -> dict[str, Any]:
    """Return a trace in a line, as it is, once it is known to be one."""
    msgspec.convert(said, _Line)
    return dict(said)  # type: ignore[call-overload,no-any-return]


def _span(said: dict[str, Any]) -> Span:
    """Return a span as ``Span.data`` wrote it. Raises what is raised for something else."""
    links = [_renamed(one) for one in said["links"]]
    return msgspec.convert(_renamed(said) | {"links": links}, Span)


def _renamed(said: dict[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(name, name): value for name, value in said.items()}


def _text(said: object) -> str | None:
    return said if isinstance(said, str) else None
