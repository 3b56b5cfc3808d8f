"""An answer as it came through Envoy, and what can be read from it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.headers import GRAPH_HEADER, ROUTE_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Call:
    """A call in the route; ``failure`` as it stands there behind ``!``: ``503``, ``connect``; empty when there was none."""

    model: str
    failure: str = ""


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower-case names) and body of one response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def graph(self) -> str | None:
        """``NAME@DIGEST`` of the graph that took the request, None when none did."""
        return self.headers.get(GRAPH_HEADER)

    @property
    def request_id(self) -> str | None:
        """What the request is known by afterwards."""
        return self.headers.get("x-request-id")

    @property
    def route(self) -> str | None:
        """The decisions and calls in ``x-extproc-route``."""
        return self.headers.get(ROUTE_HEADER)

    @property
    def decisions(self) -> dict[str, str]:
        """Node to the branch it took."""
        return dict(entry.split("=", 1) for entry in self._entries if "=" in entry)

    @property
    def model(self) -> str | None:
        """The model called last, whose answer this is unless several were combined; None when none was called."""
        return self.calls[-1].model if self.calls else None

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls in the route; ``!fail-open`` is none."""
        entries = (entry.partition("!") for entry in self._entries if "=" not in entry)
        return tuple(Call(model, failure) for model, _, failure in entries if model)

    @property
    def _entries(self) -> list[str]:
        return self.route.split(",") if self.route else []

    @functools.cached_property
    def document(self) -> Any:
        """The parsed body; its text when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return self.body.decode(errors="replace")

    @property
    def predictions(self) -> list[Any] | None:
        """One value a row, from V1's ``predictions`` or V2's first output; None when this holds none."""
        match self.document:
            case {"predictions": list(values)} | {"outputs": [{"data": list(values)}, *_]}:
                return values
            case _:
                return None
