"""Cases as data: what is asked of graphs, and what is to come of it; no test knows more than these files say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import yaml

HERE = Path(__file__).parent
HOST = "test.local"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request. The body is ``json``, or ``text``, or ``lead`` and spaces up to ``size`` bytes."""

    path: str
    method: str = "GET"
    host: str = HOST
    headers: tuple[tuple[str, str], ...] = ()
    json: Any = msgspec.UNSET
    text: str | None = None
    lead: str = ""
    size: int = 0
    gzip: bool = False

    @property
    def body(self) -> bytes:
        """The body's bytes."""
        plain = self.lead.encode().ljust(self.size)
        if self.text is not None:
            plain = self.text.encode()
        if self.json is not msgspec.UNSET:
            plain = json.dumps(self.json).encode()
        return gzip.compress(plain, mtime=0) if self.gzip else plain

    @property
    def all_headers(self) -> list[tuple[str, str]]:
        """The headers as written, with those that the body asks for."""
        more = [("content-encoding", "gzip")] if self.gzip else []
        return [*self.headers, *more]


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to come of a request; what is not said is not looked at.

    ``model``: where it went, or one of several places it may go. ``path`` and ``seen`` (None: absent): what the model
    saw; this, Envoy's doing, is looked at on the real one only. ``error``: the code of an error made by the project;
    ``at``: the node or model it names. ``headers`` (None: absent), ``body`` and ``json`` are of the answer.
    """

    status: int = 200
    model: str | tuple[str, ...] | None = None
    path: str | None = None
    seen: dict[str, str | None] = {}
    graph: str | None = None
    route: str | tuple[str, ...] | None = None
    error: str | None = None
    at: str | None = None
    headers: dict[str, str | None] = {}
    body: str | None = None
    json: Any = msgspec.UNSET

    @property
    def models(self) -> tuple[str, ...]:
        """The models it may reach; empty when none is to be reached."""
        return (self.model,) if isinstance(self.model, str) else self.model or ()

    @property
    def routes(self) -> tuple[str, ...]:
        """The values that the route header may have; empty when that does not matter."""
        return (self.route,) if isinstance(self.route, str) else self.route or ()


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request and what is to come of it; ``envoy``: it is Envoy alone that does this, and why."""

    name: str
    ask: Asked
    expect: Expected
    envoy: str | None = None


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Graphs, as the text that users write, and what is asked of them."""

    about: str
    graphs: str
    cases: tuple[Case, ...]


FILES = {path.stem: msgspec.convert(yaml.safe_load(path.read_text()), CaseFile) for path in sorted(HERE.glob("*.yaml"))}
CASES = {f"{name}: {case.name}": case for name, file in FILES.items() for case in file.cases}
GRAPHS = "\n---\n".join(file.graphs for file in FILES.values())
