"""Which steps of a chain have to wait for which: by what their input and condition mention."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.expr import Program
    from extproc.plan.plan import Input


def waits(earlier: Sequence[str], source: Input, when: Program | None) -> frozenset[int]:
    """Return the indexes of the earlier steps that a step waits for; ``earlier`` are their names in order.

    A default or ``auto`` input mentions the step before. A bare ``steps`` mentions all of them.
    """
    found: set[int] = set()
    if isinstance(source, str):
        if earlier:
            found.add(len(earlier) - 1)
    else:
        found |= _mentioned(earlier, source.reads)
    if when is not None:
        found |= _mentioned(earlier, when.reads)
    return frozenset(found)


def _mentioned(earlier: Sequence[str], reads: frozenset[tuple[str, ...]]) -> set[int]:
    found: set[int] = set()
    for path in reads:
        if path == ("steps",):
            return set(range(len(earlier)))
        if path[0] == "steps" and path[1] in earlier:
            found.add(earlier.index(path[1]))
    return found
