"""The confusion matrix of labels as counts by cell: bounded, and the same in whatever order pairs come or merge."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from zlib import crc32

import msgspec

# Cells of one matrix: all of 45 labels, more than anybody can read. Some hundred bytes each, for every segment.
MAX_CELLS: Final = 2048
# Characters of one label's JSON text: class names are far shorter, and a longer one is told apart by its digest.
MAX_LABEL: Final = 80
OTHER: Final = "other"
"""The cell of all that are left out: no JSON text, so it is no pair of labels."""
_DIGEST: Final = 4  # bytes: two long labels with one beginning are taken for one in 4 thousand million


def cell(champion: str, challenger: str) -> str:
    """Return the name of the cell of two labels, given as JSON texts: the JSON text of both as a list.

    A label longer than MAX_LABEL becomes a string: its beginning, and a digest of the whole.
    """
    return f"[{_short(champion)},{_short(challenger)}]"


def book(confusion: dict[str, int], name: str) -> None:
    """Count one more in a cell.

    Cells above the limit are put together when there are twice as many, so that it costs little for each of them.
    """
    confusion[name] = confusion.get(name, 0) + 1
    if len(confusion) > 2 * MAX_CELLS:
        cap(confusion)


def cap(confusion: dict[str, int]) -> None:
    """Put the cells above the limit together as OTHER.

    Which ones is decided by a hash of their names alone: those that are kept were kept from the first, so that their
    counts are complete, and however the same pairs were divided and merged, the same cells with the same counts remain.
    """
    if len(confusion) <= MAX_CELLS:
        return
    names = sorted((name for name in confusion if name != OTHER), key=_rank)
    left_out = sum(confusion.pop(name) for name in names[MAX_CELLS:])
    if left_out:
        confusion[OTHER] = confusion.get(OTHER, 0) + left_out


def _rank(name: str) -> tuple[int, str]:
    return crc32(name.encode()), name


def _short(label: str) -> str:
    if len(label) <= MAX_LABEL:
        return label
    digest = blake2b(label.encode(), digest_size=_DIGEST).hexdigest()
    beginning = label.removeprefix('"')[: MAX_LABEL - 2 * _DIGEST]
    return msgspec.json.encode(f"{beginning}…{digest}").decode()
