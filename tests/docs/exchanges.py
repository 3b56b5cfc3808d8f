"""The ``exchange`` blocks of the documents: one request each, what models get and answer, and what comes of it.

A block names the document that it belongs to. Its lines, in the order in which one reads them:

- ``client BODY``: the request
- ``MODEL gets BODY``: what a sub-call sent, exactly
- ``MODEL answers STATUS BODY``, ``MODEL fails CAUSE``, both ``after N ms``; ``MODEL hangs``
- ``Envoy calls MODEL``, ``with BODY`` where it is not the client's own
- ``answer STATUS BODY``, or ``error STATUS CODE MESSAGE``
- ``route ROUTE``, ``took N ms``
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extproc.engine.calling import Cause
from extproc.engine.outcome import TailCall
from tests.engine.scripted import Fails, Hangs, Line, Says

if TYPE_CHECKING:
    from tests.docs.documents import Block
    from tests.engine.scripted import Told

_AFTER = re.compile(r" after (\d+) ms$")
_DEFAULT_MS = 10.0


@dataclass
class Exchange:
    """A block, read: ``script`` for the caller, ``sent`` and ``ends`` as they must come out."""

    client: bytes = b""
    script: dict[str, Line] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)


def read(block: Block) -> Exchange:
    """Read a block; what is no line of the language is an error."""
    found = Exchange()
    for line in block.text.splitlines():
        who, said = line.split(None, 1)
        _take(found, who, said)
    return found


def _take(found: Exchange, who: str, said: str) -> None:
    if who == "client":
        found.client = said.encode()
    elif who in {"Envoy", "answer", "error", "route", "took"}:
        found.ends.append(f"{who} {said}")
    elif said.startswith("gets "):
        found.sent[who] = said.removeprefix("gets ").encode()
    else:
        found.script[who] = _line(said)


def _line(said: str) -> Line:
    late = _AFTER.search(said)
    after = float(late[1]) if late else _DEFAULT_MS
    verb, _, rest = _AFTER.sub("", said).partition(" ")
    match verb:
        case "answers":
            status, _, body = rest.partition(" ")
            return Says(int(status), body.encode(), after)
        case "fails":
            return Fails(Cause(rest), after)
        case "hangs":
            return Hangs()
    raise ValueError(f"no line of an exchange: {said}")


def shown(told: Told, exchange: Exchange) -> list[str]:
    """What came of it, in the words of the block: as much of it as the block shows."""
    ways = {"route": told.outcome.route, "took": f"{told.took} ms"}
    return [_end(told) if kind not in ways else f"{kind} {ways[kind]}" for kind in map(_kind, exchange.ends)]


def _kind(end: str) -> str:
    return end.partition(" ")[0]


def _end(told: Told) -> str:
    outcome = told.outcome
    if isinstance(outcome, TailCall):
        given = "" if outcome.payload is None else f" with {(outcome.payload.body or b'').decode()}"
        return f"Envoy calls {outcome.model.name}{given}"
    if outcome.details.startswith("extproc.") and outcome.details not in {"extproc.made", "extproc.sub_call"}:
        error = json.loads(outcome.body)["error"]
        return f"error {outcome.status} {error['code']} {error['message']}"
    return f"answer {outcome.status} {outcome.body.decode()}"
