"""Pairs that disagree, cut to what a person reads: a report of a thousand embeddings would be a gigabyte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from extproc.challenge.document import Example

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.challenge.evidence import Record

EXAMPLES: Final = 50  # of a challenger: more than anybody reads
ITEMS: Final = 16  # of a list, and of an object
CHARACTERS: Final = 1000  # of a text
DEPTH: Final = 4  # of lists in lists: a batch of images is three deep
MILLISECONDS: Final = 1000.0
ELLIPSIS: Final = "…"


def examples(records: Iterable[Record]) -> tuple[Example, ...]:
    """Return the pairs that agree least, the newer first, of so many as people read."""
    ordered = sorted(records, key=lambda record: (record.agreement, -record.at, record.request))
    return tuple(_example(record) for record in ordered[:EXAMPLES])


def _example(record: Record) -> Example:
    champion, challenger = (msgspec.json.decode(said) for said in (record.champion, record.challenger_said))
    places = _places(champion, challenger)
    if places is not None:
        champion, challenger = ([said[place] for place in places] for said in (champion, challenger))
    return Example(
        request_id=record.request,
        segment=record.segment or None,
        at=record.at,
        champion=excerpt(champion),
        challenger=excerpt(challenger),
        places=places,
        agreement=record.agreement,
        champion_latency=_milliseconds(record.champion_latency),
        challenger_latency=_milliseconds(record.challenger_latency),
        body=None if record.body is None else excerpt(record.body),
    )


def _places(champion: Any, challenger: Any) -> tuple[int, ...] | None:
    """Return where both legs differ, as many places as are shown; None where all that they say is."""
    if not isinstance(champion, list) or not isinstance(challenger, list):
        return None
    if len(champion) != len(challenger) or len(champion) <= ITEMS:
        return None
    pairs = enumerate(zip(champion, challenger, strict=True))
    return tuple(place for place, (one, other) in pairs if one != other)[:ITEMS]


def excerpt(said: Any, depth: int = DEPTH) -> Any:
    """Return a JSON value without what is too much of it; what is left out is told by an ellipsis."""
    match said:
        case str():
            return said if len(said) <= CHARACTERS else said[:CHARACTERS] + ELLIPSIS
        case list() | dict() if not depth:
            return ELLIPSIS
        case list():
            inner = [excerpt(one, depth - 1) for one in said[:ITEMS]]
            return [*inner, f"{ELLIPSIS} {len(said) - ITEMS} more"] if len(said) > ITEMS else inner
        case dict():
            kept = list(said.items())[:ITEMS]
            short = {excerpt(name): excerpt(one, depth - 1) for name, one in kept}
            return {**short, ELLIPSIS: f"{len(said) - ITEMS} more"} if len(said) > ITEMS else short
        case _:
            return said


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * MILLISECONDS
